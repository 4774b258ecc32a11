"""What a run wrote beside the same rows computed again: within what the engines and the methods allow, or an error."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.attributions import ATTRIBUTION, AttributionLayout, StoredAttributions
from batch.explainers.settings import ExplainSettings
from batch.layout import ExplanationColumns
from runtime.bundle import Tolerances
from runtime.errors import AuditError, listing
from runtime.parity import row_deviations

# completeness_error is a difference of numbers that are all in the row: only rounding may separate it from theirs.
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Deviations:
    """How far rows are from what the run wrote, at the most."""

    rows: int = 0
    explained: int = 0
    """Explanations of them, one a method and class."""
    probability: float = 0.0
    attribution: float = 0.0
    """In logits."""

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.rows + other.rows,
            self.explained + other.explained,
            max(self.probability, other.probability),
            max(self.attribution, other.attribution),
        )

    def __str__(self) -> str:
        return (
            f"probabilities within {self.probability:.2g}, attributions of {self.explained} explanations within "
            f"{self.attribution:.2g} logits"
        )


class ExplanationComparison:
    """Compares one method's explanations of one class.

    Args:
        attributions: how they stand in the output.
        tolerances: of the bundle.
        explain: the methods' options.
    """

    def __init__(self, attributions: AttributionLayout, tolerances: Tolerances, explain: ExplainSettings) -> None:
        self._attributions = attributions
        self._tolerances = tolerances
        self._explain = explain

    def compare(
        self,
        columns: ExplanationColumns,
        stored: pa.Table,
        again: pa.Table,
        values: Mapping[str, NDArray[np.float32]],
        place: str,
    ) -> Deviations:
        """Compare explained rows; AuditError naming those that are further off than is allowed.

        Args:
            columns: the explanation's.
            stored: N rows as the run wrote them.
            again: the same rows computed again.
            values: their attributions computed again, whole, and what each feature has besides, [N, F] by name.
            place: names the rows' file.
        """
        rows = stored["source_row"].to_pylist()
        model = [columns.score, columns.base_value]
        off = row_deviations(matrix(stored, model), matrix(again, model))
        check_same(rows, off > self._tolerances.outputs, listing(model), place)
        shares = self._attributions.read(stored, columns.prefix, columns.suffix)
        check_same(rows, shares.features.min(axis=1) < 0, f"{columns.method}: features", place)
        score, base = matrix(stored, model).T
        largest = np.abs(shares.values).max(axis=1, initial=0.0)
        allowed = self._tolerances.gradients * np.maximum(1.0, largest)
        makes_a_claim = not np.isnan(base).all()
        if makes_a_claim:
            # A method that refines until a row is within tolerance may stop a step earlier or later.
            own = np.maximum(self._explain.tolerance * np.abs(score - base), self._explain.absolute_tolerance)
            allowed = allowed + own
        differences = self._differences(shares.values, shares, values[ATTRIBUTION])
        if shares.values.shape[1] < values[ATTRIBUTION].shape[1]:
            is_off = ~_are_strongest(shares, values[ATTRIBUTION], allowed)
            check_same(rows, is_off, f"{columns.method}: the strongest attributions", place)
        elif makes_a_claim:
            error = matrix(stored, [columns.completeness_error])[:, 0]
            off = np.abs(np.abs(shares.values.sum(axis=1) - (score - base)) - error)
            scale = 1.0 + np.abs(shares.values).sum(axis=1)
            check_same(rows, ~(off <= SUM_TOLERANCE * scale), columns.completeness_error, place)
        check_same(rows, ~(differences <= allowed), f"{columns.method}: attributions", place)
        for name in values.keys() - {ATTRIBUTION}:
            got = self._attributions.read_beside(stored, columns.prefix, columns.suffix, name)
            is_off = ~(self._differences(got, shares, values[name]) <= allowed)
            check_same(rows, is_off, f"{columns.prefix}{name}{columns.suffix}", place)
        return Deviations(explained=len(rows), attribution=float(differences.max(initial=0.0)))

    def compare_arrays(self, names: Sequence[str], stored: pa.Table, again: pa.Table, place: str) -> None:
        """Compare columns of arrays of explained rows; AuditError naming those that are further off than is allowed."""
        for name in names:
            off = _deviations_of_lists(stored[name], again[name])
            check_same(stored["source_row"].to_pylist(), ~(off <= self._tolerances.gradients), name, place)

    @staticmethod
    def _differences(
        got: NDArray[np.float64], shares: StoredAttributions, values: NDArray[np.float32]
    ) -> NDArray[np.float64]:
        """The largest difference of a row between what is stored [N, K] and all [N, F] computed again, [N]."""
        differences: NDArray[np.float64] = np.abs(got - np.take_along_axis(values, shares.features, axis=1)).max(axis=1)
        return differences


def check_same(rows: Sequence[int], is_off: NDArray[Any], what: str, place: str) -> None:
    """AuditError naming the rows that are off, where any is."""
    if is_off.any():
        bad = [str(row) for row, off in zip(rows, is_off, strict=True) if off]
        raise AuditError(f"{what}: computed again it comes out different, rows {listing(bad)}, in {place}")


def matrix(table: pa.Table, names: list[str]) -> NDArray[np.float64]:
    """Columns of numbers as [N, K] float64, NaN for null."""
    columns = [table[name].to_numpy().astype(np.float64) for name in names]
    return np.stack(columns, axis=1)


def _deviations_of_lists(stored: pa.ChunkedArray, again: pa.ChunkedArray) -> NDArray[np.float64]:
    """The largest deviation in each row's array, [N]; infinite where the lengths differ."""
    return np.array(
        [
            row_deviations(np.array(got)[None], np.array(expected)[None])[0] if len(got) == len(expected) else np.inf
            for got, expected in zip(stored.to_pylist(), again.to_pylist(), strict=True)
        ]
    )


def _are_strongest(
    shares: StoredAttributions, values: NDArray[np.float32], allowed: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether a row's shares [N, K] are of K features, largest first, and no other of all F is larger, [N]."""
    magnitudes = np.abs(shares.values)
    are_ordered = (np.diff(magnitudes, axis=1) <= 0).all(axis=1)
    are_distinct = (np.diff(np.sort(shares.features, axis=1), axis=1) > 0).all(axis=1)
    others = np.abs(values)
    np.put_along_axis(others, shares.features, 0, axis=1)
    answer: NDArray[np.bool_] = are_ordered & are_distinct & (others.max(axis=1) <= magnitudes[:, -1] + allowed)
    return answer
