"""A finished run as its checks see it: what several of them need, read once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.batch.methods.maps.specs import array_specs
from whyport.batch.output.columns import SOURCE_ROW, OutputColumns
from whyport.batch.output.folder import JOB_FILE, REPORT_FILE
from whyport.batch.output.job_file import FORMAT_VERSION
from whyport.batch.output.part_file import PartFile
from whyport.batch.output.parts import TOTALS_KEY, PartFooter, PartSpan, read_schema
from whyport.batch.output.parts_there import PartsThere
from whyport.batch.output.result import JobReport
from whyport.batch.output.totals import Totals
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.batch.review.recompute import Recomputer
from whyport.batch.source.kept import kept_fields
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.arguments import at_least
from whyport.runtime.bundle.codec import load
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import AuditError, BundleFormatError, DataError, UsageError, listing, message_line
from whyport.runtime.store.path import Place


@dataclass(frozen=True)
class Asked:
    """The options of an audit."""

    sample: int = 100
    """Scored rows to compute again, and rejected rows to judge again; without any, no input is read."""
    seed: int = 0
    """The seed for drawing these rows."""
    device: str = "auto"
    threads: int | None = None
    """The threads that compute; None for those of a run."""
    full: bool = False
    """Whether every row is computed again, in place of the sample."""
    state: Path | None = None
    """The file that keeps how far a full audit has come."""

    def __post_init__(self) -> None:
        at_least("sample", self.sample, 0)
        if self.threads is not None:
            at_least("threads", self.threads, 1)
        if self.state is not None and not self.full:
            raise UsageError("state: it is for an audit of every row, expected full beside it")

    @property
    def reads_inputs(self) -> bool:
        """Whether the inputs are read again."""
        return self.full or self.sample > 0


@dataclass(frozen=True)
class AuditedPart:
    """A part with the totals of its footer."""

    span: PartSpan
    totals: Totals
    counted: frozenset[str]
    """The keys of these totals: earlier runs lack some."""
    arithmetic: Mapping[str, str]
    """The arithmetic that made the part, as its footer says."""


class Audited:
    """A finished run, its bundle, and its inputs.

    Args:
        out: the run's output folder.
        bundle: the bundle's path, if it was moved since the run.
        asked: what the audit was asked for.

    Raises:
        UsageError, JobError: there is no finished run. AuditError: the bundle is another one.
    """

    def __init__(self, out: Place, bundle: Place | None, asked: Asked) -> None:
        self.run = FinishedRun.read(out, unfinished=True)
        self.folder = self.run.folder
        self.out = self.folder.path  # absolute, as the paths of its parts
        self.asked = asked
        if not self.folder.is_finished:
            raise AuditError(f"expected a finished run, got one without _SUCCESS, in {out}")
        self.job_document = self.document(JOB_FILE)
        self.report_document = self.document(REPORT_FILE)
        self.report: JobReport = self.run.report
        self.bundle: Bundle = self.run.open_bundle(bundle)
        outputs = array_specs(self.bundle.sidecar, self.run.settings.explain_settings.options)
        self.columns: OutputColumns = self.run.job.columns(self.run.reduction(self.bundle).positions, outputs)
        """The columns that the settings and the bundle give."""

    @property
    def is_newest(self) -> bool:
        """Whether the run's documents are of the newest version: older ones may lack what newer ones have."""
        return self.job_document.get("format_version") == FORMAT_VERSION

    def document(self, name: str) -> Mapping[str, Any]:
        """One of the folder's documents, as it is; raises AuditError for a repeated key, NaN or what is no object."""
        try:
            found = load(self.folder.read_text(name))
        except (OSError, UnicodeDecodeError, BundleFormatError) as error:
            raise AuditError(f"expected a document that a run has written, got {error}, in {self.out / name}") from None
        if not isinstance(found, dict):
            raise AuditError(f"expected a document that a run has written, got another, in {self.out / name}")
        return found

    @cached_property
    def there(self) -> PartsThere:
        """The parts that lie in the folder."""
        return PartsThere(self.folder)

    @cached_property
    def parts(self) -> Sequence[AuditedPart]:
        """The parts of the row ranges that the job has, in order; raises JobError for one that no run has written."""
        return [*self.there.each(self._part, self.run.parts)]

    def footer_entries(self, file: PartFile) -> dict[str, bytes]:
        """The metadata in a part's footer, by key."""
        with file.open() as opened:
            metadata = pq.read_metadata(opened).metadata or {}
        return {key.decode(errors="replace"): value for key, value in metadata.items()}

    @cached_property
    def inputs(self) -> RunInputs:
        """The inputs, to be read again."""
        label = [self.run.job.choice.label] if self.run.job.choice.label is not None else []
        columns = [*self.bundle.sidecar.column_names, *self.run.settings.keep, *label]
        return RunInputs(self.run, list(dict.fromkeys(columns)))

    @cached_property
    def sources(self) -> Mapping[int, SourceFile]:
        """The inputs that were scored, opened, by their index; raises DataError or AuditError for another input."""
        kept = self._stored_kept if self.parts else []
        indices = [i for i in range(len(self.run.inputs)) if i not in self.skipped]
        return {i: self.inputs.open(i, kept) for i in indices}

    @cached_property
    def skipped(self) -> Mapping[int, str]:
        """The reason of each input that was left out, by its index."""
        reasons = {each.source_file: each.reason for each in self.report.skipped}
        return {i: reasons[mark.source_file] for i, mark in enumerate(self.run.inputs) if mark.source_file in reasons}

    @cached_property
    def kept(self) -> Sequence[pa.Field]:
        """The kept columns: of the inputs' types where these are read, and else of the first part's."""
        if not self.asked.reads_inputs:
            return self._stored_kept
        sources = [*self.sources.values(), *self._begun(self._stored_kept)]
        return kept_fields(sources, self.run.settings.keep)

    @cached_property
    def _stored_kept(self) -> Sequence[pa.Field]:
        """The kept columns of the first part; raises AuditError where it lacks one."""
        path, names = self.out / self.parts[0].span.name, self.run.settings.keep
        with self.there.open(path) as file:
            stored = read_schema(file)
        missing = [name for name in names if stored.names.count(name) != 1]
        if missing:
            raise AuditError(f"expected the columns that the settings give, got none of {listing(missing)}, in {path}")
        return [stored.field(name) for name in names]

    @cached_property
    def recomputer(self) -> Recomputer:
        """The model and the methods, to compute rows again."""
        return Recomputer(self.bundle, self.run, self.columns, self.asked.device, self.asked.threads)

    def row_numbers(self, file: PartFile) -> NDArray[np.int64]:
        """The numbers of a part's rows in their input, in order; raises AuditError where it cannot be read."""
        try:
            with file.open() as opened, pq.ParquetFile(opened) as reader:
                batches = reader.iter_batches(columns=[SOURCE_ROW])
                return np.concatenate([np.zeros(0, dtype=np.int64), *(each.column(0).to_numpy() for each in batches)])
        except (pa.ArrowException, OSError) as error:
            raise AuditError(f"cannot read: {message_line(error)}, in {file}") from None

    def _begun(self, kept: Sequence[pa.Field]) -> list[SourceFile]:
        """The inputs that were left out after they had been begun, as far as they are there: their types count too."""
        found = []
        for i in self.skipped:
            if self.run.inputs[i].rows is not None:
                try:
                    found.append(self.inputs.open(i, kept))
                except (DataError, AuditError):
                    continue
        return found

    def _part(self, span: PartSpan) -> AuditedPart:
        with self.there.open(self.out / span.name) as file:
            footer = PartFooter.read(file)
            document = load(self.footer_entries(file)[TOTALS_KEY].decode())
        assert isinstance(document, dict)
        return AuditedPart(span, footer.totals, frozenset(document), footer.arithmetic)
