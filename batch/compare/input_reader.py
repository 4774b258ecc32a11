"""A run's inputs, read again in ranges of rows."""

from collections.abc import Collection, Iterator
from typing import Self

import numpy as np

from whyport.batch.compare.input_columns import InputColumns, TableInputs
from whyport.batch.compare.variables import INPUTS, VALUES_AT_ONCE, Chunk, Group, Task, Variable, sampled
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.batch.scoring.selection import uniform
from whyport.batch.source.parquet import SourceFile

TASK_ROWS = 1 << 18
"""About as many rows are read by one thread, one after the other; whole row groups."""
SAMPLED_TASKS = 8
SAMPLED_ROWS = 1 << 13


class InputReader:
    """Reads the inputs that a run has scored.

    Args:
        files: the inputs, by their index among all.
        columns: the columns.
    """

    def __init__(self, files: dict[int, SourceFile], columns: InputColumns) -> None:
        self._files, self._columns = files, columns
        self.numbers = tuple(Variable(Group(INPUTS), name) for name in columns.numbers)

    @classmethod
    def open(cls, run: FinishedRun, columns: InputColumns | None, names: Collection[str]) -> Self:
        """The inputs of a run.

        Args:
            run: the run.
            columns: the columns that its bundle describes; None where it is gone.
            names: the columns that are then read.

        Raises DataError or JobError if an input cannot be read, AuditError if it has changed.
        """
        files = {index: RunInputs(run, ()).open(index) for index in dict.fromkeys(span.index for span in run.parts)}
        if columns is None:
            columns = TableInputs.among(next(iter(files.values())).schema, names)
        if isinstance(columns, TableInputs):
            columns = columns.only(set.intersection(*(set(file.schema.names) for file in files.values())))
        return cls(files, columns)

    @property
    def left_out(self) -> tuple[str, ...]:
        """The columns that are not compared."""
        return self._columns.left_out

    @property
    def tasks(self) -> list[Task]:
        """The ranges of rows, each a task."""
        found = []
        for index, file in self._files.items():
            start = 0
            for end in file.row_group_ends:
                if end - start >= TASK_ROWS or end == file.rows:
                    found += [Task(index, start, end)] if end > start else []
                    start = end
        return found

    @property
    def sample(self) -> tuple[list[Task], int | None]:
        """The tasks that are looked at before, and the rows of each; None for all of them."""
        return sampled(self.tasks, SAMPLED_TASKS, SAMPLED_ROWS)

    def chunks(self, task: Task, rows: int | None = None) -> Iterator[Chunk]:
        """The first rows of a range, or all of them; raises DataError if they cannot be read."""
        if not self._columns.names:
            return
        width = max(len(self._columns.numbers), len(self._columns.names))
        stop = task.stop if rows is None else min(task.start + rows, task.stop)
        size = max(VALUES_AT_ONCE // max(width, 1), 1)
        file = self._files[task.index]
        for first, batch in file.batches(list(self._columns.names), size, task.start, stop):
            chunk = Chunk()
            self._columns.add(chunk, batch, uniform(file.name, np.arange(first, first + batch.num_rows)))
            yield chunk
