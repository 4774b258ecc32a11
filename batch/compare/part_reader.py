"""The predictions, the shares and the kept inputs of a run, read from its parts."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.batch.compare.input_columns import InputColumns
from whyport.batch.compare.shares import RunShares, explained_rows
from whyport.batch.compare.variables import INPUTS, PREDICTIONS, VALUES_AT_ONCE, Chunk, Group, Task, Variable, sampled
from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.output.parts import PartSpan
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.scoring.selection import uniform
from whyport.batch.source.decoding import READ_OPTIONS
from whyport.runtime.errors import DataError, message_line
from whyport.runtime.paths import open_file

SAMPLED_TASKS = 16
SAMPLED_ROWS = 1 << 12
"""The rows of a part that are looked at before all are counted."""


class PartReader:
    """Reads a run's parts.

    Args:
        run: the run.
        groups: the groups to read.
        kept: the inputs that are read from kept columns; None for none.
    """

    def __init__(self, run: FinishedRun, groups: Sequence[Group], kept: InputColumns | None = None) -> None:
        self._run, self._shares, self._kept = run, RunShares.of(run), kept
        wanted = set(groups)
        self._explanations = {g: each for g, each in self._shares.explanations.items() if g in wanted}
        self._predicted = list(run.task.columns) if Group(PREDICTIONS) in wanted else []
        self.numbers: tuple[Variable, ...] = (
            *(Variable(Group(PREDICTIONS), column.name) for column in self._predicted if not column.names_target),
            *(Variable(group, name) for group in self._explanations for name in self._shares.names),
            *(Variable(Group(INPUTS), name) for name in (kept.numbers if kept else ())),
        )

    @property
    def tasks(self) -> list[Task]:
        """The parts, each a task."""
        return [Task(span.index, span.start, span.stop, span) for span in self._run.parts]

    @property
    def sample(self) -> tuple[list[Task], int | None]:
        """The tasks that are looked at before, and the rows of each; None for all of them."""
        return sampled(self.tasks, SAMPLED_TASKS, SAMPLED_ROWS)

    def chunks(self, task: Task, rows: int | None = None) -> Iterator[Chunk]:
        """The first rows of a part, or all of them; raises DataError if it cannot be read."""
        columns = self._columns
        seen = 0
        for table in read_part(self._run, task.what, columns, rows):
            yield self._chunk(task, table)
            seen += table.num_rows
            if rows is not None and seen >= rows:
                return

    @property
    def _columns(self) -> list[str]:
        names = [SOURCE_ROW, *(column.name for column in self._predicted)]
        for each in self._explanations.values():
            names += self._shares.columns(each)
        return list(dict.fromkeys([*names, *(self._kept.names if self._kept else ())]))

    def _chunk(self, task: Task, table: pa.Table) -> Chunk:
        chunk = Chunk()
        keys = uniform(self._run.inputs[task.index].source_file, table[SOURCE_ROW].to_numpy())
        for column in self._predicted:
            variable, values = Variable(Group(PREDICTIONS), column.name), table[column.name].combine_chunks()
            if column.names_target:
                chunk.categories[variable] = values
            else:
                chunk.numbers[variable] = values.to_numpy(zero_copy_only=False).astype(np.float32, copy=False)
        _draw(chunk, Group(PREDICTIONS), keys)
        for group, each in self._explanations.items():
            explained, mask = explained_rows(table, each)
            values = zip(self._shares.names, self._shares.read(explained, each), strict=True)
            chunk.numbers |= {Variable(group, name): column for name, column in values}
            chunk.rows[group] = explained.num_rows
            _draw(chunk, group, keys if mask is None else keys[mask])
        if self._kept:
            self._kept.add(chunk, table, keys)
        return chunk


def _draw(chunk: Chunk, group: Group, keys: NDArray[np.float64]) -> None:
    """Let the same rows of a group's numbers be drawn."""
    block = tuple(variable for variable in chunk.numbers if variable.group == group)
    if block:
        chunk.keys[block] = keys


def read_part(run: FinishedRun, span: PartSpan, columns: Sequence[str], most: int | None = None) -> Iterator[pa.Table]:
    """The rows of a part in order, with these columns."""
    path = run.path(span)
    rows = max(VALUES_AT_ONCE // max(len(columns), 1), 1)
    try:
        with open_file(path) as opened, pq.ParquetFile(opened, **READ_OPTIONS) as file:
            for i in range(file.num_row_groups):
                # Selected by name: pyarrow also reads "a.b" where "a" is asked for.
                if file.metadata.row_group(i).num_rows <= rows:
                    yield file.read_row_group(i, columns, use_threads=False).select(columns)
                    continue
                size = rows if most is None else min(rows, most)
                for batch in file.iter_batches(size, row_groups=[i], columns=columns, use_threads=False):
                    yield pa.Table.from_batches([batch]).select(columns)
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"cannot read: {message_line(error)}, in {path}") from None
