"""deepshap.pt run part by part, with a fused kernel in place of each part that has one."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from whyport.batch.methods.deepshap import kernels, maxima
from whyport.runtime.bundle.deepshap import KernelName, Part, Program, Propagate, part, rule
from whyport.runtime.errors import BundleError


class FusedProgram:
    """deepshap.pt on the CPU in float32; equal to its own `attribute` to rounding.

    Args:
        program: deepshap.pt, on the CPU.
        parts: the record of its parts; None where no kernel can replace a part.
    """

    def __init__(self, program: Program, parts: Sequence[Part | None]) -> None:
        self._program = program
        self._parts: list[Propagate] = [
            self._fused(described) if described and described.kernel in KERNELS else part(program, i)
            for i, described in enumerate(parts)
        ]

    def attribute(
        self,
        of_rows: list[Tensor],
        of_references: list[Tensor],
        weights: Tensor,
        of_logits: Tensor | None = None,
    ) -> Tensor:
        """The attributions [N, M, F] of M logits of each row.

        Args:
            of_rows: `activations` of N rows.
            of_references: `activations` of R references.
            weights: of the references, [R].
            of_logits: the multipliers of the logits, [M, N, 1, 1, C]; None for all C logits in order.
        """
        multipliers = [self._program.identity if of_logits is None else of_logits]
        for propagate in self._parts:
            multipliers = propagate(multipliers, of_rows, of_references)
        attributions: Tensor = self._program.finish(multipliers, of_rows, of_references, weights)
        return attributions

    def _fused(self, described: Part) -> Propagate:
        kernel = KERNELS[described.kernel](rule(self._program, described.rule), **described.options)

        def run(
            multipliers: Sequence[Tensor], of_rows: Sequence[Tensor], of_references: Sequence[Tensor]
        ) -> list[Tensor]:
            given = [_total([multipliers[i] for i in positions]) for positions in described.given]
            rows, references = ([side[i] for i in described.reads] for side in (of_rows, of_references))
            return [*(multipliers[i] for i in described.passed), *kernel(given, rows, references)]

        return run


class _LSTM:
    """The walk back through time for one direction of one layer: the gates' multipliers, then one matrix product."""

    def __init__(self, rule: Any, order: list[int]) -> None:
        self._weight: Tensor = rule.weight  # [4H, H + I]
        self._steps = order[::-1]
        self._step = kernels.lstm_step(len(rule.weight) // 4)

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        of_sequence, of_hidden, of_cell = (None if m is None else on_grid(m, rows, references) for m in given)
        (steps, size), classes = rows[0].shape[2:], next(len(m) for m in given if m is not None)
        size //= 5
        _expect(sorted(self._steps) == list(range(steps)), "every step once")
        _expect(len(self._weight) == 4 * size and _like(rows, references), "gates of the state's size")
        grid = (classes, len(rows[0]), len(references[0]))
        if of_sequence is None:
            of_sequence = torch.zeros(*grid, 1, steps, size)
        both = torch.zeros(*grid, self._weight.shape[1])
        if of_hidden is not None:
            both[..., :size] = of_hidden[..., 0, :]
        cell = torch.zeros(*grid, size) if of_cell is None else of_cell[..., 0, :].clone()
        gates = torch.empty(*grid, 4 * size)
        of_input = torch.empty(*grid, 1, steps, self._weight.shape[1] - size)
        values = [
            tuple(value[:, 0].transpose(0, 1).contiguous().numpy() for value in side) for side in (rows, references)
        ]
        flat_gates, flat_both = gates.flatten(0, 2), both.flatten(0, 2)
        arrays = of_sequence[:, :, :, 0].numpy(), both.numpy(), cell.numpy()
        for t in self._steps:
            self._step(t, *arrays, *values, gates.numpy())
            torch.mm(flat_gates, self._weight, out=flat_both)
            of_input[..., 0, t, :] = both[..., size:]
        return [of_input]


class _Softmax:
    """The rule for softmax over the last axis."""

    def __init__(self, rule: Any) -> None:
        pass

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        m = on_grid(given[0], rows, references)
        _expect(_like([*rows, *references], [m[0, 0]] * 4), "values of the multipliers' size")
        of_input = torch.empty_like(m)
        size = m.shape[-1]
        (x, p), (y, q) = (
            [value.reshape(len(value), -1, size).transpose(1, 2).contiguous().numpy() for value in side]
            for side in (rows, references)
        )
        shape = (*m.shape[:3], -1, size)
        kernels.softmax(m.view(shape).numpy(), x, y, p, q, of_input.view(shape).numpy())
        return [of_input]


class _MaximumOfPairs:
    """The rule for the maximum of two neighbours in a window of two."""

    def __init__(self, rule: Any, sign: int) -> None:
        self._pairs: Tensor = rule.pairs
        self._sign = sign

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        (x,), (y,), (m,) = rows, references, given
        assert m is not None
        # The multipliers are read in their order in memory, and written to their own places.
        order = axes_in_memory(m[0, 0, 0])
        pairs = self._pairs.view(*m.shape[3:], 2).permute(-1, *order).flatten(1)
        m = on_grid(m.permute(0, 1, 2, *(3 + axis for axis in order)), rows, references)
        of_input = torch.zeros(*m.shape[:3], x[0].numel())
        flat_x, flat_y = ((value * self._sign).flatten(1)[:, pairs].contiguous().numpy() for value in (x, y))
        maxima.maximum_of_pairs(m.flatten(3).numpy(), flat_x, flat_y, pairs.contiguous().numpy(), of_input.numpy())
        return [of_input.view(*m.shape[:3], *x.shape[1:])]


class _MaximumOfWindows:
    """The rule for the maximum of windows; two by two neighbours, which tile a plane, have a kernel of their own."""

    def __init__(self, rule: Any, sign: int) -> None:
        self._windows: Tensor = rule.windows.contiguous()
        self._sign = np.float32(sign)

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        (x,), (y,), m = rows, references, on_grid(given[0], rows, references)
        count = len(self._windows)
        planes, rest = divmod(m[0, 0, 0].numel(), count)
        _expect(rest == 0 and x[0].numel() % planes == 0 and _like(rows, references), "planes of one size")
        size = x[0].numel() // planes
        _expect(int(self._windows.min()) >= -1 and int(self._windows.max()) < size, "windows inside of a plane")
        of_input = torch.zeros(*m.shape[:3], *x.shape[1:])
        blocks = self._are_blocks(m.shape[-2:], x.shape[-2:])
        plane, outputs = (x.shape[-2:], m.shape[-2:]) if blocks else ((size,), (count,))
        of_rows, of_references = (v.reshape(len(v), planes, *plane).contiguous().numpy() for v in (x, y))
        grid = (*m.shape[:3], planes)
        given_flat, flat = m.view(*grid, *outputs).numpy(), of_input.view(*grid, *plane).numpy()
        if blocks:
            maxima.maximum_of_blocks(given_flat, of_rows, of_references, self._sign, flat)
        else:
            maxima.maximum_of_windows(given_flat, of_rows, of_references, self._windows.numpy(), self._sign, flat)
        return [of_input]

    def _are_blocks(self, shape: Sequence[int], plane: Sequence[int]) -> bool:
        """Whether the windows are the blocks of two by two neighbours of a plane [H, W], in order."""
        (height, width), (rows, columns) = shape, plane
        if self._windows.shape != (height * width, 4) or 2 * height > rows or 2 * width > columns:
            return False
        starts = 2 * (torch.arange(height)[:, None] * columns + torch.arange(width))
        return torch.equal(self._windows, starts.reshape(-1, 1) + torch.tensor([0, 1, columns, columns + 1]))


class _ReLU:
    """The rescale rule."""

    def __init__(self, rule: Any) -> None:
        pass

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        m = on_grid(given[0], rows, references)
        _expect(_like([*rows, *references], [m[0, 0]] * 2), "values of the multipliers' size")
        of_input = torch.empty_like(m)
        x, y = (value.flatten(1).numpy() for value in (*rows, *references))
        kernels.relu(m.flatten(3).numpy(), x, y, of_input.flatten(3).numpy())
        return [of_input]


class _SmallProducts:
    """The rule for batches of small matrix products; the multipliers have the memory layout of the values.

    An operation that reshapes a value by a view can then reshape its multiplier in the same way.
    """

    def __init__(self, rule: Any, rows: int, columns: int, inner: int) -> None:
        self._sizes = rows, columns, inner
        self._kernel = kernels.small_products(rows, columns, inner)

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        (m,) = given
        assert m is not None
        lefts, rights = (rows[0], references[0]), (rows[1].mT, references[1].mT)
        if m.shape[1:3] == (1, 1):
            return [self._of_uniform(m, rights, lefts[0]), self._of_uniform(m.mT, lefts, rights[0]).mT]
        m = on_grid(m, rows, references)
        sizes = *m.shape[-2:], lefts[0].shape[-1]
        _expect(sizes == self._sizes and _like(rows, references), f"matrices of {self._sizes}")
        empty = [Lines(m, value) for value, _ in (lefts, rights)]
        flat = m.reshape(*m.shape[:3], -1, *m.shape[-2:]).numpy()
        outs = tuple(o.starts for o in empty), tuple(o.flat for o in empty)
        self._kernel(flat, _batches(rights), _batches(lefts), *outs)
        return [empty[0].tensor, empty[1].tensor.mT]

    @staticmethod
    def _of_uniform(m: Tensor, others: tuple[Tensor, Tensor], value: Tensor) -> Tensor:
        """The multipliers where m is the same for every pair: products per row and per reference give all pairs'."""
        order = axes_in_memory(value[0])
        half = 0.5 * m
        row, reference = (
            (half @ other.unsqueeze(axis)).permute(0, 1, 2, *(3 + axis for axis in order)).contiguous()
            for axis, other in zip((1, 0), others, strict=True)
        )
        return (row + reference).permute(0, 1, 2, *(3 + order.index(axis) for axis in range(len(order))))


class Lines:
    """Storage for the multipliers [C, N, R, ..., K] of a value, in the value's memory layout except the last axis."""

    def __init__(self, m: Tensor, value: Tensor) -> None:
        own = value.shape[1:]
        order = [axis for axis in axes_in_memory(value[0]) if axis != len(own) - 1] + [len(own) - 1]
        back = [order.index(axis) for axis in range(len(own))]
        made = torch.empty(*m.shape[:3], *(own[axis] for axis in order))
        self.tensor = made.permute(0, 1, 2, *(3 + axis for axis in back))
        self.flat = made.flatten(3).numpy()
        places = torch.arange(made[0, 0, 0].numel()).view(made.shape[3:]).permute(back)[..., 0]
        self.starts = places.reshape(-1, own[-2]).numpy()


KERNELS: dict[str, Callable[..., Callable[..., list[Tensor]]]] = {
    KernelName.LSTM: _LSTM,
    KernelName.SOFTMAX: _Softmax,
    KernelName.MAXIMUM_OF_PAIRS: _MaximumOfPairs,
    KernelName.MAXIMUM_OF_WINDOWS: _MaximumOfWindows,
    KernelName.RELU: _ReLU,
    KernelName.SMALL_PRODUCTS: _SmallProducts,
}


def _expect(holds: bool, expected: str) -> None:
    """Refuse sizes with which a kernel, which checks none, would leave its arrays."""
    if not holds:
        raise BundleError(f"fused kernel: expected {expected}, got others")


def _like(some: Sequence[Tensor], others: Sequence[Tensor]) -> bool:
    """Whether tensors have the same shapes, whatever their numbers of rows."""
    return len(some) == len(others) and all(a.shape[1:] == b.shape[1:] for a, b in zip(some, others, strict=True))


def axes_in_memory(value: Tensor) -> list[int]:
    """The axes, ordered from the longest memory stride to the shortest."""
    return sorted(range(value.ndim), key=value.stride, reverse=True)


def on_grid(m: Tensor | None, rows: list[Tensor], references: list[Tensor]) -> Tensor:
    """Multipliers [C, N, R, ...] for every pair of row and reference, laid out in this order."""
    assert m is not None
    return m.expand(len(m), len(rows[0]), len(references[0]), *m.shape[3:]).contiguous()


def _batches(values: tuple[Tensor, Tensor]) -> tuple[Any, ...]:
    return tuple(value.reshape(len(value), -1, *value.shape[-2:]).contiguous().numpy() for value in values)


def _total(multipliers: list[Tensor]) -> Tensor | None:
    """The sum of multipliers; None where there are none."""
    return sum(multipliers[1:], multipliers[0]) if multipliers else None
