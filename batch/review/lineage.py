"""The chain from a model's training data to a run's output: what each link's digest is, and whether it still holds."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from whyport.batch.output.folder import JOB_FILE, REPORT_FILE, SIGNATURE_FILE
from whyport.batch.output.job_file import InputMark
from whyport.batch.output.parts import PartSpan
from whyport.batch.output.parts_there import PartsThere
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.row_place import RowPlace
from whyport.batch.source.files import Fingerprint
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import AuditError, DataError, JobError, WhyportError, listing
from whyport.runtime.signing.bundle import SIGNATURE_FILE as BUNDLE_SIGNATURE
from whyport.runtime.signing.signature import SignatureMark
from whyport.runtime.store.path import Place, as_place

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey

SHOWN = 12
"""The inputs and parts that are named; the others are counted."""


class Lineage:
    """The chain of a finished run.

    Args:
        out: the run's output folder.
        bundle: the bundle's path, if it was moved since the run.
        keys: the files of the public keys that signatures are compared with.

    Raises:
        UsageError, JobError: there is no finished run, or no such key.
    """

    def __init__(self, out: Place, bundle: Place | None = None, keys: Sequence[Path] = ()) -> None:
        self._run = FinishedRun.read(out)
        self._out = self._run.folder.path
        self._bundle_place = bundle or as_place(self._run.job.bundle.path)
        self._keys = _read_keys(keys)

    def lines(self, row: int | None = None, file: str | None = None) -> Iterator[str]:
        """The chain, a link a line; of one row, the links that lead to it.

        Args:
            row: the row's number in its input, from 0; None for the whole run.
            file: the input, if the run has several.

        Raises:
            UsageError: there is no such row. AuditError: a link is not what the next one says. SignatureError: a
                signature by a given key does not fit.
        """
        place = None if row is None else self._place(row, file)
        yield from self._bundle_lines()
        yield from self._input_lines(self._run.inputs if place is None else (self._run.inputs[place.span.index],))
        yield _line("job", f"{JOB_FILE}  sha256 {self._document(JOB_FILE)}")
        parts = self._run.report.parts
        yield from _several("part", parts if place is None else {place.name: parts[place.name]})
        if place is not None:
            yield from place.lines()
        yield _line("report", f"{REPORT_FILE}  sha256 {self._document(REPORT_FILE)}")
        yield _line("signature", self._run_signature())

    def _bundle_lines(self) -> Iterator[str]:
        mark = self._run.job.bundle
        bundle, problem = self._bundle
        if bundle is None:
            yield _line("training", f"not known without the bundle: {problem}")
        else:
            origin = bundle.sidecar.provenance
            what = "the sample that was exported with" if origin.source.startswith("export") else "the training table"
            digest = f"digest {origin.data_digest}" if origin.data_digest else "no digest is recorded"
            yield _line("training", f"{what}: {digest}")
        yield _line("bundle", f"{mark.name}  sha256 {mark.digest} of bundle.json, {problem or 'which is still there'}")
        yield _line("signature", self._bundle_signature(bundle))

    @cached_property
    def _bundle(self) -> tuple[Bundle | None, str]:
        """The run's bundle, or why it is not there."""
        try:
            return self._run.open_bundle(self._bundle_place), ""
        except AuditError:
            return None, f"another one is in {self._bundle_place}"
        except WhyportError as error:
            return None, f"which is not there any more: {error.lines()[0]}"

    def _bundle_signature(self, bundle: Bundle | None) -> str:
        """What is known of the bundle's signature: what the run found, and what is there now."""
        found = self._run.report.bundle_signature
        if found is None:
            return "none of the bundle when the run ended"
        text = f"of the bundle: sha256 {found.sha256}, {_by(found)}, "
        text += "verified by the run" if found.verified else "not verified by the run"
        if bundle is None:
            return text
        now = SignatureMark.claimed(bundle.place / BUNDLE_SIGNATURE)
        if now is None or now.sha256 != found.sha256:
            return f"{text}; {'none' if now is None else 'another one'} is there now"
        key = self._keys.get(now.key or "")
        if key is None:
            return f"{text}; {NOT_COMPARED}"
        from whyport.runtime.signing.bundle import check_bundle

        check_bundle(bundle, key)
        return f"{text}; verified now"

    def _run_signature(self) -> str:
        mark = SignatureMark.claimed(self._out / SIGNATURE_FILE)
        if mark is None:
            return "none of the run"
        text = f"of the run: sha256 {mark.sha256}, {_by(mark)}"
        key = self._keys.get(mark.key or "")
        if key is None:
            return f"{text}; {NOT_COMPARED}"
        from whyport.batch.review.run_signature import check_run

        check_run(self._out, key)
        return f"{text}; verified now"

    def _input_lines(self, marks: Sequence[InputMark]) -> Iterator[str]:
        for mark in marks[:SHOWN]:
            rows = "not read" if mark.rows is None else f"{mark.rows} rows"
            yield _line("input", f"{mark.source_file}  {rows}, footer sha256 {mark.footer_sha256}, {_state(mark)}")
        if len(marks) > SHOWN:
            yield _line("", f"and {len(marks) - SHOWN} more inputs")

    def _document(self, name: str) -> str:
        return hashlib.sha256((self._out / name).read_bytes()).hexdigest()

    def _place(self, row: int, file: str | None) -> "PlacedRow":
        """The row's place, in a part whose digest is the report's."""
        run = self._run
        index = run.find_input(file)
        run.check_row(index, row)
        span = next((each for each in run.parts if each.index == index and each.start <= row < each.stop), None)
        if span is None:
            raise JobError(f"expected a scored input, got one that the run skipped: {run.inputs[index].source_file}")
        for folder, is_rejected in ((run.folder.path, False), (run.folder.rejected, True)):
            path = folder / span.name
            name = path.relative_to(run.folder.path).as_posix()
            if name not in run.report.parts:
                continue
            with PartsThere(run.folder).open(path) as part:
                digest = part.sha256()
                if digest != run.report.parts[name]:
                    raise AuditError(f"expected sha256 {run.report.parts[name]}, got {digest}, in {path}")
                found = RowPlace.find(part, row)
            if found is not None:
                return PlacedRow(row, span, name, found, is_rejected)
        raise AuditError(f"expected row {row} in {span.name} or rejected, got no such row, in {run.folder.path}")


