"""The graphs that a bundle holds: raw feature values in; the task's outputs and attention weights out.

TorchScript types every method statically, so there is one class for each set of the network's outputs, with and without
the split at the feature maps. The length of a tuple follows from the head, so TorchScript infers it. Nothing here is
marked for export to TorchScript, because the tracer would then try to script it; the split methods are compiled because
`forward` calls them.
"""

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from whyport.exporter.graphs.categories import EncodeCategories
from whyport.exporter.graphs.heads import OneLogitHead, head_of
from whyport.exporter.graphs.network_inputs import SPLIT, SplitTakeInputs, TakeInputs
from whyport.exporter.graphs.outputs import Pick, Place, describe, find_scores
from whyport.exporter.graphs.sigmoid import without_sigmoid
from whyport.exporter.graphs.taps import TappedGraph
from whyport.exporter.graphs.tensor_names import ATTENTION
from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.layers import AXES, Layer
from whyport.runtime.bundle.row import lengths_of
from whyport.runtime.bundle.sidecar import Capability
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ExportError, first_line
from whyport.runtime.task import Classification, Task

ENCODED = "the network's positions are cells of encoded categories, of which a column has several"
"""Why neither maps nor attention weights are read as columns."""
BESIDE = "the network's positions are steps of one sequence; the inputs beside it have none of them"
"""Why they are not where a sequence is not alone."""
VARYING = "the network's positions are steps of a sequence, of which rows have more or fewer"
"""Why they are not where padding follows a row's own steps."""
TOKENS = "token ids have no derivative"
"""Why a network of ids has no gradient."""


class _Wrapped(nn.Module):
    """A row's cells, their preprocessing, the network behind it, and the head, which gives the task's outputs.

    The cells of a row are the row itself, unless it holds codes of categories, which are encoded.
    """

    def __init__(self, encode: nn.Module, preprocess: nn.Module, network: nn.Module, head: nn.Module) -> None:
        super().__init__()
        self.encode = encode
        self.preprocess = preprocess
        self.network: Any = network
        self.head: Any = head

    def cells(self, rows: Tensor) -> Tensor:
        """The cells [N, P] of raw rows [N, F] float32."""
        cells: Tensor = self.encode(rows)
        return cells

    def forward(self, rows: Tensor):  # type: ignore[no-untyped-def]
        return self.scored(self.cells(rows))  # type: ignore[operator]


class ScoresGraph(_Wrapped):
    """Raw rows to the task's outputs [N, C]."""

    def scored(self, cells: Tensor):  # type: ignore[no-untyped-def]
        """The task's outputs of cells [N, P]."""
        return self.head(self.network(self.preprocess(cells)))


class AttentionGraph(_Wrapped):
    """Raw rows to the task's outputs [N, C] and attention weights [N, L, L]."""

    def scored(self, cells: Tensor):  # type: ignore[no-untyped-def]
        """The task's outputs and the attention weights of cells [N, P]."""
        scores, weights = self.network(self.preprocess(cells))
        return (*self.head(scores), weights)


class SplitScoresGraph(_Wrapped):
    """`ScoresGraph` by way of the feature maps, of rows that are their own cells."""

    def features(self, rows: Tensor) -> Tensor:
        """Feature maps [N, channels, positions], or [N, channels, y, x], of raw rows [N, F]."""
        maps: Tensor = self.network.features(self.preprocess(rows))
        return maps

    def classify(self, maps: Tensor):  # type: ignore[no-untyped-def]
        """The task's outputs of feature maps."""
        return self.head(self.network.classify(maps))

    def scored(self, cells: Tensor):  # type: ignore[no-untyped-def]
        """The task's outputs of cells [N, P]."""
        return self.classify(self.features(cells))


class SplitAttentionGraph(_Wrapped):
    """`AttentionGraph` by way of the feature maps, of rows that are their own cells."""

    def features(self, rows: Tensor) -> Tensor:
        """Feature maps [N, channels, positions], or [N, channels, y, x], of raw rows [N, F]."""
        maps: Tensor = self.network.features(self.preprocess(rows))
        return maps

    def classify(self, maps: Tensor):  # type: ignore[no-untyped-def]
        """The task's outputs and the attention weights of feature maps."""
        scores, weights = self.network.classify(maps)
        return (*self.head(scores), weights)

    def scored(self, cells: Tensor):  # type: ignore[no-untyped-def]
        """The task's outputs and the attention weights of cells [N, P]."""
        return self.classify(self.features(cells))


