"""Rows drawn at random from the parts of a run."""

import random
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.batch.review.checks.audited import AuditedPart


def drawn_of(
    parts: Sequence[AuditedPart], counts: Sequence[int], sample: int, seed: int
) -> Iterator[tuple[AuditedPart, NDArray[np.int64]]]:
    """The parts with drawn rows, in order, each with the places of these among its own rows, ascending.

    Args:
        parts: the parts.
        counts: the rows of each.
        sample: how many rows to draw; all where there are fewer.
        seed: the seed.
    """
    total = sum(counts)
    drawn = np.array(sorted(random.Random(seed).sample(range(total), min(sample, total))), dtype=np.int64)
    first = 0
    for part, count in zip(parts, counts, strict=True):
        inside = drawn[(drawn >= first) & (drawn < first + count)] - first
        first += count
        if len(inside):
            yield part, inside
