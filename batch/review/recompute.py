"""Rows of a finished run computed again from the input and the bundle, and compared with the stored rows."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from functools import cached_property, partial
from importlib.metadata import version
from itertools import chain

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.arrow import python_values, take
from whyport.batch.output.columns import IMPUTED_COUNT, REASON, SOURCE_FILE, SOURCE_ROW, OutputColumns
from whyport.batch.output.layouts import ATTRIBUTION
from whyport.batch.reasons.prepare import rule_of
from whyport.batch.review.comparison import (
    Deviations,
    ExplanationComparison,
    are_same_maps,
    check_same,
    different,
    matrix,
)
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.batch.review.recompute_reasons import ReasonComparison
from whyport.batch.rows import CleanBatch, PredictedRows, ScoredRows
from whyport.batch.scoring.arithmetic import Arithmetic, arithmetic_of
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.scoring.selection import KnownColumns
from whyport.batch.source.cleaning import RowCleaner
from whyport.batch.source.kept import widened
from whyport.runtime.bends import both_sides
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import AuditError, listing
from whyport.runtime.parity import row_deviations
from whyport.runtime.providers import load_onnxruntime
from whyport.runtime.session import Session


class Recomputer:
    """Computes rows again with the run's own settings.

    Args:
        bundle: the run's bundle.
        run: the run.
        columns: the run's output columns.
        device: the device that computes.
        threads: the threads that compute; None for those of a run.
    """

    def __init__(
        self, bundle: Bundle, run: FinishedRun, columns: OutputColumns, device: str, threads: int | None = None
    ) -> None:
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
        self._session = Session(bundle, device, threads=threads)
        self._scorer = Scorer(self._session, settings.methods, choice, explain, run.reduction(bundle))
        rule = rule_of(bundle, settings.reasons, task, columns.layout.positions)
        self._reasons = ReasonComparison(rule, columns, self._tolerances["gradients"], explain)
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
        predicted = self._of(index, stored, kept)
        if predicted.rows.reasons:
            raise AuditError(f"expected rows that can be scored, got {listing(predicted.rows.reasons)}, in {place}")
        return self.compare_rows(predicted, stored, place)

    def judge(self, index: int, stored: pa.Table, place: str) -> None:
        """Judge some rejected rows of one input again.

        Args:
            index: the input's index among all inputs.
            stored: the rows as the run rejected them.
            place: the name of their file.

        Raises:
            AuditError: the input has changed, or a row can be scored, or cannot for another reason.
        """
        predicted = self._of(index, stored, [stored.schema.field(name) for name in self._keep])
        self.judge_rows(predicted, stored, place)

    def predicted(self, batch: pa.RecordBatch, first_row: int, kept: Sequence[pa.Field]) -> PredictedRows:
        """The model's predictions for rows of an input, and the rows that are rejected; raises as a run does.

        Args:
            batch: the rows, with every column that a run reads.
            first_row: the number of the first.
            kept: the kept columns, as the output has them.
        """
        return self.scored(self.cleaned(batch, first_row, kept))

    def cleaned(self, batch: pa.RecordBatch, first_row: int, kept: Sequence[pa.Field]) -> CleanBatch:
        """Rows of an input, and which of them can be scored; takes and raises what `predicted` does."""
        clean = self._cleaner.clean(batch, first_row)
        texts = {name: batch.column(name) for name in self._scorer.tokenised}
        return CleanBatch(first_row, widened(batch, kept), clean, texts)

    def scored(self, batch: CleanBatch) -> PredictedRows:
        """The model's predictions for clean rows."""
        return self._scorer.predict(batch)

    def arithmetic_of(self, versions: Mapping[str, str]) -> Arithmetic:
        """The arithmetic of this process; empty where its packages are of other versions than these, or on a card."""
        if any(version(name) != known for name, known in versions.items() if name != "onnxruntime"):
            return {}
        if load_onnxruntime().__version__ != versions.get("onnxruntime"):
            return {}
        return self._arithmetic

    @cached_property
    def _arithmetic(self) -> Arithmetic:
        return arithmetic_of(self._session, self._scorer.explainers)

    def compare_rows(
        self, predicted: PredictedRows, stored: pa.Table, place: str, *, is_exact: bool = False
    ) -> Deviations:
        """Explain predicted rows, and compare them with the same rows as the run wrote them; raises as `compare`.

        Args:
            predicted: the rows.
            stored: the same rows of the run.
            place: the name of their file.
            is_exact: whether nothing may separate them, not even rounding.
        """
        rows: list[int] = stored[SOURCE_ROW].to_pylist()
        is_explained = self._is_explained(stored)
        scored = self._scorer.explain(predicted, np.flatnonzero(is_explained)).with_reasons(self._reasons.rule)
        again = self._table(scored)
        self._compare_kept(predicted.batch.copied, predicted.rows.kept, stored, place)
        deviations = Deviations(len(rows), prediction=self._compare_predictions(rows, stored, again, place))
        reasons = {field.name for field in self._columns.reasons.fields}  # an explained row may lack some
        for name in self._columns.explanation_schema.names:
            is_there = pc.is_valid(stored[name]).to_numpy()
            is_off = is_there & ~is_explained if name in reasons else is_there != pc.is_valid(again[name]).to_numpy()
            check_same(rows, is_off, name, place)
        check_same(rows, self._expected(stored, predicted) != is_explained, "which rows are explained", place)
        if is_explained.any():
            deviations += self._compare_explanations(scored, stored, again, is_explained, place)
            self._compare_counts(scored, stored, again, place)
        if is_exact:
            self._compare_bits(rows, stored, again, place)
        return deviations

    def _compare_bits(self, rows: Sequence[int], stored: pa.Table, again: pa.Table, place: str) -> None:
        """Compare every value's bits; the files of segments may be compressed in another way."""
        files = {field.name for field in self._columns.segments.fields}
        for name in (field.name for field in self._columns.fields if field.name not in files):
            if not stored[name].equals(again[name]):
                pairs = zip(stored[name].to_pylist(), again[name].to_pylist(), strict=True)
                is_off = np.array([one != other for one, other in pairs])
                check_same(rows, is_off, f"{name}: this machine's very bits", place)

    def judge_rows(self, predicted: PredictedRows, stored: pa.Table, place: str) -> None:
        """Compare the rows that are rejected of some with the same rows as the run rejected them; raises as `judge`."""
        rows = predicted.rows
        rejected = dict(zip(rows.rejected.tolist(), rows.reasons, strict=True))
        given = stored[REASON.name].to_pylist()
        numbers = stored[SOURCE_ROW].to_pylist()
        if len(rejected) < len(given):
            row = next(numbers[i] for i in range(len(given)) if i not in rejected)
            raise AuditError(f"expected rows that cannot be scored, got one that can, row {row}, in {place}")
        for number, found, said in zip(numbers, rejected.values(), given, strict=True):
            if found != said:
                raise AuditError(f"expected the reason {found!r}, got {said!r}, row {number}, in {place}")
        self._compare_kept(predicted.batch.copied, rows.rejected, stored, place)

    def _of(self, index: int, stored: pa.Table, kept: Sequence[pa.Field]) -> PredictedRows:
        """The predictions for some rows of an input."""
        file = self._inputs.open(index, kept)
        return self.predicted(self._inputs.rows(file, stored[SOURCE_ROW].to_numpy()), 0, kept)

    def _compare_kept(self, copied: pa.RecordBatch, chosen: NDArray[np.int64], stored: pa.Table, place: str) -> None:
        """Compare the kept columns of chosen rows with the input's."""
        for name in self._keep:
            column, found = take(copied.column(name), chosen), stored[name].combine_chunks()
            # Compared as text where they differ, so that NaN equals NaN.
            if not column.equals(found) and repr(python_values(found)) != repr(python_values(column)):
                raise AuditError(f"kept column {name!r}: expected the input's values, got others, in {place}")

    def _compare_predictions(self, rows: list[int], stored: pa.Table, again: pa.Table, place: str) -> float:
        """Compare the predictions, and the columns that must be equal; returns the largest numeric deviation."""
        exact = [column.name for column in self._task.columns if column.names_target]
        exact += [*self._columns.target_names, IMPUTED_COUNT.name]
        for name in exact:
            check_same(rows, different(stored[name], again[name]), name, place)
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
            is_off = np.array([one != other and not are_same_maps(one, other) for one, other in pairs])
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
        if scored.reasons is not None:
            is_off = self._reasons.differ(scored, stored, self._scorer.scale)
            check_same(stored[SOURCE_ROW].to_pylist(), is_off, "reasons", place)
        return deviations

    def _compare_counts(self, scored: ScoredRows, stored: pa.Table, again: pa.Table, place: str) -> None:
        """Compare what counts steps: within rounding of a row, a method may stop a step earlier or later."""
        off = {name: different(stored[name], again[name]) for name in self._columns.count_names}
        if any(each.any() for each in off.values()):
            for moved in self._moved(scored):
                other = self._table(moved)
                off = {name: each & different(stored[name], other[name]) for name, each in off.items()}
        for name, each in off.items():
            check_same(stored[SOURCE_ROW].to_pylist(), each, name, place)

    def _change_nearby(
        self, scored: ScoredRows, method: str, explanations: slice, chosen: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """The largest change of a method's attributions on either side of each row, of some explanations, [N]."""
        change = np.zeros(int(chosen.sum()))
        own = scored.attributions[method].values[explanations][chosen]
        for moved in self._moved(scored):
            of_moved = moved.attributions[method].values[explanations][chosen]
            change = np.maximum(change, np.abs(of_moved - own).max(axis=1, initial=0.0))
        return change

    def _moved(self, scored: ScoredRows) -> Iterator[ScoredRows]:
        """The same rows on either side of each, within rounding, explained."""
        predicted = scored.predicted
        for moved in chain.from_iterable(both_sides(scored.rows.matrix, self._features)):
            batch = replace(predicted.batch, rows=replace(predicted.rows, matrix=moved))
            yield self._scorer.explain(replace(predicted, batch=batch), scored.explained)

    def _table(self, scored: ScoredRows) -> pa.Table:
        """Rows as the run would write them, without those that name a row and the kept ones."""
        scored = scored.with_reasons(self._reasons.rule)
        return pa.table(self._columns.arrays(scored), schema=pa.schema(self._columns.fields))

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
