"""Rows of a finished run beside the same rows computed again: what rounding may separate, and what not."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.columns import SOURCE_ROW, ExplanationColumns
from whyport.batch.output.label_maps import labels_of
from whyport.batch.output.layouts import ATTRIBUTION, AttributionLayout, StoredAttributions
from whyport.runtime.errors import AuditError, listing
from whyport.runtime.parity import row_deviations
from whyport.runtime.task import Task

# completeness_error is a difference of numbers that are all in the row: only rounding may separate it from them. The
# score is a float32, and sums of shares are in float64.
SCORE_ROUNDING = 1e-6
SUM_ROUNDING = float(np.finfo(np.float64).eps)


@dataclass(frozen=True)
class Deviations:
    """The largest deviations of recomputed rows from the run's rows."""

    rows: int = 0
    explained: int = 0
    """The number of explanations of these rows, one per method and target."""
    prediction: float = 0.0
    attributions: Mapping[str, float] = field(default_factory=dict)
    """The largest deviation of an attribution, by the unit of the methods."""

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.rows + other.rows,
            self.explained + other.explained,
            max(self.prediction, other.prediction),
            {
                unit: max(each.attributions.get(unit, 0.0) for each in (self, other))
                for unit in {**self.attributions, **other.attributions}
            },
        )

    def text(self, task: Task) -> str:
        """The deviations, in the terms of the model's task."""
        predicted = "probabilities" if task.probability_columns else "predictions"
        within = ", ".join(_with_unit(off, unit.format(unit=task.unit)) for unit, off in self.attributions.items())
        return (
            f"{predicted} within {self.prediction:.2g}, attributions of {self.explained} explanations within "
            f"{within or f'0 {task.unit}'}"
        )


def _with_unit(off: float, unit: str) -> str:
    """A deviation in words; some methods have a range in place of a unit."""
    return f"{off:.2g} on a scale of {unit}" if unit[0].isdigit() else f"{off:.2g} {unit}"


class ExplanationComparison:
    """Compares one method's explanations of one target.

    Args:
        layout: the layout of the attributions.
        tolerances: the bundle's tolerances.
        explain: the methods' options.
    """

    def __init__(self, layout: AttributionLayout, tolerances: Mapping[str, float], explain: ExplainSettings) -> None:
        self._layout = layout
        self._tolerances = tolerances
        self._explain = explain

    def compare(
        self,
        columns: ExplanationColumns,
        stored: pa.Table,
        again: pa.Table,
        values: Mapping[str, NDArray[np.floating[Any]]],
        scale: NDArray[np.float64],
        place: str,
        nearby: Callable[[], NDArray[np.float64]],
    ) -> Deviations:
        """Compare explained rows; raises AuditError naming the rows that deviate by more than is allowed.

        Those of a method by gradients may also be of a row within rounding: at a bend of the score, others are right.

        Args:
            columns: the explanation's columns.
            stored: N rows as the run wrote them.
            again: the same rows computed again.
            values: all attributions computed again, and further per-feature values, [N, F] by name.
            scale: the scale of each row's explained score, [N].
            place: the name of the rows' file.
            nearby: computes how much the attributions change within rounding of each row, [N].
        """
        rows = stored[SOURCE_ROW].to_pylist()
        model = [columns.score, columns.base_value]
        off = row_deviations(matrix(stored, model), matrix(again, model), scale[:, None])
        check_same(rows, ~(off <= self._tolerances["outputs"]), listing(model), place)
        shares = self._layout.read(stored, columns.prefix, columns.suffix)
        check_same(rows, shares.features.min(axis=1) < 0, f"{columns.method}: features", place)
        if shares.has is not None:
            expected = self._layout.read(again, columns.prefix, columns.suffix).has
            check_same(rows, (shares.has != expected).any(axis=1), f"{columns.method}: the number of steps", place)
        score, base = matrix(stored, model).T
        largest = np.abs(shares.values).max(axis=1, initial=0.0)
        makes_a_claim = not np.isnan(base).all()
        # Gradients are in another unit than scores.
        allowed = self._tolerances["gradients"] * np.maximum(scale if makes_a_claim else np.minimum(1, scale), largest)
        if makes_a_claim:
            # A method that refines until a row is within tolerance may stop a step earlier or later, which it counts.
            own = np.maximum(self._explain.tolerance * np.abs(score - base), self._explain.absolute_tolerance * scale)
            has_other_steps = different(stored[columns.evaluations], again[columns.evaluations])
            allowed = allowed + np.where(has_other_steps, own, 0.0)
        differences = self._differences(shares.values, shares, values[ATTRIBUTION])
        if (differences > allowed).any() and find_method(columns.method).by_gradients:
            allowed = allowed + nearby()
        if shares.values.shape[1] < values[ATTRIBUTION].shape[1]:
            is_off = ~_are_strongest(shares, values[ATTRIBUTION], allowed)
            check_same(rows, is_off, f"{columns.method}: the strongest attributions", place)
            if makes_a_claim and self._layout.positions.add_up:
                said, found = (matrix(each, [columns.completeness_error])[:, 0] for each in (stored, again))
                check_same(rows, ~(np.abs(said - found) <= allowed), columns.completeness_error, place)
        elif makes_a_claim and self._layout.positions.add_up:
            error = matrix(stored, [columns.completeness_error])[:, 0]
            off = np.abs(np.abs(shares.values.sum(axis=1) - (score - base)) - error)
            rounding = SUM_ROUNDING * shares.values.shape[1] * np.abs(shares.values).sum(axis=1)
            rounding += SCORE_ROUNDING * np.maximum(scale, np.abs(score))
            check_same(rows, ~(off <= rounding), columns.completeness_error, place)
        check_same(rows, ~(differences <= allowed), f"{columns.method}: attributions", place)
        for name in values.keys() - {ATTRIBUTION}:
            got = self._layout.read_extra(stored, columns.prefix, columns.suffix, name)
            is_off = ~(self._differences(got, shares, values[name]) <= allowed)
            check_same(rows, is_off, f"{columns.prefix}{name}{columns.suffix}", place)
        unit = find_method(columns.method).unit
        return Deviations(explained=len(rows), attributions={unit: float(differences.max(initial=0.0))})

    def compare_arrays(self, names: Sequence[str], stored: pa.Table, again: pa.Table, place: str) -> None:
        """Compare array columns of explained rows; raises AuditError naming the rows that deviate too much."""
        for name in names:
            there = pc.is_valid(again[name])
            one, other = stored.filter(there), again.filter(there)
            off = _deviations_of_lists(one[name], other[name])
            check_same(one[SOURCE_ROW].to_pylist(), ~(off <= self._tolerances["gradients"]), name, place)

    @staticmethod
    def _differences(
        got: NDArray[np.float64], shares: StoredAttributions, values: NDArray[np.floating[Any]]
    ) -> NDArray[np.float64]:
        """The largest difference per row between the stored [N, K] and all recomputed [N, F] attributions, [N]."""
        differences: NDArray[np.float64] = np.abs(got - np.take_along_axis(values, shares.features, axis=1)).max(axis=1)
        return differences


