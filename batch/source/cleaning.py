"""The rows of a file: Arrow columns to rows that can be scored, and the reasons why other rows cannot."""

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import class_indices, holds_dictionary, is_numeric, numeric_array, select, take
from whyport.batch.rows import CleanRows
from whyport.batch.settings import ON_BAD_ROW
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import ColumnError, MissingValueError, UsageError, listing, unknown
from whyport.runtime.inputs.columns import ColumnFaults
from whyport.runtime.inputs.table import Columns

# Rows are transposed in blocks of about this many values, and at least this many rows: reused memory costs less.
TURNED_VALUES = 1 << 16
TURNED_ROWS = 1 << 10


class RowCleaner:
    """Turns record batches into rows that can be scored.

    Args:
        sidecar: names the feature columns, in order, and the values that replace missing ones.
        on_bad_row: the treatment of a row with a null, NaN or infinity: "reject", "impute", or "fail".
        label: a column that names a class on every row; a row whose label names none cannot be imputed.
    """

    def __init__(self, sidecar: Sidecar, on_bad_row: str, label: str | None = None) -> None:
        if on_bad_row not in ON_BAD_ROW:
            raise UsageError(unknown("policy for bad rows", on_bad_row, ON_BAD_ROW))
        if on_bad_row == "impute" and not sidecar.imputes:
            raise UsageError(f"bundle {sidecar.name!r} does not impute: it was exported without imputation values")
        self._columns = Columns.of(sidecar.columns)
        self._imputation = np.array(sidecar.imputation, dtype=np.float32)
        self._on_bad_row = on_bad_row
        self._label = label
        self._classes = sidecar.targets
        self._schema: pa.Schema | None = None
        self._places: list[int] = []
        """The positions of the features in batches of that schema."""
        self._is_floating = False

    def clean(self, batch: pa.RecordBatch, first_row: int) -> CleanRows:
        """Split a batch into rows to score and rows to reject.

        Raises ValueRangeError and, where bad rows fail the run, MissingValueError; both name column and row.
        """
        matrix, is_finite = self._matrix(batch, first_row)
        labels = None if self._label is None else class_indices(batch.column(self._label), self._classes)
        imputed_count = np.zeros(len(matrix), dtype=np.int32)
        reasons: dict[int, str] = {}
        if not is_finite:
            missing = ~np.isfinite(matrix)
            if self._on_bad_row == "impute":
                matrix = np.where(missing, self._imputation, matrix)
                imputed_count = missing.sum(axis=1, dtype=np.int32)
            else:
                bad = np.flatnonzero(missing.any(axis=1))
                first = missing[bad].argmax(axis=1)
                reasons = {int(row): self._missing(batch, int(row), int(j)) for row, j in zip(bad, first, strict=True)}
        if labels is not None and (labels < 0).any():
            unlabelled = np.flatnonzero(labels < 0)
            reasons = {int(row): self._unlabelled(batch, int(row)) for row in unlabelled} | reasons
        if not reasons:
            every = np.arange(len(matrix))
            return CleanRows(matrix, every, imputed_count, labels, every[:0], [])
        rejected = np.array(sorted(reasons), dtype=np.int64)
        if self._on_bad_row == "fail":
            raise MissingValueError(f"{reasons[rejected[0]]}, row {first_row + rejected[0]}")
        kept = np.setdiff1d(np.arange(len(matrix)), rejected)
        kept_labels = None if labels is None else labels[kept]
        return CleanRows(
            matrix[kept], kept, imputed_count[kept], kept_labels, rejected, [reasons[row] for row in rejected]
        )

    def _matrix(self, batch: pa.RecordBatch, first_row: int) -> tuple[NDArray[np.float32], bool]:
        """The features, [N, F], and whether all of them are finite."""
        if self._schema is None or not batch.schema.equals(self._schema):
            place = {name: i for i, name in enumerate(batch.schema.names)}
            self._schema, self._places = batch.schema, [place[name] for name in self._columns.names]
            kinds = {batch.schema.field(i).type for i in self._places}
            self._is_floating = kinds <= {pa.float32(), pa.float64()}
        features = select(batch, self._places)
        matrix = _new_matrix(len(features), len(self._places))
        if not self._is_floating:
            arrays = [numeric_array(array) for array in features.columns]
            return matrix, self._columns.fill(matrix, arrays, first_row)
        is_finite = True
        for rows in batch_slices(len(features), max(TURNED_VALUES // len(self._places), TURNED_ROWS)):
            block = features.slice(rows.start, rows.stop - rows.start)
            values = block.to_tensor(null_to_nan=True, row_major=True).to_numpy()
            is_finite &= self._columns.round_into(matrix[rows], values, first_row + rows.start)
        return matrix, is_finite

    def _missing(self, batch: pa.RecordBatch, row: int, j: int) -> str:
        value = batch.column(self._columns.names[j])[row].as_py()
        got = "null" if value is None else "NaN" if value != value else "infinity"
        return f"column {self._columns.names[j]!r}: expected a finite number, got {got}"

    def _unlabelled(self, batch: pa.RecordBatch, row: int) -> str:
        got = batch.column(self._label)[row].as_py()
        return f"column {self._label!r}: expected one of the classes {listing(self._classes)}, got {got!r}"


def _new_matrix(rows: int, columns: int) -> NDArray[np.float32]:
    """An empty matrix in Arrow's memory, which is reused: every new page from the system costs a page fault."""
    return np.ndarray((rows, columns), np.float32, pa.allocate_buffer(rows * columns * 4))


def check_columns(source: SourceFile, features: Sequence[str], kept: Sequence[str], label: str | None) -> None:
    """Check a file's columns; raises ColumnError with everything that is wrong with them.

    Args:
        source: the file.
        features: columns that must be there once, with a numeric or boolean type.
        kept: columns that must be there once, with a type that can be copied.
        label: a column that must be there once; None for none.
    """
    faults = ColumnFaults(source.schema.names)
    there = faults.check_present(features, "feature")
    faults.check_types(
        there, lambda name: _not_numeric(source, name), "feature columns that are not numeric or boolean"
    )
    there = faults.check_present(kept, "kept")
    faults.check_types(there, lambda name: _not_copied(source, name), "kept columns whose rows cannot be copied")
    faults.check_present([] if label is None else [label], "label")
    try:
        faults.refuse()
    except ColumnError as error:
        raise error.at(source.name) from None


def _not_numeric(source: SourceFile, name: str) -> str | None:
    kind = source.schema.field(name).type
    return None if is_numeric(kind) else str(kind)


def _not_copied(source: SourceFile, name: str) -> str | None:
    kind = source.schema.field(name).type
    if any(holds_dictionary(kind.field(i).type) for i in range(kind.num_fields)):
        return f"{kind}, with dictionaries inside"  # pyarrow cannot join the dictionaries of several row groups
    try:
        take(pa.nulls(0, kind), np.zeros(0, dtype=np.int64))
    except pa.ArrowNotImplementedError:
        return str(kind)
    return None
