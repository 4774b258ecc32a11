"""The predicted quantities of a run, each with the kept column of its measured values."""

from whyport.batch.report.gather.quantities import Quantities, Quantity
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.truth import measured_columns


def choose_quantities(run: FinishedRun, name: str | None) -> Quantities:
    """The predicted quantities; empty for other tasks. Raises what `measured_columns` raises."""
    measured = measured_columns(run, name)
    if not measured:
        return Quantities()
    columns = [column.name for column in run.task.columns]
    return Quantities([Quantity(*each) for each in zip(run.task.targets, columns, measured, strict=True)])