def check_same(rows: Sequence[int], is_off: NDArray[Any], what: str, place: str) -> None:
    """Raise AuditError naming the rows that are off, if there are any."""
    if is_off.any():
        bad = [str(row) for row, off in zip(rows, is_off, strict=True) if off]
        raise AuditError(f"{what}: computed again it comes out different, rows {listing(bad)}, in {place}")


def different(stored: pa.ChunkedArray, again: pa.ChunkedArray) -> NDArray[np.bool_]:
    """Whether values differ, [N]; null is the same as null alone."""
    is_other = pc.fill_null(pc.not_equal(stored, again.cast(stored.type)), False).to_numpy()
    found: NDArray[np.bool_] = is_other | (pc.is_null(stored).to_numpy() != pc.is_null(again).to_numpy())
    return found


def matrix(table: pa.Table, names: list[str]) -> NDArray[np.float64]:
    """Numeric columns as [N, K] float64, NaN for null."""
    columns = [table[name].to_numpy().astype(np.float64) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((table.num_rows, 0))


def _deviations_of_lists(stored: pa.ChunkedArray, again: pa.ChunkedArray) -> NDArray[np.float64]:
    """The largest deviation in each row's array, or of its number, [N]; infinite where the lengths differ."""
    return np.array(
        [
            row_deviations(got[None], expected[None])[0] if len(got) == len(expected) else np.inf
            for got, expected in zip(*(map(np.atleast_1d, each.to_pylist()) for each in (stored, again)), strict=True)
        ]
    )


def are_same_maps(one: bytes, other: bytes) -> bool:
    """Whether two PNG files, which may be compressed in other ways, have the same segments."""
    return np.array_equal(labels_of(one), labels_of(other))


def _are_strongest(
    shares: StoredAttributions, values: NDArray[np.floating[Any]], allowed: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """Whether a row's shares [N, K] are of K features, largest first, and no other of the F is larger, [N]."""
    magnitudes = np.abs(shares.values)
    are_ordered = (np.diff(magnitudes, axis=1) <= 0).all(axis=1)
    are_distinct = (np.diff(np.sort(shares.features, axis=1), axis=1) > 0).all(axis=1)
    others = np.abs(values)
    np.put_along_axis(others, shares.features, 0, axis=1)
    answer: NDArray[np.bool_] = are_ordered & are_distinct & (others.max(axis=1) <= magnitudes[:, -1] + allowed)
    return answer
