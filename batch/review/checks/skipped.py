"""Whether inputs that were left out are bad, for the reasons that are given."""

from collections import Counter
from collections.abc import Sequence
from contextlib import closing
from importlib.metadata import version

import pyarrow as pa

from whyport.batch.output.folder import REPORT_FILE
from whyport.batch.review.checks.audited import Audited
from whyport.batch.source.cleaning import check_columns
from whyport.batch.source.files import UNREADABLE, Fingerprint, check_name
from whyport.batch.source.kept import kept_fields
from whyport.batch.source.parquet import SourceFile
from whyport.batch.source.times import int96_needs
from whyport.runtime.errors import AuditError, DataError, NotFiniteError, WhyportError, listing
from whyport.runtime.inputs.table import Columns
from whyport.runtime.inputs.utf8 import check_utf8
from whyport.runtime.paths import is_utf8, path_of_text, path_text
from whyport.runtime.store.path import as_place


def check_skipped(audited: Audited) -> str:
    """Check that every input was scored or left out, and judge again those that were left out."""
    report, inputs = audited.report, audited.run.inputs
    names = [mark.source_file for mark in inputs]
    listed = [each.source_file for each in report.skipped]
    unread = [mark.source_file for mark in inputs if mark.rows is None and mark.source_file not in listed]
    if unread:
        raise _fault(audited, f"the inputs that could not be read among them, got none of {listing(unread)}")
    if [name for name in names if name in listed] != listed:
        odd = [name for name, count in Counter(listed).items() if name not in names or count > 1]
        raise _fault(audited, f"inputs of the run, each once and in order, got {listing(odd or listed)}")
    if not listed:
        return "no input was left out"
    if not audited.asked.reads_inputs:
        return f"{len(listed)} inputs were left out, and are not judged again: no input is read"
    judge = _Judge(audited)
    for index, reason in audited.skipped.items():
        found = judge.reason(index)
        if found is None:
            raise _fault(audited, f"bad files alone, got one that can be scored: {names[index]!r}")
        if found != reason and judge.is_of_these_versions:
            raise _fault(audited, f"the reason {found!r}, got {reason!r}")
    return f"{len(listed)} inputs were left out, and are bad: {listing(listed)}"


def _fault(audited: Audited, what: str) -> AuditError:
    return AuditError(f"skipped: expected {what}, in {audited.out / REPORT_FILE}")


class _Judge:
    """Reads inputs that were left out as the run would read them.

    Args:
        audited: the run.
    """

    def __init__(self, audited: Audited) -> None:
        self._audited = audited
        self._columns = Columns.of_bundle(audited.bundle)
        settings = audited.run.settings
        label = audited.run.job.choice.label
        self._label = label
        self._texts = list(dict.fromkeys([*settings.keep, *([label] if label else []), *self._columns.texts]))

    @property
    def is_of_these_versions(self) -> bool:
        """Whether the words of a reason are those of today's packages."""
        known = self._audited.run.job.versions
        return all(known.get(name) == version(name) for name in ("whyport", "pyarrow"))

    def reason(self, index: int) -> str | None:
        """The reason why an input cannot be scored, in the run's words; None where it can."""
        mark = self._audited.run.inputs[index]
        self._check_same(index)
        try:
            # A name shows bytes that are not UTF-8; a path has them.
            check_name(as_place(mark.source_file) if is_utf8(mark.path) else path_of_text(mark.source_file))
            # The run knew the input by the name that was given, and wherever it is found, its reason has this name.
            source = self._audited.inputs.opened(index)
            self._check_columns(source)
            if mark.rows is not None and source.rows != mark.rows:
                raise _fault(self._audited, f"{mark.rows} rows in {mark.source_file}, got {source.rows}")
            if mark.rows is not None:
                self._read(source)
        except DataError as error:
            return str(error).replace(path_text(mark.path), mark.source_file)
        return None

    def _check_same(self, index: int) -> None:
        """Raise AuditError where the input is another one than the run found."""
        mark = self._audited.run.inputs[index]
        try:
            found = Fingerprint.read(as_place(mark.path))
        except (OSError, DataError):
            found = UNREADABLE
        if (found.size, found.footer_sha256) != (mark.size, mark.footer_sha256):
            raise AuditError(
                f"expected the input that was left out, of {mark.size} bytes and with footer {mark.footer_sha256}, got "
                f"{found.size} and {found.footer_sha256}: what it was cannot be judged again, in {mark.path}"
            )

    def _check_columns(self, source: SourceFile) -> None:
        keep = self._audited.run.settings.keep
        check_columns(source, self._columns, keep, self._label)
        self._audited.columns.schema([source.schema.field(name) for name in keep], source.name)
        int96_needs(source, keep)

    def _read(self, source: SourceFile) -> None:
        """Read, clean and score all rows; raises DataError as a run does."""
        audited = self._audited
        kept: Sequence[pa.Field] = (
            kept_fields([source], audited.run.settings.keep) if not audited.parts else audited.kept
        )
        with closing(audited.inputs.batches(source)) as batches:
            for first, batch in batches:
                try:
                    self._score(batch, first, kept)
                except WhyportError as error:
                    raise error.at(source.name) from None

    def _score(self, batch: pa.RecordBatch, first: int, kept: Sequence[pa.Field]) -> None:
        check_utf8(batch, self._texts)
        predicted = self._audited.recomputer.predicted(batch, first, kept)
        if self._audited.run.settings.on_bad_row == "fail" and predicted.rows.reasons:
            rows = predicted.rows
            raise NotFiniteError(f"{rows.reasons[0]}, row {first + rows.rejected[0]}")
