"""The meaning of "reason" in a run: whose shares, against which outcome, in which words."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated

from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.per import FEATURE
from whyport.batch.methods.positions import Positions
from whyport.batch.reasons.wordings import FIELDS, OPTION, Wording
from whyport.batch.targets import TOP, TargetChoice
from whyport.runtime.bundle.constraints import Within
from whyport.runtime.errors import UsageError, listing, unknown
from whyport.runtime.task import Task

HIGHER, LOWER = SIDES = "higher", "lower"
"""The favourable outcomes of a regression."""
MOST = 100
"""The most reasons of a row."""


@dataclass(frozen=True)
class ReasonChoice:
    """The reasons of a run, as _job.json has them."""

    count: Annotated[int, Within(1, MOST)]
    """The most reasons of a row."""
    method: str
    """The method whose shares they are."""
    favourable: str
    """The class that is the favourable outcome; of a regression "higher" or "lower" values."""
    texts: dict[str, dict[str, str]]
    """The wording of each feature: text, code, high, low."""

    def check(self, task: Task, methods: Sequence[str]) -> None:
        """Raise UsageError for a method, an outcome or a wording that there cannot be."""
        if self.method not in methods:
            raise UsageError(f"reason_method: {unknown('method of this run', self.method, methods)}")
        outcomes = task.targets if task.predicts_targets else SIDES
        if self.favourable not in outcomes:
            raise UsageError(f"favourable: {unknown('outcome', self.favourable, outcomes)}")
        for feature, given in self.texts.items():
            if "text" not in given or not given.keys() <= set(FIELDS):
                raise UsageError(f"{OPTION}: expected a text of {feature!r}, got {listing(given)}")

    @property
    def wordings(self) -> dict[str, Wording]:
        """The wording of each feature."""
        return {feature: Wording(**given) for feature, given in self.texts.items()}

    @property
    def has_codes(self) -> bool:
        """Whether any wording has a code."""
        return any("code" in given for given in self.texts.values())


def chosen_reasons(
    count: int,
    wordings: Mapping[str, Wording],
    favourable: str | None,
    method: str | None,
    *,
    task: Task,
    choice: TargetChoice,
    methods: Sequence[str],
    positions: Positions,
) -> ReasonChoice:
    """The reasons of a run, from its options.

    Args:
        count: the most reasons of a row.
        wordings: what is said of each feature.
        favourable: the favourable outcome; None for the task's own default.
        method: the method whose shares they are; None for the first of the run.
        task: what the model's outputs mean.
        choice: the targets that are explained.
        methods: the run's methods.
        positions: what has a share.

    Raises UsageError where that makes no sense, or has several meanings.
    """
    by = _method(method, methods)
    if not positions.add_up:
        raise UsageError("reasons: expected sums of shares, got sums of magnitudes, which speak for nothing")
    outcome = _class(favourable, task, choice) if task.predicts_targets else _side(favourable, task, choice)
    known = worded_names(positions)
    for feature in wordings:
        if feature not in known:
            raise UsageError(f"{OPTION}: {unknown('feature', feature, known)}")
    return ReasonChoice(count, by, outcome, {feature: each.record() for feature, each in wordings.items()})


def worded_names(positions: Positions) -> list[str]:
    """The names of the shares that can have a wording: those of columns, of groups, and of a sequence's features.

    Raises UsageError where there are none.
    """
    if not positions.blocks:
        return list(positions.names)
    found = list[str]()
    for block in positions.blocks:
        if block.is_table or (positions.per == FEATURE and block in positions.sequences and not block.varies):
            found += positions.names[block.start : block.stop]
    if not found:
        inputs = listing(block.input for block in positions.blocks)
        advice = f": a sequence's features have shares with per {FEATURE!r}" if positions.sequences else ""
        raise UsageError(
            f"reasons: expected shares of columns or features, got those of single pixels, patches, segments, tokens "
            f"or steps of {inputs}, of which no text can tell beforehand{advice}"
        )
    return found


def _method(method: str | None, methods: Sequence[str]) -> str:
    by = methods[0] if method is None else method
    if by not in methods:
        raise UsageError(f"reason_method: {unknown('method of this run', by, methods)}")
    if not find_method(by).adds_up:
        raise UsageError(
            f"reason_method: expected a method whose attributions are shares of the score, got {by!r}: "
            f"{find_method(by).unit_of('its unit is the score')}"
        )
    return by


def _class(favourable: str | None, task: Task, choice: TargetChoice) -> str:
    """The favourable class of a classification."""
    is_binary = len(task.targets) == 2
    if favourable is None and not is_binary:
        raise UsageError(f"favourable: expected the favourable one of the classes {listing(task.targets)}, got none")
    outcome = task.targets[1] if favourable is None else favourable
    if outcome not in task.targets:
        raise UsageError(f"favourable: {unknown('class', outcome, task.targets)}")
    every_top = choice.text == f"{TOP}{len(task.targets)}"
    if not is_binary and task.targets.index(outcome) not in choice.fixed and not every_top:
        raise UsageError(
            f"favourable: expected rows explained for {outcome!r}, got explain_target {choice.text!r}: of "
            f"{len(task.targets)} classes, what speaks for one does not say what speaks against another"
        )
    return outcome


def _side(favourable: str | None, task: Task, choice: TargetChoice) -> str:
    """The favourable side of a regression."""
    if len(choice.columns) > 1:
        raise UsageError(
            f"reasons: expected one explained {task.target}, got {listing(choice.targets_by_name)}: "
            "name one by explain_target"
        )
    outcome = HIGHER if favourable is None else favourable
    if outcome not in SIDES:
        raise UsageError(f"favourable: {unknown('side', outcome, SIDES)}")
    return outcome
