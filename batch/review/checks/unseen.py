"""Whether the footers' counts of what training has not seen are those of the inputs."""

from contextlib import closing
from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from whyport.batch.output.parts import PartSpan
from whyport.batch.output.totals import Totals
from whyport.batch.review.checks.audited import Audited, AuditedPart
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import AuditError
from whyport.runtime.inputs.encoders import Encoder
from whyport.runtime.inputs.encoding import ColumnEncoder, Unseen
from whyport.runtime.inputs.table import Columns
from whyport.runtime.inputs.texts.encoder import TextEncoder

KEYS = ("rows_unseen", "unseen", "cut")


def check_unseen(audited: Audited) -> str:
    """Check the counts of unseen values and of texts that were cut, over all rows of the inputs."""
    if not audited.asked.reads_inputs:
        return "not counted again: no input is read"
    columns = Columns.of_bundle(audited.bundle)
    telling = {name: encoder for name, encoder in columns.by_name.items() if _tells(encoder)}
    rows, values = 0, 0
    for part in audited.parts:
        counted = _counted(audited.sources[part.span.index], part.span, telling, audited.run.settings.batch_rows)
        _compare(audited, part, counted)
        rows += counted.rows_unseen
        values += sum(counted.unseen.values())
    looked = f"{len(telling)} columns of categories, dates and texts" if telling else "no column can have any"
    return f"{rows} rows have {values} values that training has not seen, counted again in the inputs: {looked}"


def _tells(encoder: Encoder) -> bool:
    """Whether a column can have values that training has not seen, or texts that are cut."""
    return isinstance(encoder, TextEncoder) or (isinstance(encoder, ColumnEncoder) and not encoder.is_number)


@dataclass
class _Counts:
    """The counts of one part, as they are added up."""

    rows_unseen: int = 0
    unseen: dict[str, int] = field(default_factory=dict)
    cut: dict[str, int] = field(default_factory=dict)

    def add(self, found: Unseen) -> None:
        """Count one batch."""
        self.rows_unseen += len(found.any_rows)
        for own, counts in ((self.unseen, found.counts), (self.cut, found.cut_counts)):
            for name, count in counts.items():
                own[name] = own.get(name, 0) + count


def _counted(source: SourceFile, span: PartSpan, telling: dict[str, Encoder], batch_rows: int) -> _Counts:
    """The input's count of it in the rows of a part."""
    counts = _Counts()
    if not telling or not span.rows:
        return counts
    with closing(source.batches(list(telling), batch_rows, span.start, span.stop)) as batches:
        for _, batch in batches:
            counts.add(
                Unseen.of({(each.tells, name): _rows(each, batch.column(name)) for name, each in telling.items()})
            )
    return counts


def _rows(encoder: Encoder, column: pa.Array) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    found: np.ndarray[tuple[int], np.dtype[np.int64]] = encoder.encode(column)[1]
    return found


def _compare(audited: Audited, part: AuditedPart, counted: _Counts) -> None:
    totals: Totals = part.totals
    for key in KEYS:
        if key not in part.counted and not audited.report_document.get(key):
            continue  # an earlier run, which did not count this
        found, said = getattr(counted, key), getattr(totals, key)
        if found != said:
            path = audited.out / part.span.name
            raise AuditError(f"{key} in the footer: expected {found}, as the input has, got {said}, in {path}")
