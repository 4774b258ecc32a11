"""Attributions of many pairs of a row and a reference, in passes of bounded memory."""

from collections.abc import Sequence
from math import isqrt

import torch
from torch import Tensor

from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.deepshap import Program, pairs_per_pass

CHECK_PASSES = 4
"""The passes of a check with all pairs of some rows: those of an image take seconds each."""


def attributions(
    program: Program, of_rows: Sequence[Tensor], of_references: Sequence[Tensor], weights: Tensor
) -> Tensor:
    """The attributions [N, C, F] of every logit.

    Args:
        program: eager, or deepshap.pt.
        of_rows: `activations` of N rows.
        of_references: `activations` of R references.
        weights: of the references, [R].
    """
    pairs = pairs_per_pass(_pair_bytes(of_references))
    found = []
    for rows in batch_slices(len(of_rows[0]), max(1, pairs // len(weights))):
        some_rows = [value[rows] for value in of_rows]
        total: Tensor | None = None
        for part in batch_slices(len(weights), pairs):
            made = program.attribute(some_rows, [value[part] for value in of_references], weights[part])
            total = made if total is None else total + made
        assert total is not None
        found.append(total)
    return torch.cat(found)


def checked_rows(values: Sequence[Tensor]) -> int:
    """The number of rows, at least two, all pairs of which with as many references fill the passes of a check.

    Args:
        values: activations of some rows.
    """
    return max(2, isqrt(CHECK_PASSES * pairs_per_pass(_pair_bytes(values))))


def _pair_bytes(values: Sequence[Tensor]) -> int:
    """The size of the largest value of one pair, in every class; the logits [N, C] are the first of the values."""
    return values[0].shape[1] * max(value[0].numel() * value.element_size() for value in values)
