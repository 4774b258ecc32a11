"""What a rule is: how one operator passes multipliers back from its output to its inputs.

A multiplier m of a value v says that v's difference between row and reference, times m, is v's share of the logit's
difference (Shrikumar et al. 2017, arXiv:1704.02685, section 3.2). A rule conserves: over its inputs, the sum of
multiplier x difference is that of its output.

Axes: a value v has the batch in front, [B, *shape]; a multiplier has [C, N, R, *shape], where N and R may be 1 as long
as it is the same for every row or reference.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

Shape = tuple[int, ...]

GRID = 3
"""Axes in front of a multiplier's own: classes, rows, references."""


class Pair(NamedTuple):
    """A value in rows and references, shaped to meet on the grid of pairs.

    Where both are the same tensor, a rule gives the derivative.
    """

    row: Tensor
    """[N, 1, *shape]"""
    reference: Tensor
    """[1, R, *shape]"""

    def difference(self) -> Tensor:
        """[N, R, *shape]"""
        return self.row - self.reference

    def mean(self) -> Tensor:
        """[N, R, *shape]"""
        return (self.row + self.reference) * 0.5


def settled(m: Tensor, value: Pair) -> Tensor:
    """The multipliers m of a value; 0 where they are infinite or undefined and the value does not change.

    Nothing that does not change has a share, however steep the operator is there. A derivative stays what it is.
    """
    if value.row is value.reference:
        return m
    steep = (value.row == value.reference) & ~(m.abs() < torch.inf)
    return torch.where(steep, torch.zeros_like(m), m)


@dataclass(frozen=True)
class Kernel:
    """A fused kernel that may take a rule's place, where a consumer has one of that name."""

    name: str
    options: Mapping[str, object]
    """What it needs to know beside the rule's buffers."""


class Rule(nn.Module, ABC):
    """One operator of the graph with its rule; its buffers are its constants."""

    outputs = 1
    """How many outputs can have multipliers."""
    propagates = True
    """Whether multipliers pass through it; otherwise its outputs are given, and nobody's."""
    keeps_finite = False
    """Whether finite inputs make finite outputs, of magnitudes that float32 holds."""
    reads_inputs = False
    """Whether the multipliers depend on the inputs' values."""
    reads_outputs: tuple[int, ...] = ()
    """The outputs on whose values the multipliers depend."""
    reads_portable: tuple[int, ...] | None = None
    """`reads_outputs` of the portable form, where that gives others."""
    kernel: Kernel | None = None

    @abstractmethod
    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """The operator's outputs [B, *shape] from its inputs, and anything else that `propagate` reads."""

    @abstractmethod
    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        """The multipliers of the inputs.

        Args:
            multipliers: of the outputs; None where nothing depends on an output.
            inputs: the inputs' values, if the rule reads them.
            outputs: the values of the outputs that the rule reads.
        """

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """`activate`, with NaN wherever an output depends on a NaN of an input."""
        return self.activate(inputs)

    def activate_portable(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        """`activate` for a portable graph, where few large operators are better than many small ones.

        PyTorch runs a rule step by step on values that fit a cache. A portable graph pays for every node, in size and
        in each runtime's overhead: what does not wait for the step before is computed for all steps at once.
        """
        return self.activate(inputs)

    def propagate_portable(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        """`propagate` for a portable graph, see `activate_portable`."""
        return self.propagate(multipliers, inputs, outputs)


class LinearRule(Rule):
    """A linear or affine operator of one input: multipliers pass through its transpose."""

    keeps_finite = True

    @abstractmethod
    def transform(self, x: Tensor) -> Tensor:
        """[B, *in] -> [B, *out]"""

    @abstractmethod
    def transpose(self, m: Tensor) -> Tensor:
        """[P, *out] -> [P, *in], without the constant part of an affine operator."""

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        (x,) = inputs
        return [self.transform(x)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m = only(multipliers)
        flat = self.transpose(m.flatten(0, GRID - 1))
        return [flat.reshape(*m.shape[:GRID], *flat.shape[1:])]


def tainted(outputs: Sequence[Tensor], *inputs: Tensor) -> list[Tensor]:
    """Outputs of functions of single elements, as `Rule.probe` gives them: NaN where an input, broadcast, is."""
    return [output + sum(torch.where(x.isnan(), torch.nan, 0.0) for x in inputs) for output in outputs]


def only(multipliers: Sequence[Tensor | None]) -> Tensor:
    """The multiplier of an operator with one output."""
    (m,) = multipliers
    assert m is not None
    return m


def aligned(value: Tensor, front: int, own: int, rank: int) -> Tensor:
    """A value with `front` axes and `own` axes of its own, given axes of size 1 between them up to `rank` own axes."""
    for _ in range(rank - own):
        value = value.unsqueeze(front)
    return value


def unbroadcast(m: Tensor, shape: Shape) -> Tensor:
    """The transpose of broadcasting from `shape`: the sum over the axes along which the value was repeated."""
    extra = m.ndim - GRID - len(shape)
    if extra:
        m = m.flatten(GRID, GRID + extra - 1).sum(GRID)
    repeated = [axis - len(shape) for axis, size in enumerate(shape) if size == 1 and m.shape[axis - len(shape)] != 1]
    return m.sum(repeated, keepdim=True) if repeated else m
