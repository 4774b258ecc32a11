"""Rows of a finished run computed again from the input and the bundle, and compared with what the run wrote."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.columns import ExplanationColumns, OutputColumns, classes, explanations, kept_columns
from whyport.batch.output.layouts import ATTRIBUTION, AttributionLayout, StoredAttributions
from whyport.batch.review.inputs import RunInputs
from whyport.batch.review.record import InputRecord, RunRecord
from whyport.batch.rows import PredictedRows
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.scoring.selection import KnownColumns
from whyport.batch.scoring.targets import ClassChoice
from whyport.batch.source.cleaning import RowCleaner
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import Tolerances
from whyport.runtime.errors import AuditError, listing
from whyport.runtime.parity import row_deviations
from whyport.runtime.session import Session

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


class Recomputer:
    """Computes rows again, with the run's own settings.

    Args:
        bundle: the run's bundle.
        record: the run.
        columns: its output.
        device: where to compute.
    """

    def __init__(self, bundle: Bundle, record: RunRecord, columns: OutputColumns, device: str) -> None:
        settings = record.job["settings"]
        self._record = record
        self._columns = columns
        explain = ExplainSettings(**settings["explain"])
        self._tolerances = bundle.sidecar.tolerances
        self._explanations = explanations(record.methods, columns.per_class)
        self._comparison = ExplanationComparison(columns.attributions, self._tolerances, explain)
        self._selection = record.selection
        self._choice = ClassChoice.parse(settings["explain_class"], bundle.sidecar.classes)
        self._cleaner = RowCleaner(bundle.sidecar, settings["on_bad_row"], self._choice.label)
        session = Session(bundle, device)
        self._scorer = Scorer(session, tuple(record.methods), self._choice, explain)
        self._known = KnownColumns(bundle.sidecar.classes, self._choice)
        label = [self._choice.label] if self._choice.label is not None else []
        features = [feature.name for feature in bundle.sidecar.features]
        self._inputs = RunInputs(record, list(dict.fromkeys([*features, *settings["keep"], *label])))

    def compare(self, source: InputRecord, stored: pa.Table, place: str) -> Deviations:
        """Compute these rows of one input's output again.

        Raises AuditError where the input is another one, or a row is further off than the engines' tolerance and, for
        attributions, the methods' own allow.
        """
        file = self._inputs.open(source)
        rows: list[int] = stored["source_row"].to_pylist()
        batch = self._inputs.rows(file, np.array(rows))
        clean = self._cleaner.clean(batch, 0)
        if len(clean.kept) != len(rows):
            raise AuditError(f"expected rows that can be scored, got {listing(clean.reasons)}, in {place}")
        predicted = self._scorer.predict(clean)
        known = PredictedRows(source.source_file, 0, batch, clean, **predicted)
        is_explained = self._is_explained(stored)
        scored = self._scorer.explain(clean, predicted, 0, np.flatnonzero(is_explained))
        again = pa.table(self._columns.arrays(scored), schema=pa.schema(self._columns.fields))
        names = stored.column_names
        for name in kept_columns(names):
            # As text, so that NaN equals NaN.
            if repr(stored[name].to_pylist()) != repr(batch.column(name).to_pylist()):
                raise AuditError(f"kept column {name!r}: expected the input's values, got others, in {place}")
        for name in ("prediction", "explained_class", "imputed_count"):
            if name in names:
                check_same(rows, np.array(stored[name].to_pylist()) != np.array(again[name].to_pylist()), name, place)
        chances = [f"probability.{name}" for name in classes(names)]
        off = row_deviations(matrix(stored, chances), matrix(again, chances))
        check_same(rows, off > self._tolerances.outputs, listing(chances), place)
        for name in self._columns.explanation_schema.names:
            check_same(rows, pc.is_null(stored[name]).to_numpy() != pc.is_null(again[name]).to_numpy(), name, place)
        check_same(rows, self._expected(stored, known) != is_explained, "which rows are explained", place)
        deviations = Deviations(len(rows), probability=float(off.max(initial=0.0)))
        if not is_explained.any():
            return deviations
        stored = stored.select(["source_row", *self._columns.explanation_schema.names]).filter(pa.array(is_explained))
        again = again.filter(pa.array(is_explained))
        width = max(1, len(self._columns.per_class))
        for i, columns in enumerate(self._explanations):
            attribution, beside = scored.attributions[columns.method], self._columns.beside[columns.method]
            values = {ATTRIBUTION: attribution.values} | {name: attribution.beside[name] for name in beside.per_feature}
            of_class = {name: matrix[i % width :: width] for name, matrix in values.items()}
            deviations += self._comparison.compare(columns, stored, again, of_class, place)
            if i % width == 0:
                suffixes = [other.suffix for other in self._explanations[i : i + width]]
                self._comparison.compare_arrays(beside.names(columns.prefix, suffixes), stored, again, place)
        return deviations

    def _is_explained(self, stored: pa.Table) -> NDArray[np.bool_]:
        """Which rows the run has explained, [N]."""
        if not self._explanations:
            return np.zeros(stored.num_rows, dtype=np.bool_)
        explained: NDArray[np.bool_] = pc.is_valid(stored[self._explanations[0].score]).to_numpy()
        return explained

    def _expected(self, stored: pa.Table, known: PredictedRows) -> NDArray[np.bool_]:
        """Which rows the run should have explained by what it says of them, [N]."""
        if not self._explanations:
            return np.zeros(stored.num_rows, dtype=np.bool_)

        def column(name: str) -> pa.Array:
            values = stored[name].combine_chunks()
            # What decides is the run's own figure: another machine's may lie beyond a threshold.
            missing = name in self._columns.explanation_schema.names
            return pc.coalesce(values, self._known.array(name, known)) if missing else values

        return self._selection.mask(known.source_file, stored["source_row"].to_numpy(), column)
