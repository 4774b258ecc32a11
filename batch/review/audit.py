"""The audit of a finished run: its files, its rows, its columns, and rows drawn at random and computed again."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.methods.maps.specs import array_specs
from whyport.batch.output.columns import IDENTITY, REASON, SOURCE_ROW
from whyport.batch.output.folder import REJECTED_FOLDER
from whyport.batch.output.part_file import PartFile
from whyport.batch.output.parts import PartFooter, PartSpan, read_schema
from whyport.batch.output.parts_there import PartsThere
from whyport.batch.output.result import ValueReport
from whyport.batch.output.totals import Totals
from whyport.batch.review.document import Fact, Section
from whyport.batch.review.finished_run import FinishedRun, read_rows
from whyport.batch.review.recompute import Deviations, Recomputer
from whyport.runtime.errors import AuditError, listing, message_line
from whyport.runtime.signing.signature import Signed
from whyport.runtime.store.path import Place

ROWS_AT_ONCE = 1 << 20


def report_of(findings: Iterable[Fact]) -> Section:
    """The results of an audit's checks, each a line."""
    return Section(blocks=[*findings], width=9)


@dataclass(frozen=True)
class AuditedPart:
    """A part with the contents of its footer."""

    span: PartSpan
    totals: Totals


class Audit:
    """The checks of a finished run; each raises AuditError naming the first fault.

    Args:
        out: the run's output folder.
        bundle: the bundle's path, if it was moved since the run.
        key: the file of the public key that must have signed the run; None for no such check.

    Raises:
        UsageError, JobError: there is no finished run. AuditError: the bundle is another one.
        SignatureError: the key has not signed the folder, or not as it is.
    """

    def __init__(self, out: Place, bundle: Place | None = None, key: Path | None = None) -> None:
        self._signed = None if key is None else _signed_by(out, key)
        self._run = FinishedRun.read(out, unfinished=True)
        self._out = self._run.folder.path  # absolute, as the paths of its parts
        if not self._run.folder.is_finished:
            raise AuditError(f"expected a finished run, got one without _SUCCESS, in {out}")
        self._report = self._run.report
        self._bundle = self._run.open_bundle(bundle)
        outputs = array_specs(self._bundle.sidecar, self._run.settings.explain_settings.options)
        self._columns = self._run.job.columns(self._run.reduction(self._bundle).positions, outputs)

    def run(self, sample: int, seed: int, device: str) -> Iterator[Fact]:
        """Make every check; yields the result of each.

        Args:
            sample: how many rows to compute again.
            seed: the seed for drawing these rows.
            device: the device that computes them.
        """
        if self._signed is not None:
            count = len(self._signed.manifest.digests)
            yield Fact("signature", f"{count} files are as the key {self._signed.key} signed them")
        count = self.check_digests()
        yield Fact("digests", f"{count} files are the ones that were written")
        parts = self.check_footers()
        yield Fact(
            "schema", f"{len(parts)} parts have the columns, and were made by the bundle and settings, of the run"
        )
        rows = self.check_rows(parts)
        yield Fact(
            "rows", f"{rows} in = {self._report.rows_out} out + {self._report.rows_rejected} rejected, each once"
        )
        deviations = self.check_sample(parts, sample, seed, device)
        yield Fact("sample", f"{deviations.rows} rows computed again (seed {seed}): {deviations.text(self._run.task)}")

    def check_digests(self) -> int:
        """Check that the files and digests are exactly the report's; returns the number of files."""
        found = {path.relative_to(self._out).as_posix(): path for path in self._run.folder.parts()}
        if found.keys() != self._report.parts.keys():
            missing, added = self._report.parts.keys() - found.keys(), found.keys() - self._report.parts.keys()
            raise AuditError(
                f"files that are missing: {listing(sorted(missing))}; that were added: {listing(sorted(added))}"
            )
        digests = self._there.each(self._sha256, found.values())
        for (name, path), digest in zip(found.items(), digests, strict=True):
            if digest != self._report.parts[name]:
                raise AuditError(f"expected sha256 {self._report.parts[name]}, got {digest}, in {path}")
        return len(found)

    def check_footers(self) -> list[AuditedPart]:
        """Check that every part exists, and that its footer fits the run; returns the parts in order."""
        parts = [*self._there.each(self._checked, self._run.parts)]
        expected = {part.span.name for part in parts}
        expected |= {f"{REJECTED_FOLDER}/{part.span.name}" for part in parts if part.totals.rows_rejected}
        if expected != self._report.parts.keys():
            odd = sorted(expected ^ self._report.parts.keys())
            raise AuditError(f"expected the parts of {len(parts)} row ranges, got others or fewer: {listing(odd)}")
        return parts

    def check_rows(self, parts: list[AuditedPart]) -> int:
        """Check that every row of every input is in its part or rejected, once, and in order; returns the row count."""
        for _ in self._there.each(self._check_rows_of, parts):
            pass
        totals = sum((part.totals for part in parts), Totals())
        report = self._report
        explained = {name: method.explained for name, method in totals.methods.items()}
        values = {name: ValueReport.of(each) for name, each in totals.values.items()}
        counted = (totals.rows_out, totals.rejected, totals.predictions, values, explained)
        if counted != (report.rows_out, report.rejected, report.predictions, report.values, report.explained):
            raise AuditError(
                f"expected the counts of the report, {report.rows_out} rows out, got {counted}, in {self._out}"
            )
        rows_in = sum(self._run.inputs[index].rows or 0 for index in {part.span.index for part in parts})
        if rows_in != report.rows_in or rows_in != totals.rows_out + totals.rows_rejected:
            raise AuditError(
                f"expected {report.rows_in} rows in, got {rows_in} = {totals.rows_out} + {totals.rows_rejected}"
            )
        return rows_in

    def check_sample(self, parts: list[AuditedPart], sample: int, seed: int, device: str) -> Deviations:
        """Check that rows drawn at random are the same when computed again; returns the largest deviations."""
        total = sum(part.totals.rows_out for part in parts)
        drawn = sorted(random.Random(seed).sample(range(total), min(sample, total)))
        deviations = Deviations()
        if not drawn:
            return deviations
        recomputer = Recomputer(self._bundle, self._run, self._columns, device)
        first = 0
        for part in parts:
            inside = [i - first for i in drawn if first <= i < first + part.totals.rows_out]
            first += part.totals.rows_out
            if inside:
                path = self._out / part.span.name
                with self._there.open(path) as file:
                    wanted = self._rows(file, part)[inside]
                stored = read_rows(path, SOURCE_ROW, wanted.tolist())
                deviations += recomputer.compare(part.span.index, stored, str(path))
        return deviations

    @cached_property
    def _there(self) -> PartsThere:
        return PartsThere(self._run.folder)

    def _sha256(self, path: Place) -> str:
        with self._there.open(path) as file:
            return file.sha256()

    def _check_rows_of(self, part: AuditedPart) -> None:
        """Check that every row of a part's span is in it or rejected, once, and in order."""
        path, rejected = self._out / part.span.name, self._run.folder.rejected / part.span.name
        with self._there.open(path) as file:
            rows = self._rows(file, part)
        if part.totals.rows_rejected:
            with self._there.open(rejected) as beside:
                rows = np.sort(np.concatenate([rows, self._rows(beside, part)]))
        if not np.array_equal(rows, np.arange(part.span.start, part.span.stop)):
            raise AuditError(
                f"expected the rows {part.span.start} to {part.span.stop} once each, got {len(rows)}, in {path}"
            )

    def _checked(self, span: PartSpan) -> AuditedPart:
        """The part of a span; raises AuditError where its footers do not fit the run."""
        with (
            self._there.open(self._out / span.name) as path,
            self._there.open(self._run.folder.rejected / span.name) as beside,
        ):
            return AuditedPart(span, self._checked_files(span, path, beside))

    def _checked_files(self, span: PartSpan, path: PartFile, beside: PartFile) -> Totals:
        part = PartFooter.read(path)
        self._check_description(part.description, span, path)
        names = read_schema(path).names
        fields = [field for field in read_schema(path) if field.name not in self._run.settings.keep]
        if fields != [*IDENTITY, *self._columns.fields]:
            raise AuditError(f"expected the columns that the settings give, got {listing(names)}, in {path}")
        rejected = part.totals.rows_rejected
        if part.rows != part.totals.rows_out or part.rows + rejected != span.rows:
            raise AuditError(f"expected {span.rows} rows out or rejected, got {part.rows} + {rejected}, in {path}")
        known = self._run.job.arithmetic
        if known and part.arithmetic not in known:
            raise AuditError(f"expected one of the run's arithmetics, got {part.arithmetic}, in {path}")
        if rejected:
            other = PartFooter.read(beside)
            self._check_description(other.description, span, beside)
            if other.rows != rejected or read_schema(beside).names[:3] != [*(f.name for f in IDENTITY), REASON.name]:
                raise AuditError(f"expected {rejected} rejected rows with their reasons, got {other.rows}, in {beside}")
        return part.totals

    def _check_description(self, got: dict[str, Any], span: PartSpan, path: PartFile) -> None:
        mark = self._run.inputs[span.index]
        expected = {
            **self._run.job.of_every_part(),
            "source_file": mark.source_file,
            "source_footer_sha256": mark.footer_sha256,
            "source_rows": [span.start, span.stop],
        }
        for key, value in expected.items():
            if got.get(key) != value:
                raise AuditError(f"expected {key} {value}, got {got.get(key)}, in {path}")

    def _rows(self, path: PartFile, part: AuditedPart) -> np.ndarray[Any, np.dtype[np.int64]]:
        """The numbers of a part's rows; raises AuditError for a row of another file."""
        mark, numbers = self._run.inputs[part.span.index], [np.zeros(0, dtype=np.int64)]
        try:
            with path.open() as opened, pq.ParquetFile(opened, page_checksum_verification=True) as file:
                for batch in file.iter_batches(ROWS_AT_ONCE, columns=[field.name for field in IDENTITY]):
                    others = set(batch.column(0).unique().to_pylist()) - {mark.source_file}
                    if others:
                        raise AuditError(f"expected rows of {mark.source_file}, got {listing(others)}, in {path}")
                    numbers.append(batch.column(1).to_numpy())
        except (pa.ArrowException, OSError) as error:
            raise AuditError(f"cannot read: {message_line(error)}, in {path}") from None
        return np.concatenate(numbers)


def _signed_by(out: Place, key: Path) -> Signed:
    """What a key has signed of a run; raises SignatureError where it is another run."""
    from whyport.batch.review.run_signature import check_run
    from whyport.runtime.signing.keys import read_public

    return check_run(out, read_public("key", key))
