"""Rows beside rows, nearer than any two rows of data are: where gradients differ between them, a row is at a bend.

At a bend of the score, as a ReLU has one at 0, there are two gradients, and rounding alone decides which one is given.
"""

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import LENGTH, TOKEN, Column

NEARBY, SIDES = 1e-6, 2
"""How far from a row its gradient may not change, in spreads of the features, and in how many directions."""


def both_sides(
    rows: NDArray[np.float32], features: Sequence[Column]
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.float32]]]:
    """Rows [N, F] moved a little forth and back, in some directions; categories, lengths and tokens stay.

    Args:
        rows: raw rows [N, F].
        features: their spread is the unit of the distance.
    """
    fixed = [each.categories is not None or each.kind in (LENGTH, TOKEN) for each in features]
    spread = np.where(fixed, 0.0, [each.spread for each in features])
    draw = np.random.default_rng(0)
    for _ in range(SIDES):
        step = (NEARBY * spread * draw.choice([-1.0, 1.0], rows.shape)).astype(np.float32)
        yield rows + step, rows - step
