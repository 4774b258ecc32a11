"""The kept columns with the truth: the true targets' names, or the measured values of quantities."""

from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.inputs.numbers import is_numeric


def choose_label(run: FinishedRun, bundle: Bundle | None, name: str | None) -> str | None:
    """The kept column with the true targets' names; None without one, and for a task that predicts quantities.

    By default it is the column that the model was trained on, or that of `--explain-target label:COLUMN`.

    Raises UsageError for a column that was not kept.
    """
    if name is not None and name not in run.settings.keep:
        raise UsageError(unknown("kept column", name, run.settings.keep))
    if not run.task.predicts_targets:
        return None
    if name is not None:
        return name
    explained = run.settings.explain_target
    known = [trained_on(bundle)]
    known += [explained.removeprefix("label:")] if explained.startswith("label:") else []
    return next((column for column in known if column in run.settings.keep), None)


def trained_on(bundle: Bundle | None) -> str | None:
    """The column that a bundle's model was trained on; None where it is not known."""
    target = None if bundle is None else bundle.sidecar.provenance.settings.get("target")
    return None if target is None else str(target)


def measured_columns(run: FinishedRun, name: str | None) -> tuple[str | None, ...]:
    """The kept column with each target's measured values, None where there is none; empty for other tasks.

    By default, the column with a target's name has its measured values.

    Raises UsageError for a column that does not hold numbers, and for one name where there are several targets.
    """
    targets = run.task.targets
    if run.task.predicts_targets:
        return ()
    if name is not None and len(targets) > 1:
        raise UsageError(
            f"label: the model has {len(targets)} targets, whose measured values are looked for in the kept columns of "
            f"their names, got {name!r}"
        )
    wanted = [name or target for target in targets]
    found = tuple(column if column in run.settings.keep else None for column in wanted)
    for target, measured in zip(targets, found, strict=True):
        if measured is not None and run.parts and not is_numeric(run.schema.field(measured).type):
            kind = run.schema.field(measured).type
            raise UsageError(f"column {measured!r}: expected the measured values of {target!r}, got a column of {kind}")
    return found
