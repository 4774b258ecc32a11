"""Attributions of a category column, by category."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.gather.columns import category_names
from whyport.runtime.bundle.columns import Column

MOST_CATEGORIES = 12
"""The categories that are shown: the commonest."""


@dataclass(frozen=True)
class CategoryShares:
    """The shares of one category column in some rows, the commonest categories first."""

    name: str
    labels: tuple[str, ...]
    """The names of the categories that are shown, [G]."""
    shares: tuple[NDArray[np.float64], ...]
    """[G] times [n]: the shares of the rows that have each."""
    left_out: int
    """The number of rarer categories."""

    @property
    def rows(self) -> NDArray[np.int64]:
        """The number of rows that have each category, [G]."""
        return np.array([len(each) for each in self.shares], dtype=np.int64)

    @property
    def means(self) -> NDArray[np.float64]:
        """The mean share of each category, [G]."""
        return np.array([each.mean() for each in self.shares])

    @property
    def magnitudes(self) -> NDArray[np.float64]:
        """The mean |share| of each category, [G]."""
        return np.array([np.abs(each).mean() for each in self.shares])


def category_shares(column: Column, codes: NDArray[np.float64], shares: NDArray[np.float64]) -> CategoryShares | None:
    """The shares [n] of rows with these codes [n], NaN where one is not known; None where none is."""
    assert column.categories is not None
    known = np.isfinite(codes)
    found = commonest(codes[known])
    if not len(found):
        return None
    names, shown = category_names(column.categories), found[:MOST_CATEGORIES]
    return CategoryShares(
        name=column.name,
        labels=tuple(names[code] for code in shown),
        shares=tuple(shares[known][codes[known] == code] for code in shown),
        left_out=len(found) - len(shown),
    )


def commonest(codes: NDArray[np.floating]) -> NDArray[np.int64]:
    """The codes that occur, the commonest first."""
    found, rows = np.unique(codes.astype(np.int64), return_counts=True)
    ranked: NDArray[np.int64] = found[np.argsort(-rows, kind="stable")]
    return ranked
