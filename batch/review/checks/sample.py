"""Whether rows drawn at random are the same when they are computed again."""

from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.review.checks.audited import Audited
from whyport.batch.review.checks.draw import drawn_of
from whyport.batch.review.comparison import Deviations
from whyport.batch.review.finished_run import read_rows
from whyport.runtime.errors import AuditError


def check_sample(audited: Audited) -> str:
    """Compute rows again from the input and the bundle; gives the largest deviations."""
    asked, parts = audited.asked, audited.parts
    counts = [part.totals.rows_out for part in parts]
    deviations = Deviations()
    for part, places in drawn_of(parts, counts, asked.sample, asked.seed):
        path = audited.out / part.span.name
        with audited.there.open(path) as file:
            wanted = audited.row_numbers(file)[places]
        stored = read_rows(path, SOURCE_ROW, wanted.tolist())
        if stored.num_rows != len(wanted):
            raise AuditError(f"expected {len(wanted)} rows by the statistics of their row groups, got fewer, in {path}")
        deviations += audited.recomputer.compare(part.span.index, stored, str(path))
    text = deviations.text(audited.run.task)
    return f"{deviations.rows} rows computed again (seed {asked.seed}): {text}"
