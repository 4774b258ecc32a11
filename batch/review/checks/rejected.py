"""Whether rows that were rejected cannot be scored, for the reasons that are given."""

from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.review.checks.audited import Audited
from whyport.batch.review.checks.draw import drawn_of
from whyport.batch.review.finished_run import read_rows
from whyport.runtime.errors import AuditError


def check_rejected(audited: Audited) -> str:
    """Judge rejected rows again: all of them, or as many drawn at random as the sample has."""
    asked, parts = audited.asked, audited.parts
    counts = [part.totals.rows_rejected for part in parts]
    if asked.full:
        return f"{sum(counts)} rows are judged with the others"
    judged = 0
    for part, places in drawn_of(parts, counts, asked.sample, asked.seed):
        path = audited.folder.rejected / part.span.name
        with audited.there.open(path) as file:
            wanted = audited.row_numbers(file)[places]
        stored = read_rows(path, SOURCE_ROW, wanted.tolist())
        if stored.num_rows != len(wanted):
            raise AuditError(f"expected {len(wanted)} rows by the statistics of their row groups, got fewer, in {path}")
        audited.recomputer.judge(part.span.index, stored, str(path))
        judged += len(wanted)
    return f"{judged} of {sum(counts)} rejected rows judged again: each has the reason that is given"
