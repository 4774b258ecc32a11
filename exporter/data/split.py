"""The split of a table's rows into those that train, those that stop the training, and those that test."""

import itertools
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import TrainingError, UsageError

FINEST = 100
"""The most folds that rows are dealt into, where groups stay together."""
NEAR = 0.05
"""The relative distance from a fraction that is near enough: fewer folds are dealt sooner."""

Numbers: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class SplitChoice:
    """Where the rows to test with and to stop with come from: tables of their own, or shares of the training table."""

    test: Path | None = None
    """A table of its own; without it a share of the training table is kept back."""
    test_fraction: float = 0.2
    validation: Path | None = None
    validation_fraction: float | None = None
    """The share of the training table that is kept back for the validation; None for no share."""
    by: str | None = None
    """A column whose rows of one value stay together, on one side of every split."""

    def __post_init__(self) -> None:
        for name, share in (("test", self.test_fraction), ("validation", self.validation_fraction)):
            if share is not None and not 0 < share < 1:
                raise UsageError(f"expected a {name} fraction between 0 and 1, got {share}")
        if self.validation is not None and self.validation_fraction is not None:
            raise UsageError("expected --validation or --validation-fraction, got both")
        if self.validation is not None and self.validation == self.test:
            raise UsageError(f"--validation and --test: expected different tables, got {self.test} as both")
        if self.validates and self.fraction + (self.validation_fraction or 0) >= 1:
            raise UsageError(
                f"expected rows to train with, got a test fraction of {self.fraction} and a validation fraction of "
                f"{self.validation_fraction}"
            )

    @property
    def validates(self) -> bool:
        """Whether there are rows for the validation."""
        return self.validation is not None or self.validation_fraction is not None

    @property
    def fraction(self) -> float:
        """The share of the training table that is kept back for the test."""
        return self.test_fraction if self.test is None else 0.0

    @property
    def parts(self) -> int:
        """The number of parts that the training table is split into."""
        return 1 + (self.test is None) + (self.validation_fraction is not None)

    @property
    def tables(self) -> tuple[Path, ...]:
        """The tables beside the training table."""
        return tuple(path for path in (self.validation, self.test) if path is not None)


@dataclass(frozen=True)
class Parts:
    """Row numbers of the training table by use, each in order; the test and the validation may be empty."""

    train: Numbers
    validation: Numbers
    test: Numbers


def split_rows(
    choice: SplitChoice, strata: Numbers | None, groups: NDArray[Any] | None, rows: Numbers, seed: int
) -> Parts:
    """Split rows of a table.

    The test rows do not depend on whether there is a validation.

    Args:
        choice: what is kept back.
        strata: each row's class [N], whose shares every part has as far as the groups allow; None for none.
        groups: each row's group [N], a whole number; None where rows are on their own.
        rows: the places of the rows that are split, in order.
        seed: of the draw.

    Raises:
        TrainingError: the rows cannot be split like that.
    """
    test = validation = np.arange(0)
    if choice.test is None:
        rows, test = hold_out(rows, choice.test_fraction, strata, groups, seed)
    if choice.validation_fraction is not None:
        share = choice.validation_fraction / (1 - choice.fraction)
        rows, validation = hold_out(rows, share, strata, groups, seed)
    return Parts(rows, validation, test)


def hold_out(
    rows: Numbers, fraction: float, strata: Numbers | None, groups: NDArray[Any] | None, seed: int
) -> tuple[Numbers, Numbers]:
    """The rows that stay and the rows that are kept back, each in order; the arguments are those of `split_rows`."""
    part = None if strata is None else strata[rows]
    try:
        if groups is not None:
            kept, held = _by_group(part, groups[rows], fraction, seed)
        else:
            from sklearn.model_selection import train_test_split

            kept, held = train_test_split(np.arange(len(rows)), test_size=fraction, stratify=part, random_state=seed)
    except ValueError as error:
        raise TrainingError(f"{len(rows)} rows cannot be split with the fraction {fraction:.6g}: {error}") from None
    return rows[np.sort(kept)], rows[np.sort(held)]


def _by_group(strata: Numbers | None, groups: NDArray[Any], fraction: float, seed: int) -> tuple[Numbers, Numbers]:
    """Whole groups on each side; with strata, the folds of StratifiedGroupKFold that come nearest to the fraction."""
    from sklearn.model_selection import GroupShuffleSplit, StratifiedGroupKFold

    nothing = np.zeros(len(groups))
    if strata is None:
        shuffle = GroupShuffleSplit(n_splits=1, test_size=fraction, random_state=seed)
        kept, held = next(shuffle.split(nothing, groups=groups))
        return kept, held
    counts = np.bincount(strata)
    if len(np.unique(groups)) < 2 or counts[counts > 0].min() < 2:
        raise ValueError("expected at least 2 groups, and at least 2 rows of every class")
    taken, folds = _share_of_folds(fraction, min(len(np.unique(groups)), int(counts.max()), FINEST))
    dealt = StratifiedGroupKFold(folds, shuffle=True, random_state=seed).split(nothing, strata, groups)
    with warnings.catch_warnings():
        # It warns of classes with fewer rows than folds, which are in some of them.
        warnings.simplefilter("ignore", UserWarning)
        held = np.concatenate([fold for _, fold in itertools.islice(dealt, taken)])
    return np.setdiff1d(np.arange(len(groups)), held), held


def _share_of_folds(fraction: float, most: int) -> tuple[int, int]:
    """The number of folds to take, and that of all folds: the fewest that are near the fraction, or the nearest."""
    shares = [(min(max(1, round(fraction * folds)), folds - 1), folds) for folds in range(2, most + 1)]
    off = [abs(taken / folds - fraction) for taken, folds in shares]
    near = next((place for place, distance in enumerate(off) if distance <= NEAR * min(fraction, 1 - fraction)), None)
    return shares[int(np.argmin(off)) if near is None else near]
