"""The functions `audit` and `show`: a finished run audited, and some of its rows in words."""

from collections.abc import Iterable
from pathlib import Path

from whyport.batch.review.document import check_format, rendered
from whyport.runtime.arguments import typed
from whyport.runtime.extras import needs
from whyport.runtime.store.path import Place, as_place


@needs("batch", "trees", "explain", "sign")
@typed
def audit(
    out: str | Place,
    *,
    sample: int = 100,
    seed: int = 0,
    bundle: str | Place | None = None,
    key: str | Path | None = None,
    device: str = "auto",
    threads: int | None = None,
    full: bool = False,
    state: str | Path | None = None,
    format: str = "text",
) -> list[str]:
    """Prove a finished run: its files, columns, rows and counts, and a sample of rows, or all, computed again.

    Args:
        out: the run's output folder.
        sample: scored rows to compute again, and rejected rows to judge again, which needs the inputs.
        seed: the seed for drawing these rows.
        bundle: the bundle's path, if it was moved since the run.
        key: a file with the public key that must have signed the run.
        device: "auto", "cpu" or "cuda".
        threads: threads on the CPU; by default the cores that this process may use.
        full: whether to compute every row again, in place of the sample.
        state: a file outside `out` that keeps how far a full audit has come: the next one goes on from there.
        format: "text", "json" for one line with an object, or "markdown".

    Returns:
        The results, as text one line per check.

    Raises:
        SignatureError: the key has not signed the folder, or not as it is.
        AuditError: a file or row is not as the run wrote it. JobError, UsageError: there is no finished run.
    """
    check_format(format)
    from whyport.batch.review.audit import Audit, report_of
    from whyport.batch.review.checks.audited import Asked

    asked = Asked(sample, seed, device, threads, full, None if state is None else Path(state))
    place, signed_by = None if bundle is None else as_place(bundle), None if key is None else Path(key)
    findings = Audit(as_place(out), place, asked, signed_by).run()
    return rendered(report_of(findings), format)


@needs("batch")
@typed
def show(
    out: str | Place,
    row: int | Iterable[int] = (),
    *,
    where: str | None = None,
    file: str | None = None,
    against: int | None = None,
    against_file: str | None = None,
    top: int = 10,
    limit: int = 10,
    format: str = "text",
) -> list[str]:
    """Describe rows of a run: their predictions and the reasons, strongest first.

    Args:
        out: the run's output folder.
        row: the row's number in its input, from 0; or several numbers.
        where: in place of `row`, a condition on columns of the output, such as "customer_id == 'C01211'".
        file: the input, if the run has several: its `source_file`, or the end of that name after a slash.
        against: the number of a row that each row is set against: the differences of their shares.
        against_file: the input of that row, if it is another.
        top: how many reasons to give of each explanation.
        limit: how many of the rows that meet the condition to give; the others are counted.
        format: "text"; "json" for one line with an object, whose numbers are exact; or "markdown".

    Returns:
        The lines to print.

    Raises:
        UsageError: there is no such row or file, or an option is not valid. JobError: a row is not in the output.
    """
    check_format(format)
    from whyport.batch.review.shown import Question, answer

    rows = (row,) if isinstance(row, int | str) else tuple(row)
    question = Question(rows, where, file, against, against_file, top, limit)
    return rendered(answer(as_place(out), question), format)
