"""The rows of a file: Arrow columns to rows that can be scored, and the reasons why other rows cannot."""

from collections.abc import Sequence
from functools import partial
from typing import Protocol

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import class_indices, holds_dictionary, in_words, select, take
from whyport.batch.rows import CleanRows
from whyport.batch.settings import ON_BAD_ROW, ON_UNSEEN
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.sidecar import Sidecar, task_of
from whyport.runtime.errors import ColumnError, MissingValueError, UnseenValueError, UsageError, listing, unknown
from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.columns import ColumnFaults
from whyport.runtime.inputs.encoders import ReadFile, no_files
from whyport.runtime.inputs.encoding import NOT_NUMBERS, NOT_TIMES, Unseen
from whyport.runtime.inputs.images.encoder import NOT_PICTURES
from whyport.runtime.inputs.lists import NOT_LISTS, grouping_query
from whyport.runtime.inputs.sources import element
from whyport.runtime.inputs.table import Columns
from whyport.runtime.inputs.texts.encoder import NOT_TEXTS

# Rows are transposed in blocks of about this many values, and at least this many rows: reused memory costs less.
TURNED_VALUES = 1 << 16
TURNED_ROWS = 1 << 10


class RowCleaner:
    """Turns record batches into rows that can be scored.

    Args:
        sidecar: names the feature columns, in order, and the values that replace missing ones.
        on_bad_row: the treatment of a row with a null, NaN or infinity where the model has no way of its own with it:
            "reject", "impute", or "fail".
        on_unseen: the treatment of a row with a category or date that training has not seen: "score", by the model's
            own rule, "reject", or "fail".
        label: a column that names a target on every row; a row whose label names none cannot be imputed.
        read_file: gives the bundle's files, such as the tokenizer of a text.
    """

    def __init__(
        self,
        sidecar: Sidecar,
        on_bad_row: str,
        label: str | None = None,
        *,
        on_unseen: str = "score",
        read_file: ReadFile = no_files,
    ) -> None:
        if on_bad_row not in ON_BAD_ROW:
            raise UsageError(unknown("policy for bad rows", on_bad_row, ON_BAD_ROW))
        if on_unseen not in ON_UNSEEN:
            raise UsageError(unknown("policy for unseen values", on_unseen, ON_UNSEEN))
        if on_bad_row == "impute" and not sidecar.imputes:
            raise UsageError(f"bundle {sidecar.name!r} does not impute: it was exported without imputation values")
        self._columns = Columns.of_inputs(sidecar.inputs, read_file)
        self._imputation = np.array(sidecar.imputation, dtype=np.float32)
        self._models_missing = np.array(sidecar.models_missing)
        self._on_bad_row = on_bad_row
        self._on_unseen = on_unseen
        self._label = label
        self._task = task_of(sidecar)
        self._schema: pa.Schema | None = None
        self._places: list[int] = []
        """The positions of the features in batches of that schema."""
        self._is_floating = False

    def clean(self, batch: pa.RecordBatch, first_row: int) -> CleanRows:
        """Split a batch into rows to score and rows to reject.

        Raises ValueRangeError and, where such rows fail the run, MissingValueError and UnseenValueError; all name
        column and row.
        """
        matrix, unseen, is_finite = self._encoded(batch, first_row)
        labels = None if self._label is None else class_indices(batch.column(self._label), self._task.targets)
        imputed_count = np.zeros(len(matrix), dtype=np.int32)
        bad = self._unlabelled(batch, labels)
        if not is_finite:
            missing = ~np.isfinite(matrix) & ~(np.isnan(matrix) & self._models_missing)
            # A date that does not exist is replaced by the model's own rule, as an unseen category is.
            imputed = missing & ~np.isnan(self._imputation)
            if self._on_bad_row != "impute":
                imputed &= self._mask(unseen, len(matrix))
            matrix = np.where(imputed, self._imputation, matrix)
            imputed_count = imputed.sum(axis=1, dtype=np.int32)
            missing &= ~imputed
            rows = np.flatnonzero(missing.any(axis=1))
            first = missing[rows].argmax(axis=1)
            bad |= {int(row): self._missing(batch, int(row), int(j)) for row, j in zip(rows, first, strict=True)}
        if bad and self._on_bad_row == "fail":
            raise MissingValueError(f"{bad[min(bad)]}, row {first_row + min(bad)}")
        reasons = self._unseen(batch, unseen, first_row) | bad
        if not reasons:
            every = np.arange(len(matrix))
            return CleanRows(matrix, every, imputed_count, labels, every[:0], [], unseen)
        rejected = np.array(sorted(reasons), dtype=np.int64)
        kept = np.setdiff1d(np.arange(len(matrix)), rejected)
        kept_labels = None if labels is None else labels[kept]
        texts = [reasons[row] for row in rejected]
        return CleanRows(matrix[kept], kept, imputed_count[kept], kept_labels, rejected, texts, unseen)

    def _encoded(self, batch: pa.RecordBatch, first_row: int) -> tuple[NDArray[np.float32], Unseen, bool]:
        """The features [N, F], what training has not seen of them, and whether all are finite."""
        if self._schema is None or not batch.schema.equals(self._schema):
            place = {name: i for i, name in enumerate(batch.schema.names)}
            self._schema, self._places = batch.schema, [place[name] for name in self._columns.names]
            kinds = {batch.schema.field(i).type for i in self._places}
            are_numbers = all(encoder.is_number for encoder in self._columns.encoders)
            self._is_floating = are_numbers and kinds <= {pa.float32(), pa.float64()}
        features = select(batch, self._places)
        matrix = _new_matrix(len(features), self._columns.width)
        if not self._is_floating:
            unseen, is_finite = self._columns.encode_into(matrix, features.columns, first_row)
            return matrix, unseen, is_finite
        is_finite = True
        for rows in batch_slices(len(features), max(TURNED_VALUES // len(self._places), TURNED_ROWS)):
            block = features.slice(rows.start, rows.stop - rows.start)
            values = block.to_tensor(null_to_nan=True, row_major=True).to_numpy()
            is_finite &= self._columns.round_into(matrix[rows], values, first_row + rows.start)
        return matrix, Unseen(), is_finite

    def _mask(self, unseen: Unseen, rows: int) -> NDArray[np.bool_]:
        """Whether each value has not been seen in training, [N, F]."""
        mask = np.zeros((rows, self._columns.width), dtype=np.bool_)
        for name, own in unseen.rows.items():
            mask[own, self._columns.column_of == self._columns.names.index(name)] = True
        return mask

    def _unseen(self, batch: pa.RecordBatch, unseen: Unseen, first_row: int) -> dict[int, str]:
        """The reasons against rows with unseen values, by row; none where these are scored."""
        if self._on_unseen == "score":
            return {}
        reasons: dict[int, str] = {}
        for name, rows in unseen.rows.items():
            for row in rows.tolist():
                if row not in reasons:
                    got = in_words(batch.column(name)[row])
                    reasons[row] = f"column {name!r}: expected a value that training has seen, got {got}"
        if reasons and self._on_unseen == "fail":
            row = min(reasons)
            raise UnseenValueError(f"{reasons[row]}, row {first_row + row}")
        return reasons

    def _missing(self, batch: pa.RecordBatch, row: int, feature: int) -> str:
        j = int(self._columns.column_of[feature])
        name, encoder = self._columns.names[j], self._columns.encoders[j]
        value = batch.column(name)[row]
        if isinstance(encoder, CellsEncoder):
            return f"column {name!r}: {encoder.fault(element(batch.column(name), row))}"
        if encoder.is_time:
            return f"column {name!r}: expected a date or time, got {in_words(value)}"
        number = value.as_py()
        got = "null" if number is None else "NaN" if number != number else "infinity"
        return f"column {name!r}: expected a finite number, got {got}"

    def _unlabelled(self, batch: pa.RecordBatch, labels: NDArray[np.int64] | None) -> dict[int, str]:
        """The reasons against rows whose label names no target, by row."""
        rows = [] if labels is None else np.flatnonzero(labels < 0).tolist()
        known = f"column {self._label!r}: expected one of the {self._task.targets_title} {listing(self._task.targets)}"
        return {row: f"{known}, got {batch.column(self._label)[row].as_py()!r}" for row in rows}


def _new_matrix(rows: int, columns: int) -> NDArray[np.float32]:
    """An empty matrix in Arrow's memory, which is reused: every new page from the system costs a page fault."""
    return np.ndarray((rows, columns), np.float32, pa.allocate_buffer(rows * columns * 4))


class Described(Protocol):
    """A table whose columns are known."""

    @property
    def schema(self) -> pa.Schema:
        """The columns."""

    @property
    def name(self) -> str:
        """The name of the table, as messages have it."""


def check_columns(source: Described, features: Columns, kept: Sequence[str], label: str | None) -> None:
    """Check a table's columns; raises ColumnError with everything that is wrong with them.

    Args:
        source: the file, or another table.
        features: columns that must be there once, with a type that the model can take.
        kept: columns that must be there once, with a type that can be copied.
        label: a column that must be there once; None for none.
    """
    faults = ColumnFaults(source.schema.names)
    there = faults.check_present(features.names, "feature")
    for rule, expected in RULES.items():
        faults.check_types(there, partial(_wrong_type, source, features, rule), f"feature columns that are {expected}")
    there = faults.check_present(kept, "kept")
    faults.check_types(there, lambda name: not_copied(source, name), "kept columns whose rows cannot be copied")
    faults.check_present([] if label is None else [label], "label")
    try:
        faults.refuse()
    except ColumnError as error:
        raise error.at(source.name) from None


RULES = {
    NOT_NUMBERS: "not numeric or boolean",
    NOT_TIMES: "not dates, times or text",
    NOT_LISTS: f"not lists of as many numbers ({grouping_query(['value'], 'values')})",
    NOT_PICTURES: "not encoded pictures, binary or struct<bytes>, or tensors of uint8 of the image's size",
    NOT_TEXTS: "not texts",
}
"""The faults of a file's columns in words, by those of their values."""


def changed_types(source: SourceFile, features: Columns) -> list[str]:
    """The columns of a file whose values can be none of the model's categories, for their type: a line each."""
    kinds = {name: source.schema.field(name).type for name in features.texts}
    changed = {name: features.by_name[name].changed_type(kind) for name, kind in kinds.items()}
    rule = f"training has seen none of its values, in {source.name}"
    return [
        f"column {name!r}: expected {expected}, got {kinds[name]}: {rule}"
        for name, expected in changed.items()
        if expected is not None
    ]


def _wrong_type(source: Described, features: Columns, rule: str, name: str) -> str | None:
    kind = source.schema.field(name).type
    encoder = features.by_name[name]
    return str(kind) if encoder.rule == rule and not encoder.takes(kind) else None


def not_copied(source: Described, name: str) -> str | None:
    """What keeps the rows of a column from being copied: its type; None where they can be."""
    kind = source.schema.field(name).type
    if any(holds_dictionary(kind.field(i).type) for i in range(kind.num_fields)):
        return f"{kind}, with dictionaries inside"  # pyarrow cannot join the dictionaries of several row groups
    try:
        take(pa.nulls(0, kind), np.zeros(0, dtype=np.int64))
    except pa.ArrowNotImplementedError:
        return str(kind)
    return None
