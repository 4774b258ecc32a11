"""Runs deepshap.pt part by part, with a fused kernel in the place of each part that has one."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from batch.explainers import kernels

Part = dict[str, Any]
"""One entry of parts.json: `kernel`, `options`, `rule`, `given`, `passed`, `reads`."""


class FusedProgram:
    """deepshap.pt on the CPU in float32; equal to its own `attribute` to rounding.

    Args:
        module: TorchScript with the methods `part_0`, `part_1`, ... and `finish`.
        parts: what parts.json says about each; None where no kernel can take its place.
    """

    def __init__(self, module: Any, parts: list[Part | None]) -> None:
        self._module = module
        self._parts = [
            self._fused(part) if part and part["kernel"] in KERNELS else getattr(module, f"part_{i}")
            for i, part in enumerate(parts)
        ]

    def attribute(self, of_rows: list[Tensor], of_references: list[Tensor], weights: Tensor) -> Tensor:
        """The attributions [N, C, F] of every logit, from `activations` of N rows and R references, weighted [R]."""
        multipliers = [self._module.identity]
        for part in self._parts:
            multipliers = part(multipliers, of_rows, of_references)
        attributions: Tensor = self._module.finish(multipliers, of_rows, of_references, weights)
        return attributions

    def _fused(self, part: Part) -> Callable[[list[Tensor], list[Tensor], list[Tensor]], list[Tensor]]:
        rule = getattr(self._module.rules, str(part["rule"]))
        kernel = KERNELS[part["kernel"]](rule, **part["options"])

        def run(multipliers: list[Tensor], of_rows: list[Tensor], of_references: list[Tensor]) -> list[Tensor]:
            grid = len(of_rows[0]), len(of_references[0])
            given = [_total([multipliers[i] for i in positions], grid) for positions in part["given"]]
            rows = [of_rows[i].contiguous() for i in part["reads"]]
            references = [of_references[i].contiguous() for i in part["reads"]]
            return [*(multipliers[i] for i in part["passed"]), *kernel(given, rows, references)]

        return run


class _LSTM:
    """The walk back through time of one direction of one layer: the gates' multipliers, then one matrix product."""

    def __init__(self, rule: Any, order: list[int]) -> None:
        self._weight: Tensor = rule.weight  # [4H, H + I]
        self._steps = order[::-1]

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        of_sequence, of_hidden, of_cell = given
        (steps, size), classes = rows[0].shape[2:], next(len(m) for m in given if m is not None)
        size //= 5
        grid = (classes, len(rows[0]), len(references[0]))
        if of_sequence is None:
            of_sequence = torch.zeros(*grid, 1, steps, size)
        both = torch.zeros(*grid, self._weight.shape[1])
        if of_hidden is not None:
            both[..., :size] = of_hidden[..., 0, :]
        cell = torch.zeros(*grid, size) if of_cell is None else of_cell[..., 0, :].clone()
        gates = torch.empty(*grid, 4 * size)
        of_input = torch.empty(*grid, 1, steps, self._weight.shape[1] - size)
        values = [tuple(value[:, 0].numpy() for value in side) for side in (rows, references)]
        flat_gates, flat_both = gates.flatten(0, 2), both.flatten(0, 2)
        arrays = of_sequence[:, :, :, 0].numpy(), both.numpy(), cell.numpy()
        for t in self._steps:
            kernels.lstm_step(t, *arrays, *values, gates.numpy())
            torch.mm(flat_gates, self._weight, out=flat_both)
            of_input[..., 0, t, :] = both[..., size:]
        return [of_input]


class _Softmax:
    """Over the last axis."""

    def __init__(self, rule: Any) -> None:
        pass

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        (m,) = given
        assert m is not None
        of_input = torch.empty_like(m)
        size = m.shape[-1]
        (x, p), (y, q) = (
            [value.reshape(len(value), -1, size).numpy() for value in side] for side in (rows, references)
        )
        shape = (*m.shape[:3], -1, size)
        kernels.softmax(m.view(shape).numpy(), x, y, p, q, of_input.view(shape).numpy())
        return [of_input]


class _MaximumOfPairs:
    """Of elements that are neighbours in a window of two."""

    def __init__(self, rule: Any, sign: int) -> None:
        self._pairs = rule.pairs.numpy()
        self._sign = sign

    def __call__(self, given: list[Tensor | None], rows: list[Tensor], references: list[Tensor]) -> list[Tensor]:
        (m,) = given
        assert m is not None
        (x,), (y,) = rows, references
        of_input = torch.zeros(*m.shape[:3], *x.shape[1:])
        flat_x, flat_y = ((value * self._sign).flatten(1).numpy() for value in (x, y))
        kernels.maximum_of_pairs(
            m.flatten(3).numpy(), flat_x, flat_y, self._pairs, of_input.view(*m.shape[:3], -1).numpy()
        )
        return [of_input]


KERNELS = {"lstm": _LSTM, "softmax": _Softmax, "maximum_of_pairs": _MaximumOfPairs}


def _total(multipliers: list[Tensor], grid: tuple[int, int]) -> Tensor | None:
    """Their sum [C, N, R, ...] on the whole grid, laid out in this order; None where there are none."""
    if not multipliers:
        return None
    total = sum(multipliers[1:], multipliers[0])
    return total.expand(len(total), *grid, *total.shape[3:]).contiguous()
