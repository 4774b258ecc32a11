"""Signatures of finished runs: over the report and every other file of the folder."""

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from whyport.batch.output.folder import (
    JOB_FILE,
    REPORT_FILE,
    SIGNATURE_FILE,
    SKIPPED_FILE,
    SUCCESS_FILE,
    OutputFolder,
)
from whyport.batch.output.parts_there import PartsThere
from whyport.batch.output.result import read_report
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.store.lock import LOCK_FILE
from whyport.batch.store.objects import disk_of
from whyport.runtime.errors import AuditError, SignatureError, UsageError, listing
from whyport.runtime.signing.manifest import OF_GIT, Manifest
from whyport.runtime.signing.signature import Signed, check_unsigned, files_in, read_signed, write_signature
from whyport.runtime.store.path import Place

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey, EllipticCurvePublicKey

DOCUMENTS = {JOB_FILE, REPORT_FILE, SKIPPED_FILE, SUCCESS_FILE}
IGNORED = (SIGNATURE_FILE, LOCK_FILE, *OF_GIT)
"""Files that are not signed: a lock comes and goes with whoever holds it."""


def sign_run(out: Place, key: "EllipticCurvePrivateKey", *, overwrite: bool) -> int:
    """Sign a finished run, each of whose parts is read once; returns the number of files.

    Raises UsageError if it is signed already, or if files lie there that are not its own; JobError if it is not
    finished; AuditError if its parts are not the report's.
    """
    run = FinishedRun.read(out)
    folder, parts = run.folder, run.report.parts
    check_unsigned(folder.path / SIGNATURE_FILE, overwrite=overwrite)
    names = _signed_names(folder)
    # Readers of the folder pass over what begins with _ or ., as a page that was written there: it is signed too.
    foreign = sorted(name for name in names - DOCUMENTS - parts.keys() if not name.startswith(("_", ".")))
    if foreign:
        raise UsageError(f"expected the run's own files alone, got {listing(foreign)}, in {out}")
    digests = _digests(folder, names)
    for name, digest in parts.items():
        if digests.get(name) != digest:
            raise AuditError(f"expected sha256 {digest}, got {digests.get(name, 'no file')}, in {out / name}")
    write_signature(folder.path / SIGNATURE_FILE, Manifest(folder.path.name, digests, IGNORED), key)
    return len(digests)


def check_run(out: Place, key: "EllipticCurvePublicKey") -> Signed:
    """The statement that a key has signed of a run: of its parts, the report's digests, which an audit then compares.

    Raises SignatureError if it is not signed, or by another key, or if a file was changed, added or taken away.
    """
    folder = OutputFolder(out, disk_of(out))
    signed = read_signed(folder.path / SIGNATURE_FILE, key)
    digests, there = signed.manifest.digests, _signed_names(folder)
    missing, added = sorted(digests.keys() - there), sorted(there - digests.keys())
    if missing or added:
        raise SignatureError(
            f"expected the files that were signed; missing: {listing(missing)}; added: {listing(added)}, in {out}"
        )
    _check(_digests(folder, DOCUMENTS & there), digests, out)
    _check(read_report(folder).parts, digests, out)
    return signed


def _check(got: Mapping[str, str], signed: Mapping[str, str], out: Place) -> None:
    for name, digest in got.items():
        if signed.get(name) != digest:
            expected = signed.get(name, "of no such file")
            raise SignatureError(f"expected sha256 {expected}, which was signed, got {digest}, in {out / name}")


def _digests(folder: OutputFolder, names: Iterable[str]) -> dict[str, str]:
    there, ordered = PartsThere(folder), sorted(names)

    def digest(name: str) -> str:
        with there.open(folder.path / name) as file:
            return file.sha256()

    return dict(zip(ordered, there.each(digest, ordered), strict=True))


def _signed_names(folder: OutputFolder) -> set[str]:
    """The files that are signed: all but the signature and a lock."""
    return {name for name in files_in(folder.path) if name != SIGNATURE_FILE and not name.startswith(LOCK_FILE)}