@dataclass(frozen=True)
class PlacedRow:
    """A row with its place in the output."""

    row: int
    span: PartSpan
    name: str
    """The part's path inside the folder."""
    place: RowPlace
    is_rejected: bool

    def lines(self) -> Iterator[str]:
        """The place in words."""
        place = self.place
        group = f"{place.group}  sha256 {place.group_sha256} of bytes {place.first_byte} to {place.last_byte}"
        yield _line("row group", group)
        what = "rejected, " if self.is_rejected else ""
        where = f"row {place.position} of the part, {place.position_in_group} of the row group"
        yield _line("row", f"{self.row} of the input: {what}{where}")


NOT_COMPARED = "not compared: no key with this fingerprint was given"


def _read_keys(keys: Iterable[Path]) -> "dict[str, EllipticCurvePublicKey]":
    """The public keys in some files, by their fingerprints."""
    if not keys:
        return {}
    from whyport.runtime.signing.keys import fingerprint, read_public

    read = [read_public("key", each) for each in keys]
    return {fingerprint(each): each for each in read}


def _by(mark: SignatureMark) -> str:
    return f"by the key {mark.key}" if mark.key else "by no key"


def _state(mark: InputMark) -> str:
    """Whether an input is what the run has scored, by its footer."""
    try:
        got = Fingerprint.read(as_place(mark.path)).footer_sha256
    except FileNotFoundError:
        return "which is not there any more"
    except (OSError, DataError):
        return "which cannot be read any more"
    return "which is still there" if got == mark.footer_sha256 else "which has changed"


def _several(title: str, digests: Mapping[str, str]) -> Iterator[str]:
    for name, digest in [*digests.items()][:SHOWN]:
        yield _line(title, f"{name}  sha256 {digest}")
    if len(digests) > SHOWN:
        yield _line("", f"and {len(digests) - SHOWN} more: {listing([*digests][-1:])} is the last")


def _line(title: str, text: str) -> str:
    return f"{title:11} {text}"
