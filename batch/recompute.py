"""Rows of a finished run computed again from the input and the bundle, and compared with what the run wrote."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.columns import RowCleaner
from batch.explainers.settings import ExplainSettings
from batch.layout import ExplanationColumns, classes, explanations, kept_columns
from batch.output import OutputColumns
from batch.partitions import hive_partitions
from batch.record import InputRecord, RunRecord
from batch.scoring import Scorer
from batch.source import SourceFile, open_source
from batch.targets import ClassChoice
from runtime.bundle import Bundle
from runtime.errors import AuditError, listing
from runtime.parity import row_deviations
from runtime.session import Session

# completeness_error is a difference of numbers that are all in the row: only rounding may separate it from theirs.
SUM_TOLERANCE = 1e-6


@dataclass(frozen=True)
class Deviations:
    """How far rows are from what the run wrote, at the most."""

    rows: int = 0
    probability: float = 0.0
    attribution: float = 0.0
    """In logits."""

    def __add__(self, other: Self) -> Self:
        return type(self)(
            self.rows + other.rows,
            max(self.probability, other.probability),
            max(self.attribution, other.attribution),
        )

    def __str__(self) -> str:
        return f"probabilities within {self.probability:.2g}, attributions within {self.attribution:.2g} logits"


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
        self._explain = ExplainSettings(**settings["explain"])
        self._tolerances = bundle.sidecar.tolerances
        self._choice = ClassChoice.parse(settings["explain_class"], bundle.sidecar.classes)
        self._cleaner = RowCleaner(bundle.sidecar, settings["on_bad_row"], self._choice.label)
        session = Session(bundle, device)
        self._scorer = Scorer(session, tuple(record.methods), self._choice, self._explain)
        label = [self._choice.label] if self._choice.label is not None else []
        features = [feature.name for feature in bundle.sidecar.features]
        self._read = list(dict.fromkeys([*features, *settings["keep"], *label]))
        self._partitions = hive_partitions([Path(source.source_file) for source in record.inputs])

    def compare(self, source: InputRecord, stored: pa.Table, place: str) -> Deviations:
        """Compute these rows of one input's output again.

        Raises AuditError where the input is another one, or a row is further off than the engines' tolerance and, for
        attributions, the methods' own allow.
        """
        file = self._open(source)
        rows: list[int] = stored["source_row"].to_pylist()
        batch = self._rows_of(file, np.array(rows))
        clean = self._cleaner.clean(batch, 0)
        if len(clean.kept) != len(rows):
            raise AuditError(f"expected rows that can be scored, got {listing(clean.reasons)}, in {place}")
        scored = self._scorer.explain(clean, self._scorer.predict(clean), 0)
        again = pa.table(self._columns.arrays(scored), schema=pa.schema(self._columns.fields))
        names = stored.column_names
        for name in kept_columns(names):
            # As text, so that NaN equals NaN.
            if repr(stored[name].to_pylist()) != repr(batch.column(name).to_pylist()):
                raise AuditError(f"kept column {name!r}: expected the input's values, got others, in {place}")
        for name in ("prediction", "explained_class", "imputed_count"):
            if name in names:
                _check(rows, np.array(stored[name].to_pylist()) != np.array(again[name].to_pylist()), name, place)
        chances = [f"probability.{name}" for name in classes(names)]
        off = self._deviations(stored, again, chances, place)
        deviations = Deviations(len(rows), float(off.max(initial=0.0)))
        for columns in explanations(names, self._record.methods, self._choice.is_all):
            deviations += self._compare_explanation(columns, stored, again, place)
        return deviations

    def _rows_of(self, file: SourceFile, rows: NDArray[np.int64]) -> pa.RecordBatch:
        """These rows, which ascend, in one pass over what lies between them, as much at once as the run read."""
        batches = file.batches(self._read, self._record.job["settings"]["batch_rows"], rows[0], rows[-1] + 1)
        taken = []
        for first, batch in batches:
            inside = rows[(rows >= first) & (rows < first + batch.num_rows)]
            if len(inside):
                taken.append(batch.take(pa.array(inside - first)))
        return pa.concat_batches(taken)

    def _compare_explanation(
        self, columns: ExplanationColumns, stored: pa.Table, again: pa.Table, place: str
    ) -> Deviations:
        rows = stored["source_row"].to_pylist()
        self._deviations(stored, again, [columns.score, columns.base_value], place)
        names = list(columns.attributions.values())
        shares = _matrix(stored, names)
        score, base = _matrix(stored, [columns.score, columns.base_value]).T
        differences = np.abs(shares - _matrix(again, names)).max(axis=1, initial=0.0)
        allowed = self._tolerances.gradients * np.maximum(1.0, np.abs(shares).max(axis=1, initial=0.0))
        if not np.isnan(base).all():
            # A method that refines until a row is within tolerance may stop a step earlier or later.
            own = np.maximum(self._explain.tolerance * np.abs(score - base), self._explain.absolute_tolerance)
            allowed = allowed + own
            error = _matrix(stored, [columns.completeness_error])[:, 0]
            off = np.abs(np.abs(shares.sum(axis=1) - (score - base)) - error)
            scale = 1.0 + np.abs(shares).sum(axis=1)
            _check(rows, ~(off <= SUM_TOLERANCE * scale), columns.completeness_error, place)
        _check(rows, ~(differences <= allowed), f"{columns.method}: attributions", place)
        return Deviations(attribution=float(differences.max(initial=0.0)))

    def _deviations(self, stored: pa.Table, again: pa.Table, names: list[str], place: str) -> NDArray[np.float64]:
        """How far each row's outputs of the model are off, within the engines' tolerance."""
        off = row_deviations(_matrix(stored, names), _matrix(again, names))
        _check(stored["source_row"].to_pylist(), off > self._tolerances.outputs, listing(names), place)
        return off

    def _open(self, source: InputRecord) -> SourceFile:
        file = open_source(source.path, self._partitions[source.index])
        if file.fingerprint.footer_sha256 != source.footer_sha256:
            raise AuditError(
                f"expected the input that was scored, with footer {source.footer_sha256}, "
                f"got {file.fingerprint.footer_sha256}, in {source.path}"
            )
        return file


def _check(rows: Sequence[int], is_off: NDArray[Any], what: str, place: str) -> None:
    if is_off.any():
        bad = [str(row) for row, off in zip(rows, is_off, strict=True) if off]
        raise AuditError(f"{what}: computed again it comes out different, rows {listing(bad)}, in {place}")


def _matrix(table: pa.Table, names: list[str]) -> NDArray[np.float64]:
    """[N, K] float64, NaN for null."""
    columns = [table[name].to_numpy().astype(np.float64) for name in names]
    return np.stack(columns, axis=1)
