"""The audit of a finished run: a table of checks, each of which names the first fault that it finds."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from whyport.batch.review.checks.audited import Asked, Audited
from whyport.batch.review.checks.digests import check_digests
from whyport.batch.review.checks.folder import check_folder
from whyport.batch.review.checks.footers import check_footers
from whyport.batch.review.checks.full import check_full
from whyport.batch.review.checks.job import check_job
from whyport.batch.review.checks.rejected import check_rejected
from whyport.batch.review.checks.report import check_report
from whyport.batch.review.checks.rows import check_rows
from whyport.batch.review.checks.sample import check_sample
from whyport.batch.review.checks.skipped import check_skipped
from whyport.batch.review.checks.state import check_outside
from whyport.batch.review.checks.unseen import check_unseen
from whyport.batch.review.document import Fact, Section
from whyport.runtime.signing.signature import Signed
from whyport.runtime.store.path import Place

Check = Callable[[Audited], str]

CHECKS: dict[str, Check] = {
    "digests": check_digests,
    "folder": check_folder,
    "skipped": check_skipped,
    "job": check_job,
    "schema": check_footers,
    "rows": check_rows,
    "unseen": check_unseen,
    "report": check_report,
    "rejected": check_rejected,
}
"""The checks in their order, by the word before what each has found: later ones rely on what earlier ones have.

The last one, `sample` or `full`, computes some rows again, or all.
"""


def report_of(findings: Iterable[Fact]) -> Section:
    """The results of an audit's checks, each a line."""
    return Section(blocks=[*findings], width=9)


class Audit:
    """The checks of a finished run; each raises AuditError naming the first fault.

    Args:
        out: the run's output folder.
        bundle: the bundle's path, if it was moved since the run.
        asked: the rows to compute, and how.
        key: the file of the public key that must have signed the run; None for no such check.

    Raises:
        UsageError, JobError: there is no finished run, or the state would be in its folder. AuditError: another bundle.
        SignatureError: the key has not signed the folder, or not as it is.
    """

    def __init__(
        self, out: Place, bundle: Place | None = None, asked: Asked | None = None, key: Path | None = None
    ) -> None:
        asked = asked or Asked()
        check_outside(asked.state, out)
        self._signed = None if key is None else _signed_by(out, key)
        self._audited = Audited(out, bundle, asked)

    def run(self) -> Iterator[Fact]:
        """Make every check; yields the result of each."""
        if self._signed is not None:
            count = len(self._signed.manifest.digests)
            yield Fact("signature", f"{count} files are as the key {self._signed.key} signed them")
        last: tuple[str, Check] = ("full", check_full) if self._audited.asked.full else ("sample", check_sample)
        for name, check in (*CHECKS.items(), last):
            yield Fact(name, check(self._audited))


def _signed_by(out: Place, key: Path) -> Signed:
    """The statement that a key has signed of a run; raises SignatureError where it is another run."""
    from whyport.batch.review.run_signature import check_run
    from whyport.runtime.signing.keys import read_public

    return check_run(out, read_public("key", key))
