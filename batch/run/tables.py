"""The rows of tables in memory, predicted and explained: a row for every row."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from whyport.batch.arrow import take
from whyport.batch.methods.catalogue import method_options
from whyport.batch.output.columns import schema_of
from whyport.batch.rows import CleanBatch, ScoredRows
from whyport.batch.run.plan import Plan
from whyport.batch.run.run import settings_of
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.source.cleaning import RowCleaner, check_columns
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.inputs.utf8 import check_utf8
from whyport.runtime.options import as_names
from whyport.runtime.session import Session

PROBLEM = pa.field("problem", pa.string())
"""Why a row has no prediction: null in a row that has one, as all other new columns are in one that has none."""

OPTIONS = (
    "explain",
    "explain_target",
    "explain_class",
    "layout",
    "per",
    "segments",
    "segment_count",
    "reduction",
    "top_k",
    "reasons",
    "reason_texts",
    "favourable",
    "reason_method",
    "on_bad_row",
    "on_unseen",
    "players",
    "baseline",
    "engine",
    "tolerance",
    "absolute_tolerance",
    "seed",
    "memory",
    "batch_rows",
    "variant",
)
"""The options of `run` that are about single rows."""


class TableScorer:
    """Predicts and explains the rows of tables in memory.

    Args:
        columns: the bundle, the options, and what comes of them.
        device: "auto", "cpu" or "cuda".
        threads: threads on the CPU; None for the cores that this process may use.

    Raises:
        ProviderError, BundleError: the options cannot be carried out.
    """

    def __init__(self, columns: "TableColumns", device: str, threads: int | None) -> None:
        self._columns = columns
        plan, bundle = columns.plan, columns.bundle
        settings = plan.settings
        self._cleaner = RowCleaner(
            bundle.sidecar,
            settings.on_bad_row,
            plan.choice.label,
            on_unseen=settings.on_unseen,
            read_file=bundle.read_bytes,
        )
        session = Session(bundle, device, threads=threads)
        self._scorer = Scorer(session, settings.methods, plan.choice, settings.explain, plan.reduction)

    def score(self, table: pa.Table | pa.RecordBatch) -> pa.Table:
        """A row for every row, in order; raises ColumnError, DataError and ParityError."""
        schema = self._columns.schema(table.schema)
        row, done = 0, []
        for batch in _batches(table, self._columns.plan.rows_per_batch):
            done.append(self._scored(batch, row, schema))
            row += batch.num_rows
        return pa.Table.from_batches(done, schema)

    def _scored(self, batch: pa.RecordBatch, first_row: int, schema: pa.Schema) -> pa.RecordBatch:
        columns, plan = self._columns, self._columns.plan
        check_utf8(batch, plan.table.texts)
        rows = self._cleaner.clean(batch, first_row)
        texts = {name: batch.column(name) for name in plan.table.tokenised} if plan.settings.methods else {}
        copied = batch.select(columns.kept(batch.schema))
        scored = self._scorer.explain(self._scorer.predict(CleanBatch(first_row, copied, rows, texts)))
        scored = scored.with_reasons(plan.reasons)
        new = _for_every_row(plan.output.arrays(scored), scored, batch.num_rows)
        return pa.record_batch([*copied.columns, *new, _problems(scored, batch.num_rows)], schema=schema)


@dataclass(frozen=True)
class TableColumns:
    """The columns of such a table, known without a model."""

    bundle: Bundle
    plan: Plan
    keep: tuple[str, ...] | None

    @classmethod
    def of(cls, bundle: Bundle, keep: str | Iterable[str] | None, options: dict[str, Any]) -> Self:
        """The columns that come of options; raises UsageError or BundleError where they cannot be carried out."""
        for name in options:
            if name not in OPTIONS and name not in method_options():
                raise UsageError(unknown("option", name, [*OPTIONS, *method_options()]))
        settings = settings_of((), Path(), options)
        bundle = bundle_in(bundle, settings.variant)
        plan = Plan.of_bundle(bundle, settings)
        return cls(bundle, plan, None if keep is None else as_names(keep))

    def kept(self, table: pa.Schema) -> list[str]:
        """The names of the columns to copy."""
        return table.names if self.keep is None else [*self.keep]

    def schema(self, table: pa.Schema) -> pa.Schema:
        """The schema of the output for tables of a schema; raises ColumnError for one that does not fit."""
        kept = self.kept(table)
        check_columns(_InMemory(table), self.plan.table, kept, self.plan.choice.label)
        fields = [*(table.field(name) for name in kept), *self.plan.output.fields, PROBLEM]
        return schema_of(fields, "rename them, or keep only others", "the table")


@dataclass(frozen=True)
class _InMemory:
    """A table in memory, as checks of columns name it."""

    schema: pa.Schema
    name: str = "the table"


def _batches(table: pa.Table | pa.RecordBatch, size: int) -> Iterator[pa.RecordBatch]:
    """The rows in batches of that size, however they are cut."""
    if isinstance(table, pa.RecordBatch):
        table = pa.Table.from_batches([table])
    for start in range(0, table.num_rows, size):
        piece = table.slice(start, size)
        arrays = [column.combine_chunks() for column in piece.columns]
        whole = [array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array for array in arrays]
        yield pa.record_batch(whole, schema=piece.schema)


def _for_every_row(new: list[pa.Array], scored: ScoredRows, count: int) -> list[pa.Array]:
    """The new columns with nulls in the rows that were not scored."""
    plain = [array.dictionary_decode() if pa.types.is_dictionary(array.type) else array for array in new]
    if not scored.rows.reasons:
        return plain
    places = np.full(count, -1)
    places[scored.rows.kept] = np.arange(len(scored.rows.kept))
    index = pa.array(places, mask=places < 0)
    return [take(array, index) for array in plain]


def _problems(scored: ScoredRows, count: int) -> pa.Array:
    texts = np.full(count, None, dtype=object)
    texts[scored.rows.rejected] = scored.rows.reasons
    return pa.array(texts, pa.string())
