"""Whether the parts are, byte by byte, those of the report."""

from whyport.batch.review.checks.audited import Audited
from whyport.runtime.errors import AuditError, listing
from whyport.runtime.store.path import Place


def check_digests(audited: Audited) -> str:
    """Check that the files and their digests are exactly the report's."""
    expected = audited.report.parts
    found = {path.relative_to(audited.out).as_posix(): path for path in audited.folder.parts()}
    if found.keys() != expected.keys():
        missing, added = expected.keys() - found.keys(), found.keys() - expected.keys()
        raise AuditError(
            f"files that are missing: {listing(sorted(missing))}; that were added: {listing(sorted(added))}"
        )

    def sha256(path: Place) -> str:
        with audited.there.open(path) as file:
            return file.sha256()

    digests = audited.there.each(sha256, found.values())
    for (name, path), digest in zip(found.items(), digests, strict=True):
        if digest != expected[name]:
            raise AuditError(f"expected sha256 {expected[name]}, got {digest}, in {path}")
    return f"{len(found)} files are the ones that were written"
