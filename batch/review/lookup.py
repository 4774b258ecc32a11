"""Rows of a run looked up by a condition: the columns that it names are read first, and then the rows that meet it."""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.batch.output.columns import IDENTITY, SOURCE_ROW
from whyport.batch.output.parts import PartSpan, read_schema
from whyport.batch.output.parts_there import PartsThere
from whyport.batch.review.finished_run import FinishedRun, read_rows
from whyport.batch.review.pruning import Pruning
from whyport.batch.review.show import FoundRow
from whyport.batch.scoring.condition import Condition
from whyport.batch.source.decoding import BUFFER_BYTES, READ_OPTIONS
from whyport.runtime.errors import DataError, JobError, message_line
from whyport.runtime.paths import open_file
from whyport.runtime.store.path import Place

ROWS_AT_ONCE = 1 << 16

WHERE = "where"


@dataclass
class Found:
    """The rows that meet a condition."""

    rows: list[FoundRow] = field(default_factory=list)
    """The first ones, in the order of the inputs."""
    scored: int = 0
    """The number of rows in the output that meet the condition."""
    rejected: int = 0
    """The number of rejected rows that meet it."""
    not_asked: int = 0
    """The number of rejected rows that lack a column of the condition."""

    @property
    def total(self) -> int:
        """The number of all rows that meet the condition."""
        return self.scored + self.rejected


def look_up(run: FinishedRun, text: str, index: int | None, limit: int) -> Found:
    """Find the rows that meet a condition, part by part; what no row group's footer rules out is read.

    Args:
        run: the run; of one that is not finished, the parts that are there.
        text: the condition, on columns of the output; a rejected row has those of `_rejected`.
        index: the input to look in; None for all.
        limit: how many rows to give; the others are counted.

    Raises UsageError for a text that is no condition on the columns, DataError for a part that cannot be read.
    """
    condition = Condition.parse(text, WHERE)
    there = PartsThere(run.folder)
    every = range(len(run.inputs)) if index is None else [index]
    spans = [span for i in every for span in run.job.spans(i) if there.has(run.path(span))]
    if not spans:
        raise JobError(f"expected a run with parts to look into, got none, in {run.folder.path}")
    schema = read_schema(run.path(spans[0]))
    condition.check(schema, str(run.path(spans[0])), "" if run.task.probability_columns else "it has no classes")
    known = {field.name for field in IDENTITY} | set(run.settings.keep)
    asks_rejected = set(condition.columns) <= known
    found = Found()
    for span in spans:
        room = limit - len(found.rows)
        rows, count = _rows(run.path(span), condition, room)
        found.scored += count
        aside, beside = run.folder.rejected / span.name, list[int]()
        if there.has(aside):
            if asks_rejected:
                beside, count = _rows(aside, condition, room)
                found.rejected += count
            else:
                found.not_asked += _row_count(aside)
        found.rows += _read(run, span, rows, beside)[:room]
    return found


def _read(run: FinishedRun, span: PartSpan, rows: list[int], rejected: list[int]) -> list[FoundRow]:
    """Whole rows of a part, and of its rejected part, in the order of the input."""
    found = []
    for path, wanted in ((run.path(span), rows), (run.folder.rejected / span.name, rejected)):
        if wanted:
            table = read_rows(path, SOURCE_ROW, wanted)
            numbers = table[SOURCE_ROW].to_pylist()
            is_rejected = wanted is rejected
            found += [FoundRow(run, span.index, row, table.slice(i, 1), is_rejected) for i, row in enumerate(numbers)]
    return sorted(found, key=lambda row: row.row)


def _row_count(path: Place) -> int:
    try:
        with open_file(path) as opened:
            return int(pq.read_metadata(opened).num_rows)
    except (pa.ArrowException, OSError) as error:
        raise DataError(f"cannot read: {message_line(error)}, in {path}") from None


def _rows(path: Place, condition: Condition, most: int) -> tuple[list[int], int]:
    """The numbers of the first rows of a part that meet a condition, and the count of all."""
    rows, count = list[int](), 0
    for numbers in _holding(path, condition):
        count += len(numbers)
        rows += numbers[: most - len(rows)].tolist()
    return rows, count


def _holding(path: Place, condition: Condition) -> Iterator[NDArray[np.int64]]:
    """The numbers of the rows that meet a condition, batch by batch."""
    wanted = list(dict.fromkeys([*condition.columns, SOURCE_ROW]))
    try:
        with open_file(path) as opened, pq.ParquetFile(opened, buffer_size=BUFFER_BYTES, **READ_OPTIONS) as file:
            pruning = Pruning.of(condition, file.schema_arrow)
            paths = [file.schema.column(i).path for i in range(len(file.schema))]
            # Two leaves may share a path: the column "a.b", and the field b in "a".
            leaves = {path: i for i, path in enumerate(paths) if paths.count(path) == 1} if pruning.bounds else {}
            groups = [i for i in range(file.num_row_groups) if pruning.may_hold(file.metadata.row_group(i), leaves)]
            for batch in file.iter_batches(ROWS_AT_ONCE, row_groups=groups, columns=wanted) if groups else ():
                # Selected by name: pyarrow also reads "a.b" where "a" is asked for.
                holds = condition.holds(batch.column)
                yield batch.column(SOURCE_ROW).to_numpy()[holds]
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"cannot read: {message_line(error)}, in {path}") from None
