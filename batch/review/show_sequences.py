"""A row's sequences in words: what spoke for and against, by feature and by step."""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.method import SCORE_UNIT
from whyport.batch.methods.positions import Positions


def sequence_lines(
    positions: Positions, method: str, shares: NDArray[np.float64], has: NDArray[np.bool_], top: int
) -> Iterator[str]:
    """The sums over each sequence's other axis, the largest first; nothing where the shares are no cells.

    A method that tells no features apart has a value for each step, and no sums.

    Args:
        positions: the positions of the shares.
        method: the method that gave the shares.
        shares: all shares of a row, [G].
        has: whether the row has each of them, [G].
        top: how many features, and how many steps, to name.
    """
    entry = find_method(method)
    are_of_score = entry.unit == SCORE_UNIT
    parts = "what spoke for it, and against" if are_of_score else "its positive and its negative part"
    for block in positions.sequences:
        if len(block.axes) == 2:
            own, feature = block.of(has).all(axis=1), block.axes[-1]
            cells = block.of(shares)[own]
            labels = feature.labels or tuple(str(i) for i in range(cells.shape[1]))
            steps = tuple(f"step {i}" for i in range(cells.shape[0]))
            if entry.of_steps:
                yield from _steps(f"{block.input} by step: {entry.unit}", steps, cells[:, 0], top)
                continue
            yield from _sums(f"{block.input} by feature: {parts}", labels, cells.T, top)
            yield from _sums(f"{block.input} by step: {parts}", steps, cells, top)


def _steps(title: str, names: Sequence[str], values: NDArray[np.float64], top: int) -> Iterator[str]:
    yield f"  {title}"
    for i in np.argsort(-values, kind="stable")[:top]:
        yield f"  {values[i]:12.5g}  {names[i]}"


def _sums(title: str, names: Sequence[str], cells: NDArray[np.float64], top: int) -> Iterator[str]:
    """The sums of cells [names, n], each with its positive and its negative part."""
    sums = cells.sum(axis=1)
    parts = np.clip(cells, 0, None).sum(axis=1), np.clip(cells, None, 0).sum(axis=1)
    order = np.argsort(-np.abs(sums), kind="stable")
    yield f"  {title}"
    for i in order[:top]:
        yield f"  {sums[i]:+12.5g} = {parts[0][i]:+.4g} {parts[1][i]:+.4g}  {names[i]}"
    if len(order) > top:
        rest = order[top:]
        for_it, against = (part[rest].sum() for part in parts)
        yield f"  {sums[rest].sum():+12.5g} = {for_it:+.4g} {against:+.4g}  {len(rest)} others together"
