"""The reference sample that attributions are measured against."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import IMAGE, MODEL, Column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import BACKGROUND_NAME, SUMMARY_NAME
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.vectors import read_vectors
from whyport.runtime.errors import BundleError, BundleFormatError, listing

WEIGHT = "weight"

WEIGHTS = TensorSpec(WEIGHT, "float64", ("N",))
"""The column of the weights, beside the features."""


@dataclass(frozen=True)
class References:
    """R reference rows with weights that sum to 1."""

    rows: NDArray[np.float32]
    """[R, F] in the features' own units, and of categories their codes; NaN where the model takes missing values."""
    weights: NDArray[np.float64]
    """[R]: the weight of each row."""

    @classmethod
    def read(cls, bundle: Bundle) -> Self:
        """The bundle's reference sample; raises BundleError if it has none, or one that no mean can be taken of."""
        return cls._read(bundle, BACKGROUND_NAME, "no reference sample to explain against")

    @classmethod
    def summary(cls, bundle: Bundle) -> Self:
        """The few references of explain.onnx; raises BundleError as `read` does, or for another number of rows."""
        return cls._read(bundle, SUMMARY_NAME, "no summary of its reference sample")

    @classmethod
    def _read(cls, bundle: Bundle, name: str, lack: str) -> Self:
        if bundle.whole is not None:
            whole = cls._read(bundle.whole, name, lack)
            return cls(whole.rows[:, list(bundle.places)], whole.weights)
        baseline, spec = bundle.sidecar.baseline(name), bundle.sidecar.row_spec
        if baseline is None or baseline.file is None:
            raise BundleError(f"bundle {bundle.sidecar.name!r} has {lack}")
        content, place = bundle.read_bytes(baseline.file), str(bundle.path / baseline.file)
        try:
            tensors = read_vectors(content, (spec, WEIGHTS))
            rows, weights = tensors[spec.name], tensors[WEIGHTS.name]
            _check(rows, weights, bundle.sidecar.features)
            check_codes(rows, bundle.sidecar.features)
        except BundleFormatError as error:
            raise error.at(place) from None
        if baseline.rows is not None and len(rows) != baseline.rows:
            got = f"{len(rows)}, in {place!r}"
            raise BundleFormatError(f"expected the {baseline.rows} rows of baseline {name!r}, got {got}")
        return cls(rows=rows, weights=weights / weights.sum())

    def mean(self, columns: Sequence[Column]) -> "References":
        """The weighted mean of the values that are there, as a sample of one row; of a category the heaviest code.

        The mean of pixels is a pixel, the nearest whole number.

        Args:
            columns: the F columns, which say where codes of categories and pixels are.
        """
        if len(self.rows) == 1:
            return self
        known = ~np.isnan(self.rows)
        with np.errstate(invalid="ignore"):  # of a column without any value
            sums = self.weights @ np.where(known, self.rows, 0).astype(np.float64)
            mean = (sums / np.where(known.all(axis=0), 1, self.weights @ known)).astype(np.float32)
        for i, column in enumerate(columns):
            if column.categories is not None:
                mean[i] = np.bincount(self.rows[:, i].astype(np.int64), self.weights).argmax()
            if column.kind == IMAGE:
                mean[i] = np.rint(mean[i])
        return References(rows=mean[None], weights=np.ones(1))

    def mean_of(self, scores: Callable[[NDArray[np.float32]], NDArray[np.floating]]) -> NDArray[np.float64]:
        """The base value per class [C]: the weighted mean of a model's scores, [R, F] -> [R, C], over the rows."""
        means: NDArray[np.float64] = self.weights @ scores(self.rows).astype(np.float64)
        return means


def check_codes(rows: NDArray[np.float32], columns: Sequence[Column]) -> None:
    """Raise BundleFormatError for codes that stand for no category of their column."""
    for j, column in enumerate(columns):
        if column.categories is None:
            continue
        bad = np.flatnonzero(~np.isin(rows[:, j], np.arange(column.categories.codes)))
        if len(bad):
            expected = f"column {column.name!r}: expected codes from 0 to {column.categories.missing_code}"
            raise BundleFormatError(f"{expected}, got {rows[bad[0], j]:g} in row {bad[0]}")


def _check(rows: NDArray[np.float32], weights: NDArray[np.float64], columns: Sequence[Column]) -> None:
    """Refuse values that the model does not take, and weights that no mean can have."""
    may_lack = np.array([column.missing == MODEL for column in columns])
    for bad, expected in (
        (~(np.isfinite(rows) | (np.isnan(rows) & may_lack)).all(axis=1), "finite features"),
        (~(np.isfinite(weights) & (weights >= 0)), "finite weights of at least 0"),
    ):
        if bad.any():
            raise BundleFormatError(f"expected {expected}, got others in rows {listing(map(str, np.flatnonzero(bad)))}")
    with np.errstate(over="ignore"):
        total = weights.sum()
    if not (np.isfinite(total) and total > 0):
        raise BundleFormatError(f"expected weights with a positive sum, got {total}")
