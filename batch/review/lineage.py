"""The chain from a model's training data to a run's output: what each link's digest is, and whether it still holds."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from whyport.batch.output.folder import JOB_FILE, REPORT_FILE, SIGNATURE_FILE
from whyport.batch.output.job_file import InputMark
from whyport.batch.output.parts import PartSpan
from whyport.batch.output.parts_there import PartsThere
from whyport.batch.review.document import Fact, Section
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.row_place import RowPlace
from whyport.batch.source.files import Fingerprint
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import AuditError, DataError, JobError, WhyportError
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

    def chain(self, row: int | None = None, file: str | None = None) -> Section:
        """The chain, a link each fact; of one row, the links that lead to it.

        Args:
            row: the row's number in its input, from 0; None for the whole run.
            file: the input, if the run has several.

        Raises:
            UsageError: there is no such row. AuditError: a link is not what the next one says. SignatureError: a
                signature by a given key does not fit.
        """
        place = None if row is None else self._place(row, file)
        parts = self._run.report.parts
        inputs = self._run.inputs if place is None else (self._run.inputs[place.span.index],)
        return Section(
            blocks=[
                *self._of_bundle(),
                _inputs(inputs),
                self._document("job", JOB_FILE),
                _parts(parts if place is None else {place.name: parts[place.name]}),
                *([] if place is None else place.facts()),
                self._document("report", REPORT_FILE),
                self._run_signature(),
            ]
        )

    def _of_bundle(self) -> Iterator[Fact]:
        mark = self._run.job.bundle
        bundle, problem = self._bundle
        if bundle is None:
            yield Fact("training", None, words=f"not known without the bundle: {problem}")
        else:
            origin = bundle.sidecar.provenance
            what = "the sample that was exported with" if origin.source.startswith("export") else "the training table"
            digest = f"digest {origin.data_digest}" if origin.data_digest else "no digest is recorded"
            yield Fact("training", {"digest": origin.data_digest}, words=f"{what}: {digest}")
        state = problem or THERE
        variant = self._run.settings.variant
        value = {"name": mark.name, "sha256": mark.digest, "variant": variant, "state": state}
        name = mark.name if variant is None else f"{mark.name} in the variant {variant}"
        yield Fact("bundle", value, words=f"{name}  sha256 {mark.digest} of bundle.json, {state}")
        yield self._bundle_signature(bundle)

    @cached_property
    def _bundle(self) -> tuple[Bundle | None, str]:
        """The run's bundle, or why it is not there."""
        try:
            return self._run.open_bundle(self._bundle_place), ""
        except AuditError:
            return None, f"another one is in {self._bundle_place}"
        except WhyportError as error:
            return None, f"which is not there any more: {error.lines()[0]}"

    def _bundle_signature(self, bundle: Bundle | None) -> Fact:
        """The bundle's signature: as the run found it, and as it is there now."""
        found = self._run.report.bundle_signature
        if found is None:
            return Fact("bundle_signature", None, SIGNATURE, "none of the bundle when the run ended")
        by_run = "verified by the run" if found.verified else "not verified by the run"
        state = "" if bundle is None else self._state_now(bundle, found)
        words = f"of the bundle: sha256 {found.sha256}, {_by(found)}, {by_run}" + (f"; {state}" if state else "")
        return Fact("bundle_signature", asdict(found) | {"state": state or None}, SIGNATURE, words)

    def _state_now(self, bundle: Bundle, found: SignatureMark) -> str:
        now = SignatureMark.claimed(bundle.place / BUNDLE_SIGNATURE)
        if now is None or now.sha256 != found.sha256:
            return f"{'none' if now is None else 'another one'} is there now"
        key = self._keys.get(now.key or "")
        if key is None:
            return NOT_COMPARED
        from whyport.runtime.signing.bundle import check_bundle

        check_bundle(bundle, key)
        return VERIFIED

    def _run_signature(self) -> Fact:
        mark = SignatureMark.claimed(self._out / SIGNATURE_FILE)
        if mark is None:
            return Fact("run_signature", None, SIGNATURE, "none of the run")
        key, state = self._keys.get(mark.key or ""), NOT_COMPARED
        if key is not None:
            from whyport.batch.review.run_signature import check_run

            check_run(self._out, key)
            state = VERIFIED
        value = asdict(mark) | {"verified": key is not None, "state": state}
        return Fact("run_signature", value, SIGNATURE, f"of the run: sha256 {mark.sha256}, {_by(mark)}; {state}")

    def _document(self, key: str, name: str) -> Fact:
        digest = hashlib.sha256((self._out / name).read_bytes()).hexdigest()
        return Fact(key, {"file": name, "sha256": digest}, words=f"{name}  sha256 {digest}")

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

    def facts(self) -> Iterator[Fact]:
        """The place, as links of the chain."""
        place = self.place
        group = f"{place.group}  sha256 {place.group_sha256} of bytes {place.first_byte} to {place.last_byte}"
        value = {"number": place.group, "sha256": place.group_sha256, "bytes": [place.first_byte, place.last_byte]}
        yield Fact("row_group", value, "row group", group)
        what = "rejected, " if self.is_rejected else ""
        where = f"row {place.position} of the part, {place.position_in_group} of the row group"
        in_words = f"{self.row} of the input: {what}{where}"
        positions = {"in_part": place.position, "in_row_group": place.position_in_group}
        yield Fact("row", {"number": self.row, "rejected": self.is_rejected, **positions}, words=in_words)


SIGNATURE, THERE, VERIFIED = "signature", "which is still there", "verified now"
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
    return THERE if got == mark.footer_sha256 else "which has changed"


def _inputs(marks: Sequence[InputMark]) -> Fact:
    states = [_state(mark) for mark in marks]
    value = [
        {"file": mark.source_file, "rows": mark.rows, "footer_sha256": mark.footer_sha256, "state": state}
        for mark, state in zip(marks, states, strict=True)
    ]
    words = [
        f"{mark.source_file}  {'not read' if mark.rows is None else f'{mark.rows} rows'}, "
        f"footer sha256 {mark.footer_sha256}, {state}"
        for mark, state in zip(marks[:SHOWN], states, strict=False)
    ]
    return Fact("inputs", value, "input", words + _more(len(marks)))


def _parts(digests: Mapping[str, str]) -> Fact:
    value = [{"file": name, "sha256": digest} for name, digest in digests.items()]
    words = [f"{each['file']}  sha256 {each['sha256']}" for each in value[:SHOWN]]
    return Fact("parts", value, "part", words + _more(len(digests)))


def _more(count: int) -> list[str]:
    return [f"and {count - SHOWN} more"] if count > SHOWN else []
