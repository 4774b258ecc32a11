"""The neighbourhood of a row that LIME fits: which players are there in each sample, and how much it weighs."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Weigh = Callable[[NDArray[np.bool_]], NDArray[np.float64]]
"""The weights [S] of samples [S, G]."""

IMAGE_WIDTH = 0.25
"""The kernel's width for cosine distances; `lime` has it for images, and as 25 of 100 for texts."""

TABLE_WIDTH = 0.75
"""The kernel's width for Euclidean distances, in units of the square root of the number of players."""


@dataclass(frozen=True)
class Neighbourhood:
    """S samples around any row of G players; the same for every row. In the first one, all players are there."""

    masks: NDArray[np.bool_]
    """[S, G]: whether each player is there."""
    weights: NDArray[np.float64]
    """[S]"""

    @classmethod
    def draw(cls, seed: int, samples: int, players: int, weigh: Weigh) -> Self:
        """Draw samples in which each player is there by the toss of a coin, as `lime` does with segments.

        Args:
            seed: the same seed gives the same samples.
            samples: S.
            players: G.
            weigh: gives each sample's weight.
        """
        masks = np.random.default_rng(seed).integers(0, 2, (samples, players)).astype(np.bool_)
        masks[:1] = True
        return cls(masks, weigh(masks))


def by_cosine(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weights [S] of samples [S, G] by cosine distance: exp(-d² / 2w²), d = 1 - sqrt(share of players there).

    Source: `lime`'s kernel for images and texts, sqrt(exp(-d² / w²)) with w = 0.25.
    """
    return _kernel(1 - np.sqrt(masks.mean(axis=1)), IMAGE_WIDTH)


def by_euclid(masks: NDArray[np.bool_]) -> NDArray[np.float64]:
    """The weights [S] of samples [S, G] by Euclidean distance: exp(-d² / 2w²), d² the number of players not there.

    Source: `lime`'s kernel for tables, whose w is 0.75 sqrt(G).
    """
    return _kernel(np.sqrt((~masks).sum(axis=1)), TABLE_WIDTH * float(np.sqrt(masks.shape[1])))


def _kernel(distance: NDArray[np.float64], width: float) -> NDArray[np.float64]:
    weights: NDArray[np.float64] = np.sqrt(np.exp(-(distance**2) / width**2))
    return weights
