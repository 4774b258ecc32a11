"""The graphs that a bundle holds: raw feature values in; logits, probabilities and attention weights out.

TorchScript types every method statically, so there is one class for each set of outputs, with and without the split at
the feature maps. Nothing here is marked for export to TorchScript, because the tracer would then try to script it; the
split methods are compiled because `forward` calls them.
"""

import copy
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whyport.runtime.bundle.sidecar import Capability
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ExportError, first_line

INPUT = "features"


class _Wrapped(nn.Module):
    """The preprocessing and the network behind it."""

    def __init__(self, preprocess: nn.Module, network: nn.Module) -> None:
        super().__init__()
        self.preprocess = preprocess
        self.network: Any = network


class LogitsGraph(_Wrapped):
    """Raw rows [N, F] float32 to logits and probabilities [N, C]."""

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        logits = self.network(self.preprocess(rows))
        return logits, torch.softmax(logits, dim=1)


class AttentionGraph(_Wrapped):
    """Raw rows [N, F] float32 to logits and probabilities [N, C] and attention weights [N, query, key]."""

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, weights = self.network(self.preprocess(rows))
        return logits, torch.softmax(logits, dim=1), weights


class SplitLogitsGraph(_Wrapped):
    """`LogitsGraph` by way of the feature maps."""

    def features(self, rows: Tensor) -> Tensor:
        """Feature maps [N, channels, positions] of raw rows [N, F]."""
        maps: Tensor = self.network.features(self.preprocess(rows))
        return maps

    def classify(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Logits and probabilities of feature maps."""
        logits = self.network.classify(maps)
        return logits, torch.softmax(logits, dim=1)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        return self.classify(self.features(rows))


class SplitAttentionGraph(_Wrapped):
    """`AttentionGraph` by way of the feature maps."""

    def features(self, rows: Tensor) -> Tensor:
        """Feature maps [N, channels, positions] of raw rows [N, F]."""
        maps: Tensor = self.network.features(self.preprocess(rows))
        return maps

    def classify(self, maps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, probabilities and attention weights of feature maps."""
        logits, weights = self.network.classify(maps)
        return logits, torch.softmax(logits, dim=1), weights

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.classify(self.features(rows))


@dataclass(frozen=True)
class Graph:
    """A graph in eager mode, on the CPU, in evaluation mode, with what it gives and which explanations it can serve."""

    module: _Wrapped
    outputs: tuple[TensorSpec, ...]
    capabilities: dict[str, Capability]

    @property
    def differentiable(self) -> bool:
        """Whether the logits have a gradient with respect to the input."""
        return self.capabilities["gradients"].available

    @property
    def whole(self) -> nn.Module:
        """The graph by the network's own `forward`, even where `module` goes by way of the feature maps."""
        attentive = isinstance(self.module, AttentionGraph | SplitAttentionGraph)
        parts = self.module.preprocess, self.module.network
        return AttentionGraph(*parts) if attentive else LogitsGraph(*parts)

    @property
    def split(self) -> bool:
        """Whether the module has `features` and `classify`."""
        return isinstance(self.module, SplitLogitsGraph | SplitAttentionGraph)


def build_graph(network: nn.Module, preprocess: nn.Module, rows: Tensor) -> Graph:
    """Wrap a network from [N, F] to logits [N, C], or to logits and attention [N, L, L].

    Args:
        network: the network behind the preprocessing.
        preprocess: what is done to raw values first.
        rows: two or more raw rows [N, F] float32, to see what the network gives.

    Raises:
        ExportError: the network fails on the rows, or gives something else.
    """
    network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    prepared = preprocess(rows).clone().requires_grad_()
    try:
        given = network(prepared)
    except Exception as error:
        raise ExportError(f"the network fails on rows of shape {list(rows.shape)}: {first_line(error)}") from error
    logits, weights = _check_outputs(given, len(rows))
    split_obstacle = _split_obstacle(network, prepared)
    outputs = [_spec("logits", logits), _spec("probabilities", logits)]
    if weights is not None:
        outputs.append(_spec("attention", weights))
    plain, split = (LogitsGraph, SplitLogitsGraph) if weights is None else (AttentionGraph, SplitAttentionGraph)
    gradients = "" if logits.requires_grad else "the logits have no gradient with respect to the input"
    attention = "the network returns no attention weights" if weights is None else ""
    return Graph(
        module=(plain if split_obstacle else split)(preprocess, network).eval(),
        outputs=tuple(outputs),
        capabilities={
            "gradients": capability(gradients),
            "grad-cam": capability(split_obstacle or gradients),
            "attention": capability(attention),
        },
    )


def capability(obstacle: str) -> Capability:
    """Available if there is no obstacle."""
    return Capability(available=not obstacle, reason=obstacle)


def _check_outputs(given: object, rows: int) -> tuple[Tensor, Tensor | None]:
    expected = "expected logits [N, classes] float32, or a tuple of logits and attention weights [N, query, key]"
    logits, weights = given if isinstance(given, tuple) and len(given) == 2 else (given, None)
    if not isinstance(logits, Tensor) or not isinstance(weights, Tensor | None):
        raise ExportError(f"the network gives {_kind(given)}; {expected}")
    tensors = [logits] if weights is None else [logits, weights]
    sizes = [list(tensor.shape) for tensor in tensors]
    ranks = [2, 3][: len(tensors)]
    fits = all(t.dtype == torch.float32 and t.ndim == rank for t, rank in zip(tensors, ranks, strict=True))
    if not fits or any(tensor.shape[0] != rows for tensor in tensors):
        raise ExportError(f"the network gives {sizes} {logits.dtype} for {rows} rows; {expected}")
    if logits.shape[1] < 2:
        raise ExportError(
            f"the network gives {logits.shape[1]} logit a row; expected one for each of 2 classes or more"
        )
    return logits, weights


def _split_obstacle(network: nn.Module, prepared: Tensor) -> str:
    """Why the network cannot be split at its feature maps; empty if it can."""
    methods = ("features", "classify")
    missing = [name for name in methods if not callable(getattr(network, name, None))]
    if missing:
        return f"the network has no method {' and no method '.join(missing)}"
    try:
        maps = network.features(prepared)  # type: ignore[operator]
        _check_outputs(network.classify(maps), len(prepared))  # type: ignore[operator]
    except Exception as error:
        return f"classify(features(rows)) of the network fails: {first_line(error)}"
    if not isinstance(maps, Tensor) or maps.ndim != 3:
        return f"features(rows) of the network gives {_kind(maps)}, not maps [N, channels, positions]"
    return ""


def _spec(name: str, tensor: Tensor) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=("N", *tensor.shape[1:]))


def _kind(value: object) -> str:
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
