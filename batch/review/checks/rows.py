"""Whether every row of every input is in its part or rejected, once and in order; and what these rows add up to."""

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.batch.output.columns import IDENTITY, REASON, SOURCE_FILE, SOURCE_ROW
from whyport.batch.output.part_file import PartFile
from whyport.batch.output.parts import PartSpan
from whyport.batch.output.totals import Totals
from whyport.batch.review.checks.audited import Audited, AuditedPart
from whyport.batch.review.checks.recount import Recount
from whyport.runtime.errors import AuditError, listing, message_line

ROWS_AT_ONCE = 1 << 18


def check_rows(audited: Audited) -> str:
    """Check that no row is lost, doubled or moved, and that the footers' counts are those of the rows' own columns."""
    recount = Recount(audited.run.task, audited.columns)

    def check(part: AuditedPart) -> None:
        _check_part(audited, recount, part)

    for _ in audited.there.each(check, audited.parts):
        pass
    report = audited.report
    rows_in = sum(part.span.rows for part in audited.parts)
    rows_out = sum(part.totals.rows_out for part in audited.parts)
    rejected = rows_in - rows_out
    if (rows_in, rows_out, rejected) != (report.rows_in, report.rows_out, report.rows_rejected):
        raise AuditError(
            f"expected {report.rows_in} rows in, {report.rows_out} out and {report.rows_rejected} rejected, as the "
            f"report has, got {rows_in}, {rows_out} and {rejected}, in {audited.out}"
        )
    return f"{rows_in} in = {rows_out} out + {rejected} rejected, each once"


def _check_part(audited: Audited, recount: Recount, part: AuditedPart) -> None:
    span, source_file = part.span, audited.run.inputs[part.span.index].source_file
    path, rejected = audited.out / span.name, audited.folder.rejected / span.name
    with audited.there.open(path) as file:
        rows, counted = [np.zeros(0, dtype=np.int64)], Totals.empty(audited.run.task, audited.run.settings.methods)
        for batch in _batches(file, recount.columns):
            rows.append(_rows_of(batch, source_file, file))
            counted += recount.of(batch, str(file))
    numbers = _ascending(np.concatenate(rows), path)
    if part.totals.rows_rejected:
        with audited.there.open(rejected) as beside:
            others, reasons = _rejected(beside, source_file, span, audited.run.settings.batch_rows)
        counted += reasons
        numbers = np.sort(np.concatenate([numbers, _ascending(others, rejected)]))
    if not np.array_equal(numbers, np.arange(span.start, span.stop)):
        raise AuditError(
            f"expected the rows {span.start} to {span.stop} once each, in order, got {len(numbers)}, in {path}"
        )
    recount.check(part.totals, counted, str(path))


def _batches(file: PartFile, columns: Sequence[str]) -> Iterator[pa.Table]:
    """The rows of a part, with some columns; raises AuditError where it cannot be read."""
    try:
        with file.open() as opened, pq.ParquetFile(opened, page_checksum_verification=True) as reader:
            for batch in reader.iter_batches(ROWS_AT_ONCE, columns=list(columns)):
                # Selected by name: pyarrow also reads "a.b" where "a" is asked for.
                yield pa.Table.from_batches([batch]).select(columns)
    except (pa.ArrowException, OSError) as error:
        raise AuditError(f"cannot read: {message_line(error)}, in {file}") from None


def _rows_of(batch: pa.Table, source_file: str, file: PartFile) -> NDArray[np.int64]:
    """The numbers of a batch's rows; raises AuditError for a row of another file, or without a number."""
    others = set(batch[SOURCE_FILE].unique().to_pylist()) - {source_file}
    if others:
        raise AuditError(f"expected rows of {source_file}, got {listing(map(str, others))}, in {file}")
    numbers = batch[SOURCE_ROW]
    if numbers.null_count:
        raise AuditError(f"expected a number of every row, got null, in {file}")
    found: NDArray[np.int64] = numbers.to_numpy()
    return found


def _rejected(file: PartFile, source_file: str, span: PartSpan, batch_rows: int) -> tuple[NDArray[np.int64], Totals]:
    """The numbers of rejected rows, and the reasons counted as a run counts them: batch by batch."""
    numbers, reasons = [np.zeros(0, dtype=np.int64)], list[str]()
    for batch in _batches(file, [*(field.name for field in IDENTITY), REASON.name]):
        numbers.append(_rows_of(batch, source_file, file))
        reasons += [str(each) for each in batch[REASON.name].to_pylist()]
    rows = np.concatenate(numbers)
    totals = Totals()
    places = (rows - span.start) // batch_rows
    for start, stop in _runs(places):
        totals += Totals(rejected=dict(Counter(reasons[start:stop])))
    return rows, totals


def _runs(values: NDArray[Any]) -> Iterator[tuple[int, int]]:
    """Where each run of equal values begins and ends."""
    edges = [0, *(np.flatnonzero(np.diff(values)) + 1).tolist(), len(values)]
    return ((start, stop) for start, stop in pairwise(edges) if stop > start)


def _ascending(rows: NDArray[np.int64], path: object) -> NDArray[np.int64]:
    if (np.diff(rows) <= 0).any():
        row = int(rows[1:][np.diff(rows) <= 0][0])
        raise AuditError(f"expected the rows in their input's order, each once, got row {row} too late, in {path}")
    return rows
