"""A run as described by its own folder, read without the model or the inputs: for audit, show and report."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.arrow import take_rows
from whyport.batch.methods.positions import Block, Positions
from whyport.batch.methods.reduction import Reduction
from whyport.batch.output.columns import ExplanationColumns, OutputColumns
from whyport.batch.output.folder import JOB_FILE, OutputFolder
from whyport.batch.output.job_file import InputMark, JobFile, PinnedSettings
from whyport.batch.output.layouts import AttributionLayout, positions_of
from whyport.batch.output.parts import PartFooter, PartSpan, read_schema
from whyport.batch.output.result import JobReport, read_report
from whyport.batch.output.totals import Totals
from whyport.batch.scoring.selection import Selection
from whyport.batch.source.decoding import BUFFER_BYTES, READ_OPTIONS
from whyport.batch.store.objects import disk_of
from whyport.runtime.arguments import at_least
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.errors import AuditError, DataError, JobError, UsageError, message_line, unknown
from whyport.runtime.paths import open_file
from whyport.runtime.store.path import Place, as_place
from whyport.runtime.task import Task

VALUES_AT_ONCE = 1 << 22
"""Values that are read at once, over all columns."""


@dataclass(frozen=True)
class PartBatch:
    """Consecutive rows of the output."""

    index: int
    """The input's index among all inputs."""
    source_file: str
    first: int
    """The number of output rows before these."""
    table: pa.Table


