"""Whether every row of a run is the same when it is computed again, in the run's own batches."""

from collections.abc import Generator, Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import groupby
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.pipeline import FetchAhead
from whyport.batch.progress import Progress
from whyport.batch.review.checks.audited import Audited, AuditedPart
from whyport.batch.review.checks.state import Position, StateFile, digest_of_run
from whyport.batch.review.comparison import Deviations
from whyport.batch.rows import CleanBatch
from whyport.batch.source.decoding import BUFFER_BYTES
from whyport.runtime.errors import AuditError, listing, message_line
from whyport.runtime.paths import open_file
from whyport.runtime.store.path import Place

BATCHES_AHEAD = 2


def check_full(audited: Audited) -> str:
    """Compute every row again, and judge every rejected one; gives the largest deviations."""
    run = digest_of_run(audited.job_document, audited.report_document, audited.bundle.digest)
    position = _EveryRow(audited, StateFile(audited.asked.state, run)).check()
    rejected = position.done - position.rows
    text = position.deviations.text(audited.run.task)
    return f"{position.rows} rows computed again, which are all, and {rejected} judged: {text}"


class _EveryRow:
    """Computes all rows, batch after batch.

    Args:
        audited: the run.
        state: where the position is kept.
    """

    def __init__(self, audited: Audited, state: StateFile) -> None:
        self._audited = audited
        self._state = state
        self._recomputer = audited.recomputer

    def check(self) -> Position:
        """Go on from the position that is kept; gives the last one."""
        position, parts = self._state.read(), [*enumerate(self._audited.parts)]
        self._state.write(position, at_once=True)
        total = sum(part.span.rows for _, part in parts)
        with closing(Progress(total, position.done)) as progress:
            left = parts[position.part :]
            for index, own in groupby(left, lambda each: each[1].span.index):
                for later in self._input(index, [*own], position):
                    position = later
                    self._state.write(position)
                    progress.add(position.done - progress.done)
        self._state.write(position, at_once=True)
        return position

    def _input(self, index: int, parts: Sequence[tuple[int, AuditedPart]], position: Position) -> Iterator[Position]:
        """Compute the rows of some parts of one input, which one reader serves; gives every position."""
        start = max(position.row, parts[0][1].span.start)
        with FetchAhead(self._clean(index, start), BATCHES_AHEAD, "whyport-audit") as batches:
            for place, part in parts:
                with _Part(self._audited, part, start) as stored:
                    is_exact = self._is_exact(part)
                    while start < part.span.stop:
                        batch = next(batches)
                        found = stored.compare(batch, is_exact=is_exact)
                        start += batch.num_rows
                        position = position.after(place, start, batch.num_rows, found)
                        yield position
                position = position.after(place + 1, 0, 0, Deviations())
        yield position

    def _clean(self, index: int, start: int) -> Generator[CleanBatch, None, None]:
        """The rows of an input from one on, cleaned."""
        source, kept = self._audited.sources[index], self._audited.kept
        with closing(self._audited.inputs.batches(source, start)) as batches:
            for first, batch in batches:
                yield self._recomputer.cleaned(batch, first, kept)

    def _is_exact(self, part: AuditedPart) -> bool:
        """Whether this machine computes the part's very bits: an arithmetic is known by its digests."""
        return bool(part.arithmetic) and part.arithmetic == self._recomputer.arithmetic_of(
            self._audited.run.job.versions
        )


class _Part:
    """A part and its rejected part, read from a row on beside the rows that are computed again."""

    def __init__(self, audited: Audited, part: AuditedPart, start: int) -> None:
        self._recomputer = audited.recomputer
        self._path, self._beside = audited.out / part.span.name, audited.folder.rejected / part.span.name
        self._rows = _InOrder(self._path, audited.run.settings.batch_rows)
        self._rejected: _InOrder | None = None
        if part.totals.rows_rejected:
            self._rejected = _InOrder(self._beside, audited.run.settings.batch_rows)
        self._start = start
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for each in (self._rows, self._rejected):
            if each is not None:
                self._stack.enter_context(closing(each))
                each.until(self._start)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def compare(self, batch: CleanBatch, *, is_exact: bool) -> Deviations:
        """Compare the next rows with a batch of them; raises AuditError."""
        predicted = self._recomputer.scored(batch)
        stop = batch.first_row + batch.num_rows
        stored = self._rows.until(stop)
        numbers = predicted.source_rows
        if not np.array_equal(stored[SOURCE_ROW].to_numpy(), numbers):
            odd = np.setxor1d(stored[SOURCE_ROW].to_numpy(), numbers)
            raise AuditError(
                f"expected scored rows that can be scored, and all of these, got others or fewer: rows "
                f"{listing(map(str, odd.tolist()))}, in {self._path}"
            )
        if self._rejected is not None:
            self._recomputer.judge_rows(predicted, self._rejected.until(stop), str(self._beside))
        if not stored.num_rows:
            return Deviations()
        return self._recomputer.compare_rows(predicted, stored, str(self._path), is_exact=is_exact)


class _InOrder:
    """The rows of a file whose numbers ascend, read as far as they are asked for.

    Args:
        path: the file.
        rows: how many are decoded at once.
    """

    def __init__(self, path: Place, rows: int) -> None:
        self._path = path
        try:
            self._opened = open_file(path)
            self._file = pq.ParquetFile(self._opened, buffer_size=BUFFER_BYTES, pre_buffer=False)
        except (pa.ArrowException, OSError) as error:
            raise AuditError(f"cannot read: {message_line(error)}, in {path}") from None
        self._batches = self._file.iter_batches(rows)
        self._ahead: pa.Table = self._file.schema_arrow.empty_table()

    def until(self, stop: int) -> pa.Table:
        """The next rows, up to one number."""
        pieces = [self._ahead]
        try:
            while not pieces[-1].num_rows or pieces[-1][SOURCE_ROW][-1].as_py() < stop:
                batch = next(self._batches, None)
                if batch is None:
                    break
                pieces.append(pa.Table.from_batches([batch]))
        except (pa.ArrowException, OSError) as error:
            raise AuditError(f"cannot read: {message_line(error)}, in {self._path}") from None
        table = pa.concat_tables(pieces)
        count = int(np.searchsorted(table[SOURCE_ROW].to_numpy(), stop))
        self._ahead = table.slice(count)
        return table.slice(0, count)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
        self._opened.close()
