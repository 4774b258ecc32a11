"""The facts that both a user and a model may give: one answer, or an error that names both."""

from collections.abc import Sequence

from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.source import AUTO, ModelSource
from whyport.runtime.bundle.score import CLASSIFICATION, REGRESSION
from whyport.runtime.errors import ColumnError, UsageError, listing
from whyport.runtime.inputs.columns import pasted
from whyport.runtime.task import TASKS, Classification, ProbabilityClassification, Regression


def agreed_features(source: ModelSource, facts: ModelFacts, names: Sequence[str]) -> tuple[str, ...]:
    """The model's inputs, in order.

    Args:
        source: what the user says.
        facts: what the model knows.
        names: the columns that the user chose, or all of the sample's but the excluded.

    Raises:
        ColumnError: the user names others than the model knows, the sample lacks one, or there are too many or few.
    """
    known = facts.features
    if not known:
        if facts.width not in (None, len(names)):
            raise ColumnError(
                f"the model takes {facts.width} columns, got {len(names)}: {listing(names)}; choose them with "
                f"--features or --exclude"
            )
        return tuple(names)
    if source.features and source.features != known:
        got = listing(source.features) if set(source.features) != set(known) else "them in another order"
        raise ColumnError(f"--features: expected the model's own names, {listing(known)}, got {got}")
    if missing := [name for name in known if name not in names]:
        has = f"{pasted(missing)} ({len(missing)} of {len(known)})"
        raise ColumnError(f"columns that the model takes and the sample lacks: {has}; the sample has {listing(names)}")
    return known


def agreed_task(source: ModelSource, facts: ModelFacts) -> str:
    """The name of the task among `runtime.task.TASKS`.

    Raises UsageError where the user names another than the model's, or options that the task has not.
    """
    own = None if facts.task is None else TASKS[facts.task].task
    if own is not None and source.task not in (AUTO, own):
        raise UsageError(f"--task: expected {own}, as the model is one, got {source.task}")
    task = own or (CLASSIFICATION if source.task == AUTO else source.task)
    source.check_task(task)
    if task == REGRESSION:
        return Regression.name
    if source.from_probabilities:
        if not facts.probabilities:
            raise UsageError("--from-probabilities: the model has no probabilities")
        return ProbabilityClassification.name
    return facts.task or Classification.name


def agreed_targets(source: ModelSource, facts: ModelFacts, task: str) -> tuple[str, ...]:
    """The names of the scores; empty where they have none.

    Raises UsageError where the user names another number of them than the model has, or the same in another order.
    """
    option, given = ("--targets", source.targets) if task == Regression.name else ("--classes", source.classes)
    known = facts.targets
    if given and known:
        if len(given) != len(known):
            raise UsageError(
                f"{option}: expected {len(known)} names, for the model's {listing(known)}, got {listing(given)}"
            )
        if given != known and set(given) == set(known):
            raise UsageError(f"{option}: expected the model's own order, {listing(known)}, got {listing(given)}")
    return given or known
