"""Rows of a finished run computed again from the input and the bundle, and compared with the stored rows."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import chain
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.arrow import python_values
from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.columns import (
    IMPUTED_COUNT,
    SOURCE_FILE,
    SOURCE_ROW,
    ExplanationColumns,
    OutputColumns,
)
from whyport.batch.output.label_maps import labels_of
from whyport.batch.output.layouts import ATTRIBUTION, AttributionLayout, StoredAttributions
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.batch.rows import CleanBatch, PredictedRows, ScoredRows
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.scoring.selection import KnownColumns
from whyport.batch.source.cleaning import RowCleaner
from whyport.batch.source.kept import widened
from whyport.runtime.bends import both_sides
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import AuditError, listing
from whyport.runtime.parity import row_deviations
from whyport.runtime.session import Session
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
        within = ", ".join(f"{off:.2g} {unit.format(unit=task.unit)}" for unit, off in self.attributions.items())
        return (
            f"{predicted} within {self.prediction:.2g}, attributions of {self.explained} explanations within "
            f"{within or f'0 {task.unit}'}"
        )


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
            # A method that refines until a row is within tolerance may stop a step earlier or later.
            own = np.maximum(self._explain.tolerance * np.abs(score - base), self._explain.absolute_tolerance * scale)
            allowed = allowed + own
        differences = self._differences(shares.values, shares, values[ATTRIBUTION])
        if (differences > allowed).any() and find_method(columns.method).by_gradients:
            allowed = allowed + nearby()
        if shares.values.shape[1] < values[ATTRIBUTION].shape[1]:
            is_off = ~_are_strongest(shares, values[ATTRIBUTION], allowed)
            check_same(rows, is_off, f"{columns.method}: the strongest attributions", place)
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


def _are_same_maps(one: bytes, other: bytes) -> bool:
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


class Recomputer:
    """Computes rows again with the run's own settings.

    Args:
        bundle: the run's bundle.
        run: the run.
        columns: the run's output columns.
        device: the device that computes.
    """

    def __init__(self, bundle: Bundle, run: FinishedRun, columns: OutputColumns, device: str) -> None:
        settings, task = run.settings, run.task
        self._task = task
        self._keep = settings.keep
        self._columns = columns
        self._tolerances = bundle.sidecar.tolerances
        self._features = bundle.sidecar.features
        explain = settings.explain_settings
        self._comparison = ExplanationComparison(columns.layout, self._tolerances, explain)
        self._selection = run.selection
        choice = run.job.choice
        self._cleaner = RowCleaner(
            bundle.sidecar,
            settings.on_bad_row,
            choice.label,
            on_unseen=settings.on_unseen,
            read_file=bundle.read_bytes,
        )
        self._scorer = Scorer(Session(bundle, device), settings.methods, choice, explain, run.reduction(bundle))
        self._known = KnownColumns(task, choice)
        label = [choice.label] if choice.label is not None else []
        features = bundle.sidecar.column_names
        self._inputs = RunInputs(run, list(dict.fromkeys([*features, *settings.keep, *label])))

    def compare(self, index: int, stored: pa.Table, place: str) -> Deviations:
        """Compute some output rows of one input again, and compare.

        Args:
            index: the input's index among all inputs.
            stored: the rows as the run wrote them.
            place: the name of their file.

        Raises:
            AuditError: the input has changed, or a row deviates by more than the engines' tolerance and, for
                attributions, the methods' own tolerance.
        """
        kept = [stored.schema.field(name) for name in self._keep]
        file = self._inputs.open(index, kept)
        rows: list[int] = stored[SOURCE_ROW].to_pylist()
        batch = self._inputs.rows(file, np.array(rows))
        clean = self._cleaner.clean(batch, 0)
        copied = widened(batch, kept)
        texts = {name: batch.column(name) for name in self._scorer.tokenised}
        predicted = self._scorer.predict(CleanBatch(0, copied, clean, texts), file.name)
        if predicted.rows.reasons:
            raise AuditError(f"expected rows that can be scored, got {listing(predicted.rows.reasons)}, in {place}")
        is_explained = self._is_explained(stored)
        scored = self._scorer.explain(predicted, np.flatnonzero(is_explained))
        again = pa.table(self._columns.arrays(scored), schema=pa.schema(self._columns.fields))
        for name in self._keep:
            # Compared as text, so that NaN equals NaN.
            if repr(python_values(stored[name])) != repr(python_values(copied.column(name))):
                raise AuditError(f"kept column {name!r}: expected the input's values, got others, in {place}")
        deviations = Deviations(len(rows), prediction=self._compare_predictions(rows, stored, again, place))
        for name in self._columns.explanation_schema.names:
            check_same(rows, pc.is_null(stored[name]).to_numpy() != pc.is_null(again[name]).to_numpy(), name, place)
        check_same(rows, self._expected(stored, predicted) != is_explained, "which rows are explained", place)
        if is_explained.any():
            deviations += self._compare_explanations(scored, stored, again, is_explained, place)
        return deviations

    def _compare_predictions(self, rows: list[int], stored: pa.Table, again: pa.Table, place: str) -> float:
        """Compare the predictions, and the columns that must be equal; returns the largest numeric deviation."""
        exact = [column.name for column in self._task.columns if column.names_target]
        exact += [*self._columns.target_names, IMPUTED_COUNT.name]
        for name in exact:
            check_same(rows, np.array(stored[name].to_pylist()) != np.array(again[name].to_pylist()), name, place)
        numbers = [column.name for column in self._task.columns if not column.names_target]
        off = row_deviations(matrix(stored, numbers), matrix(again, numbers), self._scorer.scale)
        check_same(rows, ~(off <= self._tolerances["outputs"]), listing(numbers), place)
        return float(off.max(initial=0.0))

    def _compare_explanations(
        self, scored: ScoredRows, stored: pa.Table, again: pa.Table, is_explained: NDArray[np.bool_], place: str
    ) -> Deviations:
        stored = stored.select([SOURCE_ROW, *self._columns.explanation_schema.names]).filter(pa.array(is_explained))
        again = again.filter(pa.array(is_explained))
        deviations = Deviations()
        for name in (each.name for each in self._columns.tokens.fields):
            pairs = zip(stored[name].to_pylist(), again[name].to_pylist(), strict=True)
            check_same(stored[SOURCE_ROW].to_pylist(), np.array([one != other for one, other in pairs]), name, place)
        for name in (each.name for each in self._columns.segments.fields):
            pairs = zip(stored[name].to_pylist(), again[name].to_pylist(), strict=True)
            is_off = np.array([one != other and not _are_same_maps(one, other) for one, other in pairs])
            check_same(stored[SOURCE_ROW].to_pylist(), is_off, name, place)
        for method, explanations in self._columns.by_method.items():
            attribution = scored.attributions[method]
            per_feature = [extra.name for extra in self._columns.extras[method] if extra.per_feature]
            values = {ATTRIBUTION: attribution.values} | {name: attribution.extras[name] for name in per_feature}
            for k, each in enumerate(explanations):
                # A row that has no attributions, here as there, has nothing to compare.
                finite = attribution.is_finite[k :: len(explanations)]
                of_target = {name: matrix[k :: len(explanations)][finite] for name, matrix in values.items()}
                here = pa.array(finite)
                scale = self._scorer.scale[attribution.target[k :: len(explanations)][finite]]
                one, other = stored.filter(here), again.filter(here)
                nearby = partial(self._change_nearby, scored, method, slice(k, None, len(explanations)), finite)
                deviations += self._comparison.compare(each, one, other, of_target, scale, place, nearby)
            self._comparison.compare_arrays(self._columns.array_names(method), stored, again, place)
        return deviations

    def _change_nearby(
        self, scored: ScoredRows, method: str, explanations: slice, chosen: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """The largest change of a method's attributions on either side of each row, of some explanations, [N]."""
        predicted, change = scored.predicted, np.zeros(int(chosen.sum()))
        own = scored.attributions[method].values[explanations][chosen]
        for moved in chain.from_iterable(both_sides(scored.rows.matrix, self._features)):
            batch = replace(predicted.batch, rows=replace(predicted.rows, matrix=moved))
            again = self._scorer.explain(replace(predicted, batch=batch), scored.explained)
            of_moved = again.attributions[method].values[explanations][chosen]
            change = np.maximum(change, np.abs(of_moved - own).max(axis=1, initial=0.0))
        return change

    def _is_explained(self, stored: pa.Table) -> NDArray[np.bool_]:
        """Whether the run has explained each row, [N]."""
        if not self._columns.explanations:
            return np.zeros(stored.num_rows, dtype=np.bool_)
        explained: NDArray[np.bool_] = pc.is_valid(stored[self._columns.explanations[0].score]).to_numpy()
        return explained

    def _expected(self, stored: pa.Table, predicted: PredictedRows) -> NDArray[np.bool_]:
        """Whether the run should have explained each row, by its own record of the row, [N]."""
        if not self._columns.explanations:
            return np.zeros(stored.num_rows, dtype=np.bool_)

        def column(name: str) -> pa.Array:
            values = stored[name].combine_chunks()
            # The run's own figure decides: on another machine, it may be beyond a threshold.
            missing = name in self._columns.explanation_schema.names
            return pc.coalesce(values, self._known.array(name, predicted)) if missing else values

        source_file = stored[SOURCE_FILE][0].as_py()
        return self._selection.mask(source_file, stored[SOURCE_ROW].to_numpy(), column)
