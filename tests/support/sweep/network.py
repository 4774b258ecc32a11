"""A small network of the sweep: one operator between eight features and two logits."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

FEATURES = 8


@dataclass(frozen=True)
class Case:
    """What a network computes, and whether it is explained."""

    function: Callable[..., Tensor]
    """Of values [N, *shape], or of the network, which has the parts as attributes, and of the values."""
    shape: tuple[int, ...] = (FEATURES,)
    positive: bool = False
    """Whether the function takes positive values alone."""
    parts: Callable[[], dict[str, Any]] = dict
    """Layers and parameters by name."""
    refusal: str = ""
    """A part of the message that refuses it; empty where it is explained."""


class Network(nn.Module):
    """A case with a linear head, drawn by a fixed seed."""

    def __init__(self, case: Case) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.case = case
        self.takes_network = case.function.__code__.co_argcount == 2 if hasattr(case.function, "__code__") else False
        for name, part in case.parts().items():
            setattr(self, name, part)
        with torch.no_grad():
            width = self._flat(torch.rand(2, FEATURES) + 0.1).shape[1]
        self.head = nn.Linear(width, 2)

    def forward(self, rows: Tensor) -> Tensor:
        """Logits [N, 2] of rows [N, F]."""
        return self.head(self._flat(rows))

    def _flat(self, rows: Tensor) -> Tensor:
        rows = rows.abs() + 0.1 if self.case.positive else rows
        values = rows.reshape(rows.shape[0], *self.case.shape) if len(self.case.shape) > 1 else rows
        result = self.case.function(self, values) if self.takes_network else self.case.function(values)
        return result.reshape(result.shape[0], -1)


def layer(make: Callable[[], nn.Module], shape: tuple[int, ...] = (FEATURES,), refusal: str = "") -> Case:
    """The case of one layer."""
    return Case(lambda net, x: net.layer(x), shape, parts=lambda: {"layer": make()}, refusal=refusal)