@dataclass(frozen=True)
class FinishedRun:
    """A run's documents and parts, in order."""

    folder: OutputFolder
    job: JobFile

    @classmethod
    def read(cls, out: Place, *, unfinished: bool = False) -> Self:
        """Read a folder's documents.

        Args:
            out: the output folder.
            unfinished: whether to accept a run without _SUCCESS, with its job and the parts that exist.

        Raises:
            UsageError: there is no run. JobError: the run cannot be read, or is not finished.
        """
        folder = OutputFolder(out, disk_of(out))
        if not (out / JOB_FILE).exists():
            raise UsageError(f"expected the output folder of a run, got {str(out)!r}, which has no {JOB_FILE}")
        job = JobFile.build(folder.read_json(JOB_FILE), out / JOB_FILE)
        if not unfinished and not folder.is_finished:
            raise JobError(f"expected a finished run, got one without _SUCCESS, in {out}")
        return cls(folder, job)

    @property
    def inputs(self) -> tuple[InputMark, ...]:
        """All inputs, in order."""
        return self.job.inputs

    @property
    def settings(self) -> PinnedSettings:
        """The run's options."""
        return self.job.settings

    @cached_property
    def task(self) -> Task:
        """The meaning of the model's outputs."""
        return self.job.meaning

    @cached_property
    def report(self) -> JobReport:
        """The run's report."""
        return read_report(self.folder)

    @cached_property
    def parts(self) -> tuple[PartSpan, ...]:
        """The parts in order; skipped inputs have none."""
        skipped = {file.source_file for file in self.report.skipped}
        scored = [index for index, mark in enumerate(self.inputs) if mark.source_file not in skipped]
        return tuple(span for index in scored for span in self.job.spans(index))

    @cached_property
    def schema(self) -> pa.Schema:
        """The columns of the first part; raises JobError for a run without parts, whose every input was skipped."""
        if not self.parts:
            raise JobError(f"expected a run that scored an input, got one that skipped them all, in {self.folder.path}")
        return read_schema(self.path(self.parts[0]))

    @cached_property
    def columns(self) -> OutputColumns:
        """The columns of the run's output."""
        return self.columns_of(self.schema)

    @property
    def layout(self) -> AttributionLayout:
        """The layout of the attributions."""
        return self.columns.layout

    @property
    def selection(self) -> Selection:
        """The choice of rows to explain."""
        return Selection.parse(self.settings.explain_where, self.settings.explain_fraction)

    @property
    def explanations(self) -> list[ExplanationColumns]:
        """The explanations that have one attribution per feature."""
        names = set(self.schema.names)
        return [each for each in self.columns.explanations if {f.name for f in self.fields(each)} <= names]

    @cached_property
    def totals(self) -> Totals:
        """The totals of all parts' footers."""
        return sum((PartFooter.read(self.path(span)).totals for span in self.parts), Totals())

    def columns_of(self, schema: pa.Schema) -> OutputColumns:
        """The output columns of parts with that schema; raises JobError if the schema does not name the features."""
        return self.job.columns(positions_of(schema) if self.settings.methods else Positions(()))

    def reduction(self, bundle: Bundle) -> Reduction:
        """The shares that the run has written, from those of its methods."""
        settings = self.settings
        groups = settings.explain_settings.players
        return Reduction.of(bundle.sidecar, groups, settings.per, settings.reduction)

    @property
    def _varying(self) -> tuple[Block, ...]:
        """The inputs of varying length whose shares the run has written."""
        return self.layout.positions.varying if self.settings.methods else ()

    def fields(self, columns: ExplanationColumns) -> list[pa.Field]:
        """The attribution columns of an explanation."""
        return self.layout.fields(columns.prefix, columns.suffix)

    def path(self, span: PartSpan) -> Place:
        """The path of a part."""
        return self.folder.path / span.name

    def open_bundle(self, path: Place | None = None) -> Bundle:
        """Open the run's bundle in its variant, by default at its old path; raises AuditError for another bundle."""
        bundle = Bundle.read(path or as_place(self.job.bundle.path))
        if bundle.digest != self.job.bundle.digest:
            raise AuditError(
                f"expected the bundle with digest {self.job.bundle.digest}, got {bundle.digest}, in {bundle.path}"
            )
        try:
            return bundle_in(bundle, self.settings.variant)
        except UsageError as error:
            raise AuditError(f"{error}, in {bundle.path}") from None

    def find_input(self, name: str | None) -> int:
        """The index of the input with that name, or with that end of the name after a slash; by default the only input.

        Raises UsageError if there is no such input, or more than one.
        """
        names = [mark.source_file for mark in self.inputs]
        if name is None:
            if len(names) > 1:
                raise UsageError(f"the run has {len(names)} inputs: choose one with --file")
            return 0
        found = [i for i, known in enumerate(names) if known == name] or [
            i for i, known in enumerate(names) if known.endswith(f"/{name}")
        ]
        if len(found) != 1:
            raise UsageError(unknown("input" if not found else "single input", name, names))
        return found[0]

    def check_row(self, index: int, row: int) -> None:
        """Raise UsageError if an input has no row of that number."""
        mark = self.inputs[index]
        at_least("row", row, 0)
        if mark.rows is None or row >= mark.rows:
            raise UsageError(f"row: expected less than {mark.rows}, got {row}, in {mark.source_file}")

    def batches(self, columns: Sequence[str], values_at_once: int = VALUES_AT_ONCE) -> Iterator[PartBatch]:
        """All rows of the output in order, with these columns; raises DataError if a part cannot be read."""
        wanted = list(dict.fromkeys(columns))
        most = max((block.stop - block.start for block in self._varying), default=1)
        widths = [_values_of(self.schema.field(name).type, most) for name in wanted]
        rows = max(values_at_once // max(sum(widths), 1), 1)
        first = 0
        for span in self.parts:
            path = self.path(span)
            try:
                with (
                    open_file(path) as opened,
                    pq.ParquetFile(opened, buffer_size=BUFFER_BYTES, **READ_OPTIONS) as file,
                ):
                    for batch in file.iter_batches(rows, columns=wanted):
                        # Selected by name: pyarrow also reads "a.b" where "a" is asked for.
                        table = pa.Table.from_batches([batch]).select(wanted)
                        yield PartBatch(span.index, self.inputs[span.index].source_file, first, table)
                        first += batch.num_rows
            except (pa.ArrowException, OSError, KeyError) as error:
                raise DataError(f"cannot read: {message_line(error)}, in {path}") from None


def _values_of(kind: pa.DataType, most: int) -> int:
    """The number of values that a column has in a row; `most` for lists of any length."""
    lists = kind.storage_type if isinstance(kind, pa.BaseExtensionType) else kind
    return most if pa.types.is_list(lists) else int(getattr(lists, "list_size", 1))


def read_rows(path: Place, column: str, wanted: Iterable[int]) -> pa.Table:
    """The rows of a part whose ascending `column` has a wanted value; only their row groups are read.

    Raises DataError if the file cannot be read.
    """
    rows = sorted(wanted)
    found = []
    try:
        with open_file(path) as opened, pq.ParquetFile(opened, page_checksum_verification=True) as file:
            place = file.schema_arrow.names.index(column)
            for i in range(file.num_row_groups):
                statistics = file.metadata.row_group(i).column(place).statistics
                inside = [row for row in rows if statistics is not None and statistics.min <= row <= statistics.max]
                found += [
                    take_rows(batch, np.flatnonzero(np.isin(batch[column].to_numpy(), inside)))
                    for batch in (file.iter_batches(row_groups=[i]) if inside else ())
                ]
            return pa.Table.from_batches(found, file.schema_arrow)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise DataError(f"cannot read: {message_line(error)}, in {path}") from None
