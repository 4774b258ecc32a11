"""The parts of a finished run as one stream of rows, some columns at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.output.columns import ExplanationColumns, classes, explanations, kept_columns
from whyport.batch.output.layouts import AttributionLayout, features_of
from whyport.batch.output.parts import PartFooter, PartSpan
from whyport.batch.output.result import JobReport, read_report
from whyport.batch.output.totals import Totals
from whyport.batch.review.record import InputRecord, RunRecord
from whyport.batch.source.parquet import READ_OPTIONS
from whyport.runtime.errors import DataError, JobError

VALUES_AT_ONCE = 1 << 22
"""Values of all columns together that are read at once."""


@dataclass(frozen=True)
class PartBatch:
    """Some rows of the output that follow each other."""

    source: InputRecord
    first: int
    """How many rows of the output stand before them."""
    table: pa.Table


@dataclass(frozen=True)
class FinishedRun:
    """A finished run: its documents, and its parts in order."""

    record: RunRecord
    report: JobReport
    parts: tuple[tuple[InputRecord, PartSpan], ...]

    @classmethod
    def read(cls, out: Path) -> Self:
        """Read a folder's documents; UsageError where it holds no run, JobError where the run is not finished."""
        record = RunRecord.read(out)
        if not record.folder.is_finished:
            raise JobError(f"expected a finished run, got one without _SUCCESS, in {out}")
        report = read_report(record.folder)
        skipped = {file.source_file for file in report.skipped}
        parts = [
            (source, span)
            for source in record.inputs
            if source.source_file not in skipped
            for span in record.spans(source)
        ]
        return cls(record, report, tuple(parts))

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the first part."""
        return pq.read_schema(self._path(self.parts[0][1]))

    @property
    def classes(self) -> list[str]:
        """The model's classes."""
        return classes(self.schema.names)

    @property
    def kept(self) -> list[str]:
        """The columns that were copied from the inputs."""
        return kept_columns(self.schema.names)

    @cached_property
    def layout(self) -> AttributionLayout:
        """How the attributions stand in their columns."""
        return self.record.attributions(features_of(self.schema))

    @property
    def explanations(self) -> list[ExplanationColumns]:
        """The explanations that have an attribution for every feature."""
        if not self.record.methods:
            return []
        names = set(self.schema.names)
        found = explanations(self.record.methods, self.classes if self.record.explains_all_classes else [])
        return [each for each in found if {field.name for field in self.fields(each)} <= names]

    def fields(self, columns: ExplanationColumns) -> list[pa.Field]:
        """The attribution columns of an explanation."""
        return self.layout.fields(columns.prefix, columns.suffix)

    @cached_property
    def totals(self) -> Totals:
        """What the footers of all parts count."""
        return sum((PartFooter.read(self._path(span)).totals for _, span in self.parts), Totals())

    def batches(self, columns: Sequence[str], values_at_once: int = VALUES_AT_ONCE) -> Iterator[PartBatch]:
        """All rows of the output in order, with these columns; DataError where a part cannot be read."""
        wanted = list(dict.fromkeys(columns))
        widths = [getattr(self.schema.field(name).type, "list_size", 1) for name in wanted]
        rows = max(values_at_once // max(sum(widths), 1), 1)
        first = 0
        for source, span in self.parts:
            path = self._path(span)
            try:
                with pq.ParquetFile(path, **READ_OPTIONS) as file:
                    for batch in file.iter_batches(rows, columns=wanted):
                        # By name: pyarrow reads "a.b" too where "a" is asked for.
                        yield PartBatch(source, first, pa.Table.from_batches([batch]).select(wanted))
                        first += batch.num_rows
            except (pa.ArrowException, OSError, KeyError) as error:
                raise DataError(f"cannot read: {(str(error).splitlines() or [''])[0]}, in {path}") from None

    def _path(self, span: PartSpan) -> Path:
        return self.record.folder.path / span.name