@dataclass(frozen=True)
class Graph:
    """A graph in eager mode, on the CPU, in evaluation mode, with what it gives and which explanations it can serve."""

    module: _Wrapped
    outputs: tuple[TensorSpec, ...]
    capabilities: dict[str, Capability]
    layers: tuple[Layer, ...] = ()
    """The layers whose maps over y and x model.pt gives, in the order in which they compute."""

    @property
    def names(self) -> list[str]:
        """The outputs' names."""
        return [spec.name for spec in self.outputs]

    @property
    def head(self) -> nn.Module:
        """Scores [N, K] to the task's outputs."""
        head: nn.Module = self.module.head[-1]
        return head

    @property
    def one_logit(self) -> bool:
        """Whether the network itself gives one logit, that of the second of two classes."""
        return isinstance(self.head, OneLogitHead)

    @property
    def differentiable(self) -> bool:
        """Whether the scores have a gradient with respect to the input."""
        return self.capabilities["gradients"].available

    @property
    def whole(self) -> nn.Module:
        """The graph by the network's own `forward`, even where `module` goes by way of the feature maps."""
        attentive = isinstance(self.module, AttentionGraph | SplitAttentionGraph)
        parts = self.module.encode, self.module.preprocess, self.module.network, self.module.head
        return AttentionGraph(*parts) if attentive else ScoresGraph(*parts)

    @property
    def of_cells(self) -> nn.Module:
        """The module from cells [N, P] to the outputs."""
        parts = self.module.preprocess, self.module.network, self.module.head
        return type(self.module)(nn.Identity(), *parts)

    @property
    def encoding(self) -> EncodeCategories | None:
        """What gives a row's cells; None where they are the row itself."""
        encode = self.module.encode
        return encode if isinstance(encode, EncodeCategories) else None

    @property
    def split(self) -> bool:
        """Whether the module has `features` and `classify`."""
        return isinstance(self.module, SplitScoresGraph | SplitAttentionGraph)


def build_graph(
    network: nn.Module,
    preprocess: nn.Module,
    rows: Tensor,
    task: type[Task] = Classification,
    encoding: EncodeCategories | None = None,
    output: str | None = None,
    inputs: Sequence[Input] = (),
) -> Graph:
    """Wrap a network from [N, P] to scores [N, K], or to scores and attention weights [N, L, L].

    Args:
        network: the network behind the preprocessing.
        preprocess: what is done to the cells first.
        rows: two or more raw rows [N, F] float32, to see what the network gives.
        task: what the scores are.
        encoding: what gives the rows' cells [N, P]; None where these are the rows themselves.
        output: where the network gives several tensors: the key, attribute or position of the scores.
        inputs: the model's inputs, where they are others than one table. Of rows of varying length, attention weights,
            whose shape varies too, are left out.

    Raises:
        ExportError: the network is TorchScript already, cannot be copied, fails on the rows, or gives something else.
        UsageError: the network has no such output.
    """
    if isinstance(network, torch.jit.ScriptModule):
        raise ExportError("the network is compiled to TorchScript already; expected the module that it was made of")
    try:
        network = copy.deepcopy(network).cpu().eval().requires_grad_(False)
    except Exception as error:
        raise ExportError(f"the network cannot be copied: {first_line(error)}") from error
    encode = nn.Identity() if encoding is None else encoding.compiled()
    prepared = preprocess(encode(rows)).clone().requires_grad_()
    found = _find(network, prepared, task, output)
    if task is Classification and _is_one(found.scores):
        network = without_sigmoid(network, prepared, found.place)
        found = _find(network, prepared, task, output)
    varying = bool(lengths_of(inputs))
    scores, weights = found.scores, None if varying else found.weights
    no_places = ENCODED if encoding else VARYING if varying else BESIDE if len(inputs) > 1 else ""
    split_obstacle = _split_obstacle(network, prepared, task, output, map_axes(inputs)) or no_places
    plain, split = (ScoresGraph, SplitScoresGraph) if weights is None else (AttentionGraph, SplitAttentionGraph)
    gradients = "" if scores.requires_grad else f"the {task.score} have no gradient with respect to the input"
    gradients = TOKENS if any(each.prepare.kind == "text" for each in inputs) else gradients
    attention = "the network returns no attention weights" if found.weights is None else no_places
    picked = [] if found.place.name is None or weights is not None else [Pick(found.place)]
    steps, last = head_of(task, scores)
    head = nn.Sequential(*picked, *steps, last)
    module = (plain if split_obstacle else split)(encode, preprocess, network, head).eval()
    names = [*task.outputs, *([] if weights is None else [ATTENTION])]
    with torch.no_grad():
        given = module(rows)
    layers: tuple[Layer, ...] = ()
    if map_axes(inputs) > 1 and not no_places:
        layers = TappedGraph(module, split=not split_obstacle).layers(rows)
    return Graph(
        module=module,
        outputs=tuple(_spec(name, tensor) for name, tensor in zip(names, given, strict=True)),
        capabilities={
            "gradients": capability(gradients),
            "grad-cam": capability(("" if layers else split_obstacle) or gradients),
            "attention": capability(attention),
        },
        layers=layers,
    )


