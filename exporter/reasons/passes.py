"""Attributions of many pairs of a row and a reference, in passes of bounded memory."""

from collections.abc import Iterator, Sequence
from math import isqrt

import torch
from torch import Tensor

from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.deepshap import PASS_BYTES, Program, pairs_per_pass

CHECK_PASSES = 4
"""The passes of a check with all pairs of some rows: those of an image take seconds each."""


def attributions(
    program: Program,
    of_rows: Sequence[Tensor],
    of_references: Sequence[Tensor],
    weights: Tensor,
    classes: Sequence[int] | None = None,
) -> Tensor:
    """The attributions [N, C, F] of every logit, or of those of some classes.

    Args:
        program: eager, or deepshap.pt.
        of_rows: `activations` of N rows.
        of_references: `activations` of R references.
        weights: of the references, [R].
        classes: the positions of the classes.
    """
    identity = program.identity
    chosen = range(len(identity)) if classes is None else classes
    pairs = pairs_per_pass(len(chosen) * _value_bytes(of_references))
    program.identity = identity[list(chosen)]
    try:
        return torch.cat(list(_passes(program, of_rows, of_references, weights, pairs)))
    finally:
        program.identity = identity


def checked_sample(values: Sequence[Tensor]) -> tuple[int, list[int]]:
    """What fills the passes of a check: how many rows, at least two, all pairs of them, and which classes.

    They are all classes, unless rows are so long that a pass holds no pair with all.

    Args:
        values: activations of some rows, the logits [N, C] first.
    """
    count, size = values[0].shape[1], _value_bytes(values)
    most = min(count, max(1, PASS_BYTES // max(size, 1)))
    classes = [round(each) for each in torch.linspace(0, count - 1, most, dtype=torch.float64).tolist()]
    return max(2, isqrt(CHECK_PASSES * pairs_per_pass(most * size))), classes


def _passes(
    program: Program, of_rows: Sequence[Tensor], of_references: Sequence[Tensor], weights: Tensor, pairs: int
) -> Iterator[Tensor]:
    """The attributions of some rows after the other, in passes of so many pairs."""
    for rows in batch_slices(len(of_rows[0]), max(1, pairs // len(weights))):
        some_rows = [value[rows] for value in of_rows]
        total: Tensor | None = None
        for part in batch_slices(len(weights), pairs):
            made = program.attribute(some_rows, [value[part] for value in of_references], weights[part])
            total = made if total is None else total + made
        assert total is not None
        yield total


def _value_bytes(values: Sequence[Tensor]) -> int:
    """The size of the largest value of one pair in one class."""
    return max(value[0].numel() * value.element_size() for value in values)
