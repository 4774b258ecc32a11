"""The groups of a finished run beside each other, counted in one pass over its parts."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import pyarrow as pa

from whyport.batch.groups.grouping import GroupCodes, Grouping
from whyport.batch.groups.label_files import LabelFiles
from whyport.batch.groups.later_truth import JoinCounts, LaterTruth
from whyport.batch.groups.rows import RowColumns
from whyport.batch.groups.shares import ShareTally
from whyport.batch.groups.tallies import ClassTally, QuantityTally, Tally
from whyport.batch.groups.truth import Truth
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.runtime.arguments import at_least
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError, WhyportError, unknown
from whyport.runtime.store.path import Place

SMALL_GROUP = 30
SHOWN_CLASSES = 10
"""The most classes that are looked at, each against the rest; and the most targets whose shares are."""


@dataclass(frozen=True)
class GroupSettings:
    """The options by which the groups of a run are compared."""

    by: str
    """A column, or COLUMN:EDGE,EDGE,... for intervals of its numbers or dates."""
    label: str | None = None
    """The column with the truth: a kept one, or one of the labels."""
    labels: Place | None = None
    """Truth that arrived later: Parquet or CSV, a file or a folder."""
    key: str | None = None
    """The column that the run and the labels have in common."""
    favourable: str | None = None
    """The class whose selection is looked at; None for the last of two, and for each of several."""
    small_group: int = SMALL_GROUP
    """Groups of fewer rows are marked."""

    def __post_init__(self) -> None:
        at_least("small_group", self.small_group, 1)
        if (self.labels is None) != (self.key is None):
            given, lacking = ("labels", "key") if self.key is None else ("key", "labels")
            raise UsageError(f"{given}: expected {lacking} beside it, got none")


@dataclass(frozen=True)
class GroupedRun:
    """The counts of a pass over a run, by group."""

    run: FinishedRun
    settings: GroupSettings
    column: str
    names: Sequence[str]
    """The name of each group, by its code."""
    order: Sequence[int]
    """The codes in the order that a reader expects."""
    tally: Tally
    shares: ShareTally
    truth: Truth
    shown: tuple[str, ...] = ()
    """The classes that are looked at; empty for quantities."""
    counts: JoinCounts = field(default_factory=JoinCounts)
    """How the labels met the rows, where they came later."""


def group_rows(run: FinishedRun, settings: GroupSettings, bundle: Place | None = None) -> GroupedRun:
    """Count a run's rows by group.

    Args:
        run: a finished run.
        settings: the groups, and the truth.
        bundle: the bundle's path, if it was moved; it says which kept column the model was trained on.

    Raises:
        UsageError: a column is not known, holds no groups, or too many.
        DataError, AuditError: a part, an input or the labels cannot be read, or a key is there twice.
    """
    grouping = Grouping.parse(settings.by, RowColumns.known(run))
    shown = shown_classes(run, settings.favourable)
    files = None if settings.labels is None else LabelFiles(settings.labels)
    truth = Truth.of(run, _opened(run, bundle), settings.label, files, settings.key)
    tally: Tally = ClassTally(run.task, shown) if run.task.predicts_targets else QuantityTally(run.task)
    shares = ShareTally(run, most_frequent(run, SHOWN_CLASSES))
    codes = GroupCodes(grouping)
    if files is None:
        _count(run, codes, grouping.column, tally, shares, truth, None)
        return GroupedRun(run, settings, grouping.column, codes.names, codes.in_order, tally, shares, truth, shown)
    assert settings.key is not None
    kind = _kind_of(run, settings.key)
    quantities = not run.task.predicts_targets
    with LaterTruth(files, settings.key, truth.columns, kind, run.report.rows_out, quantities=quantities) as later:
        _count(run, codes, grouping.column, tally, shares, truth, later)
        later.join(tally)
    return GroupedRun(
        run, settings, grouping.column, codes.names, codes.in_order, tally, shares, truth, shown, later.counts
    )


def _count(
    run: FinishedRun,
    codes: GroupCodes,
    column: str,
    tally: Tally,
    shares: ShareTally,
    truth: Truth,
    later: LaterTruth | None,
) -> None:
    """One pass over the rows; those with a later truth are only remembered."""
    key = [] if later is None else [truth.key]
    kept = truth.found if later is None else []
    beside = RowColumns(run, list(dict.fromkeys([column, *key])))
    for batch, own in beside.batches([*tally.columns, *shares.columns, *kept]):
        groups = codes.codes(own[column])
        outcomes = tally.outcomes(batch.table)
        tally.add(groups, outcomes)
        shares.add(batch.table, groups)
        if later is not None:
            later.add(own[truth.key], groups, outcomes)
        elif kept:
            tally.add_truths(groups, outcomes, truth.columns_of(batch.table))


def shown_classes(run: FinishedRun, favourable: str | None) -> tuple[str, ...]:
    """The classes that are looked at, each against the rest: the favourable one, the last of two, or the commonest."""
    targets = run.task.targets
    if not run.task.predicts_targets:
        if favourable is not None:
            raise UsageError(f"favourable: a {run.task.name} predicts no classes, got {favourable!r}")
        return ()
    if favourable is not None:
        if favourable not in targets:
            raise UsageError(f"favourable: {unknown(run.task.target, favourable, targets)}")
        return (favourable,)
    return targets[1:] if len(targets) == 2 else most_frequent(run, SHOWN_CLASSES)


def most_frequent(run: FinishedRun, count: int) -> tuple[str, ...]:
    """The targets that are predicted most often, in the model's own order; the first ones of quantities."""
    predicted = run.report.predictions
    targets = run.task.targets
    chosen = set(sorted(targets, key=lambda name: -predicted.get(name, 0))[:count])
    return tuple(name for name in targets if name in chosen)


def _opened(run: FinishedRun, bundle: Place | None) -> Bundle | None:
    """The run's bundle; None where it is gone and no other path was given."""
    try:
        return run.open_bundle(bundle)
    except WhyportError:
        if bundle is not None:
            raise
        return None


def _kind_of(run: FinishedRun, key: str) -> pa.DataType:
    """The type of a column of the run; raises UsageError where there is none."""
    known = RowColumns.known(run)
    if key not in known:
        raise UsageError(f"key: {unknown('column', key, known)}")
    if key in run.settings.keep:
        return run.schema.field(key).type
    return RunInputs(run, ()).open(run.parts[0].index).schema.field(key).type
