"""Whether a run's folder has nothing but what the run has written."""

from whyport.batch.output.folder import SKIPPED_FILE, SUCCESS_FILE
from whyport.batch.output.foreign import foreign
from whyport.batch.review.checks.audited import Audited
from whyport.runtime.errors import AuditError, listing
from whyport.runtime.store.path import has_file


def check_folder(audited: Audited) -> str:
    """Check that nobody has put anything into the folder, and that the documents say the same of skipped inputs."""
    others = foreign(audited.folder)
    if others:
        raise AuditError(f"expected only what the run has written, got {listing(others)}, in {audited.out}")
    if audited.folder.read_text(SUCCESS_FILE):
        raise AuditError(f"expected an empty file, got a text, in {audited.out / SUCCESS_FILE}")
    _check_skipped(audited)
    return "nothing is there but what a run writes"


def _check_skipped(audited: Audited) -> None:
    """Check that _skipped.json has the inputs of the report that were left out after they had been begun."""
    begun = {audited.run.inputs[i].source_file for i in audited.skipped if audited.run.inputs[i].rows is not None}
    expected = {each.source_file: each.reason for each in audited.report.skipped if each.source_file in begun}
    path = audited.out / SKIPPED_FILE
    found = audited.document(SKIPPED_FILE) if has_file(path) else {}
    if found != expected:
        odd = sorted(name for name in {*found, *expected} if found.get(name) != expected.get(name))
        raise AuditError(f"expected the files that the report has as skipped, got others: {listing(odd)}, in {path}")
