"""Rows of a finished run computed again from the input and the bundle, and compared with what the run wrote."""

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch.attributions import ATTRIBUTION
from batch.columns import RowCleaner
from batch.comparison import Deviations, ExplanationComparison, check_same, matrix
from batch.explainers.settings import ExplainSettings
from batch.inputs import RunInputs
from batch.known import KnownColumns, PredictedRows
from batch.layout import classes, explanations, kept_columns
from batch.output import OutputColumns
from batch.record import InputRecord, RunRecord
from batch.scoring import Scorer
from batch.targets import ClassChoice
from runtime.bundle import Bundle
from runtime.errors import AuditError, listing
from runtime.parity import row_deviations
from runtime.session import Session


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
