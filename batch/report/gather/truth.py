"""The kept columns with the truth: the true targets' names, or the measured values of quantities."""

from whyport.batch.report.gather.quantities import Quantities, Quantity
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.inputs.numbers import is_numeric


def choose_label(run: FinishedRun, bundle: Bundle, name: str | None) -> str | None:
    """The kept column with the true targets' names; None without one, and for a task that predicts quantities.

    Raises UsageError for a column that was not kept.
    """
    if name is not None and name not in run.settings.keep:
        raise UsageError(unknown("kept column", name, run.settings.keep))
    if not run.task.predicts_targets:
        return None
    if name is not None:
        return name
    explained = run.settings.explain_target
    known = [bundle.sidecar.provenance.settings.get("target")]
    known += [explained.removeprefix("label:")] if explained.startswith("label:") else []
    return next((str(column) for column in known if column in run.settings.keep), None)


def choose_quantities(run: FinishedRun, name: str | None) -> Quantities:
    """The predicted quantities, each with the kept column of its measured values; empty for other tasks.

    By default, the column with a target's name has its measured values.

    Raises UsageError for a column that does not hold numbers, and for one name where there are several targets.
    """
    if run.task.predicts_targets:
        return Quantities()
    targets, columns = run.task.targets, [column.name for column in run.task.columns]
    if name is not None and len(targets) > 1:
        raise UsageError(
            f"label: the model has {len(targets)} targets, whose measured values are looked for in the kept columns of "
            f"their names, got {name!r}"
        )
    found = []
    for target, column in zip(targets, columns, strict=True):
        wanted = name or target
        measured = wanted if wanted in run.settings.keep else None
        if measured is not None and run.parts and not is_numeric(run.schema.field(measured).type):
            kind = run.schema.field(measured).type
            raise UsageError(f"column {measured!r}: expected the measured values of {target!r}, got a column of {kind}")
        found.append(Quantity(target, column, measured))
    return Quantities(found)