def capability(obstacle: str) -> Capability:
    """Available if there is no obstacle."""
    return Capability(available=not obstacle, reason=obstacle)


@dataclass(frozen=True)
class _Found:
    """The tensors that a graph takes of what a network gives."""

    place: Place
    scores: Tensor
    weights: Tensor | None


def _find(network: nn.Module, prepared: Tensor, task: type[Task], output: str | None) -> _Found:
    """What the network gives for prepared rows."""
    try:
        given = network(prepared)
    except Exception as error:
        raise ExportError(f"the network fails on rows of shape {list(prepared.shape)}: {first_line(error)}") from error
    return _check_outputs(given, len(prepared), task, output)


def _check_outputs(given: Any, rows: int, task: type[Task], output: str | None) -> _Found:
    """The scores and the attention weights among what the network gives for so many rows."""
    score = task.score
    expected = (
        f"expected {score} [N, {task.targets_title}] float32, or a tuple of {score} and attention weights [N, L, L]"
    )
    place, scores, weights = Place(), given, None
    if output is None and isinstance(given, tuple) and len(given) == 2:
        place, (scores, weights) = Place("0"), given
        expected += "; --output NAME, a name or a position, takes one of several outputs alone"
    elif not isinstance(given, Tensor) or output is not None:
        place = find_scores(given, task, output)
        scores = place.of(given)
    if not isinstance(scores, Tensor) or not isinstance(weights, Tensor | None):
        raise ExportError(f"the network gives {describe(given if output is None else scores)}; {expected}")
    tensors = [scores] if weights is None else [scores, weights]
    sizes = [list(tensor.shape) for tensor in tensors]
    fits = all(tensor.dtype == torch.float32 and tensor.shape[:1] == (rows,) for tensor in tensors)
    if not fits or scores.ndim not in (1, 2) or any(tensor.ndim != 3 for tensor in tensors[1:]):
        dtypes = ", ".join(dict.fromkeys(str(tensor.dtype) for tensor in tensors))
        raise ExportError(f"the network gives {sizes} {dtypes} for {rows} rows; {expected}")
    if weights is not None and weights.shape[1] != weights.shape[2]:
        raise ExportError(
            f"the network's second output has the shape {sizes[1]}: it is no attention; {expected}, so return the "
            f"{score} alone"
        )
    if 0 in scores.shape[1:]:
        raise ExportError(f"the network gives no {task.one_score} a row; {expected}")
    return _Found(place, scores, weights)


def _is_one(scores: Tensor) -> bool:
    """Whether there is one score a row, [N] or [N, 1]."""
    return scores.ndim == 1 or scores.shape[1] == 1


def map_axes(inputs: Sequence[Input]) -> int:
    """How many axes the maps of a network have behind the channels: two where its input is an image."""
    return 2 if any(isinstance(each.prepare, ImagePreparation) for each in inputs) else 1


def _split_obstacle(network: nn.Module, prepared: Tensor, task: type[Task], output: str | None, axes: int) -> str:
    """Why the network cannot be split at its feature maps, of so many axes; empty if it can."""
    own = network.network if isinstance(network, TakeInputs) else network
    missing = [name for name in SPLIT if not callable(getattr(own, name, None))]
    if missing:
        return f"the network has no method {' and no method '.join(missing)}"
    if own is not network and not isinstance(network, SplitTakeInputs):
        return VARYING
    try:
        maps = network.features(prepared)  # type: ignore[operator]
        _check_outputs(network.classify(maps), len(prepared), task, output)  # type: ignore[operator]
    except Exception as error:
        return f"classify(features(rows)) of the network fails: {first_line(error)}"
    if not isinstance(maps, Tensor) or maps.ndim != 2 + axes:
        expected = f"[N, channels, {', '.join(AXES[axes]).replace('position', 'positions')}]"
        return f"features(rows) of the network gives {describe(maps)}, not maps {expected}"
    return ""


def _spec(name: str, tensor: Tensor) -> TensorSpec:
    return TensorSpec(name=name, dtype="float32", shape=("N", *tensor.shape[1:]))
