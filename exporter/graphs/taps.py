"""Convolutions of a network by their modules' names, and a graph that gives the maps of any of them.

Grad-CAM needs a layer's maps A [N, channels, y, x], and the gradient of a score with respect to them, summed over y and
x. The graph adds a tensor of zeros [N, channels, 1, 1] to A: the gradient with respect to these zeros is that sum.
Nothing before the first such layer is differentiated, and layers that nobody asks for cost nothing.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Self, final

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from whyport.exporter.graphs.network_inputs import TakeInputs
from whyport.runtime.bundle.layers import SPLIT, Layer

Tap = Callable[[Tensor, Tensor], tuple[Tensor, Tensor]]
"""Maps and zeros, or an empty tensor, to their sum and the maps."""

CONVOLUTION = "conv2d"
RANK = 4


@final
class Taps(TorchFunctionMode):
    """A mode that sees every convolution over y and x, under the name of its module.

    Args:
        tap: what is done to the maps; None only looks at them.
        zeros: what the maps of each layer are tapped with, in order.
    """

    def __init__(self, tap: Tap | None = None, zeros: Sequence[Tensor] = ()) -> None:
        super().__init__()
        self._tap = tap
        self._zeros = zeros
        self._modules: list[str] = []
        self.layers: list[Layer] = []
        """The layers seen so far."""
        self.kept: list[Tensor] = []
        """The maps that the tap gave of each."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """PyTorch's own protocol."""
        given = function(*args, **(kwargs or {}))
        if getattr(function, "__name__", "") != CONVOLUTION or given.ndim != RANK:
            return given
        return self.see(self._modules[-1] if self._modules else CONVOLUTION, given)

    def see(self, name: str, maps: Tensor) -> Tensor:
        """The maps of one layer, tapped; a module that is called again has a number behind its name."""
        calls = sum(layer.name == name or layer.name.startswith(f"{name}:") for layer in self.layers)
        named = name if not calls else f"{name}:{calls + 1}"
        self.layers.append(Layer(named, int(maps.shape[1]), (int(maps.shape[2]), int(maps.shape[3]))))
        if self._tap is None:
            return maps
        maps, kept = self._tap(maps, self._zeros[len(self.kept)])
        self.kept.append(kept)
        return maps

    @contextmanager
    def watching(self, network: nn.Module) -> Iterator[Self]:
        """The mode, which knows the module of a network that is at work."""
        handles = []
        names: dict[str, str] = {}
        for place, module in _author(network).named_modules():
            own = getattr(module, "layer_name", None) or names.get(place.rpartition(".")[0])
            if own is not None:
                names[place] = own
            shown = own or place
            handles.append(module.register_forward_pre_hook(lambda *_, name=shown: self._modules.append(name)))
            handles.append(module.register_forward_hook(lambda *_: self._leave()))
        try:
            with self:
                yield self
        finally:
            for handle in handles:
                handle.remove()

    def _leave(self) -> None:
        self._modules.pop()


@final
class TappedGraph(nn.Module):
    """A graph with its maps: rows [N, F], and zeros a layer, to the graph's outputs and each layer's maps.

    Args:
        module: the graph, see `exporter.graphs.graph`.
        split: whether it is split at maps over y and x, which are a layer too.
        tap: see `Taps`.
    """

    def __init__(self, module: nn.Module, *, split: bool, tap: Tap | None = None) -> None:
        super().__init__()
        self.module: Any = module
        self._split = split
        self._tap = tap

    def forward(self, rows: Tensor, zeros: list[Tensor]) -> tuple[Tensor, ...]:
        outputs, taps = self.seen(rows, zeros)
        return (*outputs, *taps.kept)

    def layers(self, rows: Tensor) -> tuple[Layer, ...]:
        """The layers, in the order in which they compute."""
        with torch.no_grad():
            return tuple(self.seen(rows, [])[1].layers)

    def seen(self, rows: Tensor, zeros: list[Tensor]) -> tuple[tuple[Tensor, ...], Taps]:
        """The outputs, and what the taps saw."""
        taps = Taps(self._tap, zeros)
        with taps.watching(self.module.network):
            if not self._split:
                return self.module(rows), taps
            maps = self.module.features(rows)
            return self.module.classify(taps.see(SPLIT, maps)), taps


def _author(network: nn.Module) -> nn.Module:
    """The network as its author names its modules."""
    return network.network if isinstance(network, TakeInputs) else network
