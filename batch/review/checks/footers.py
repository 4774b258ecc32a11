"""Whether every part has the columns of the run, and says of itself what made it and which rows it has."""

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.output.columns import IDENTITY, REASON
from whyport.batch.output.folder import REJECTED_FOLDER
from whyport.batch.output.part_file import PartFile
from whyport.batch.output.parts import DESCRIPTION_KEY, TOTALS_KEY, FileColumns, PartFooter, PartSpan, read_schema
from whyport.batch.output.writer import columns_in_file
from whyport.batch.review.checks.audited import Audited, AuditedPart
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import AuditError, listing

SCHEMA_KEY = "ARROW:schema"


def check_footers(audited: Audited) -> str:
    """Check that every part exists, and that its footers fit the run."""
    parts, expected = audited.parts, set[str]()
    for part in parts:
        expected.add(part.span.name)
        if part.totals.rows_rejected:
            expected.add(f"{REJECTED_FOLDER}/{part.span.name}")
    if expected != audited.report.parts.keys():
        odd = sorted(expected ^ audited.report.parts.keys())
        raise AuditError(f"expected the parts of {len(parts)} row ranges, got others or fewer: {listing(odd)}")
    if parts:
        footers = _Footers(audited)
        for _ in audited.there.each(footers.check, parts):
            pass
    return f"{len(parts)} parts have the columns, and were made by the bundle and settings, of the run"


class _Footers:
    """Checks the footers of a part and of its rejected part.

    Args:
        audited: the run; its first part is there.
    """

    def __init__(self, audited: Audited) -> None:
        self._audited = audited
        kept = [*audited.kept]
        self._part = pa.schema([*IDENTITY, *kept, *audited.columns.fields])
        self._rejected = pa.schema([*IDENTITY, REASON, *kept])
        self._in_part, self._in_rejected = columns_in_file(self._part), columns_in_file(self._rejected)
        self._sources: Mapping[int, SourceFile] = audited.sources if audited.asked.reads_inputs else {}

    def check(self, part: AuditedPart) -> None:
        """Check a part; raises AuditError or JobError."""
        audited, span = self._audited, part.span
        with (
            audited.there.open(audited.out / span.name) as file,
            audited.there.open(audited.folder.rejected / span.name) as beside,
        ):
            self._check_file(part, file, part.totals.rows_out, self._in_part)
            if part.totals.rows_out + part.totals.rows_rejected != span.rows:
                raise AuditError(
                    f"expected {span.rows} rows out or rejected, got {part.totals.rows_out} + "
                    f"{part.totals.rows_rejected}, in {file}"
                )
            if part.totals.rows_rejected:
                self._check_file(part, beside, part.totals.rows_rejected, self._in_rejected)

    def _check_file(self, part: AuditedPart, file: PartFile, rows: int, columns: FileColumns) -> None:
        footer = PartFooter.read(file)
        self._check_description(footer.description, part.span, file)
        self._check_columns(file, columns)
        self._check_metadata(file)
        if footer.rows != rows:
            other = part.span.rows - rows
            raise AuditError(f"expected {part.span.rows} rows out or rejected, got {footer.rows} + {other}, in {file}")
        if footer.totals != part.totals:
            raise AuditError(f"expected the totals of the part beside it, got others, in {file}")
        known = self._audited.run.job.arithmetic
        if known and footer.arithmetic not in known:
            raise AuditError(f"expected one of the run's arithmetics, got {footer.arithmetic}, in {file}")

    def _check_description(self, got: dict[str, Any], span: PartSpan, file: PartFile) -> None:
        run = self._audited.run
        mark, source = run.inputs[span.index], self._sources.get(span.index)
        expected = {
            **run.job.of_every_part(),
            "source_file": mark.source_file,
            "source_footer_sha256": mark.footer_sha256,
            "source_rows": [span.start, span.stop],
        }
        if source is not None and "source_row_groups" in got:
            ends = source.row_group(span.start), source.row_group(max(span.start, span.stop - 1))
            expected["source_row_groups"] = [*ends] if source.rows else []
        for key, value in expected.items():
            if not _is_same(got.get(key), value):
                raise AuditError(f"expected {key} {value}, got {got.get(key)}, in {file}")
        odd = got.keys() ^ {*expected, "source_row_groups"}
        if odd and self._audited.is_newest:
            raise AuditError(
                f"expected the keys of a part's description, got others or fewer: {listing(odd)}, in {file}"
            )

    def _check_columns(self, file: PartFile, expected: FileColumns) -> None:
        with file.open() as opened:
            found = FileColumns.read(opened)
        # How a type is written for readers without Arrow may change from one version to the next.
        is_written_alike = self._audited.run.job.versions.get("pyarrow") == pa.__version__
        if not found.arrow.equals(expected.arrow, check_metadata=True):
            odd = [field.name for field in found.arrow if not _has_field(expected.arrow, field)] or found.arrow.names
            raise AuditError(f"expected the columns that the settings give, got {listing(odd)}, in {file}")
        if is_written_alike and found.parquet != expected.parquet:
            raise AuditError(f"expected the columns that the settings give, got others beside Arrow's, in {file}")

    def _check_metadata(self, file: PartFile) -> None:
        """Check that a footer has the run's metadata alone, and the same for readers with and without Arrow."""
        entries = self._audited.footer_entries(file)
        own = self._audited.columns.metadata
        odd = entries.keys() ^ {DESCRIPTION_KEY, TOTALS_KEY, SCHEMA_KEY, *own}
        odd |= {key for key, value in own.items() if entries.get(key) != value.encode()}
        if odd and self._audited.is_newest:
            raise AuditError(f"expected the metadata of a part, got others under {listing(sorted(odd))}, in {file}")
        for key, value in (read_schema(file).metadata or {}).items():
            if entries.get(key.decode(errors="replace")) != value:
                raise AuditError(f"expected the same metadata for every reader, got others under {key!r}, in {file}")
        with file.open() as opened:
            made_by = pq.read_metadata(opened).created_by or ""
        version = self._audited.run.job.versions.get("pyarrow", "")
        if self._audited.is_newest and not made_by.endswith(f" {version}"):
            raise AuditError(f"expected a file of pyarrow {version}, got one of {made_by}, in {file}")


def _has_field(schema: pa.Schema, field: pa.Field) -> bool:
    return field.name in schema.names and schema.field(field.name).equals(field, check_metadata=True)


def _is_same(got: Any, expected: Any) -> bool:
    """Whether two JSON values are the same: 1 is neither true nor 1.0."""
    return json.dumps(got, sort_keys=True) == json.dumps(expected, sort_keys=True)
