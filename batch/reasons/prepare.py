"""The rule of a run's reasons, from its options and the bundle."""

from collections.abc import Mapping

from whyport.batch.methods.positions import Positions
from whyport.batch.reasons.choice import ReasonChoice, chosen_reasons
from whyport.batch.reasons.rule import ReasonRule
from whyport.batch.reasons.wordings import OPTION, Wording
from whyport.batch.settings import JobSettings
from whyport.batch.targets import TargetChoice
from whyport.runtime.bundle.columns import NUMBER
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import UsageError
from whyport.runtime.task import Task


def asked_reasons(settings: JobSettings, task: Task, choice: TargetChoice, positions: Positions) -> ReasonChoice | None:
    """The reasons that the options of a run ask for; None for none.

    Raises UsageError where that makes no sense, or has several meanings.
    """
    if settings.reasons is None:
        return None
    return chosen_reasons(
        settings.reasons,
        settings.reason_texts,
        settings.favourable,
        settings.reason_method,
        task=task,
        choice=choice,
        methods=settings.methods,
        positions=positions,
    )


def rule_of(bundle: Bundle, chosen: ReasonChoice | None, task: Task, positions: Positions) -> ReasonRule | None:
    """How the reasons of a run follow from shares; None where none are asked for.

    Raises UsageError for a text that depends on a value which is no number.
    """
    if chosen is None:
        return None
    places = _places(bundle, chosen.wordings)
    means: Mapping[str, float] = {}
    if places:
        mean = References.read(bundle).mean(bundle.sidecar.features).rows[0]
        means = {name: float(mean[place]) for name, place in places.items()}
    return ReasonRule(chosen, task, positions.names, means, places)


def _places(bundle: Bundle, wordings: Mapping[str, Wording]) -> dict[str, int]:
    """Where a model's row holds the features whose text depends on their value."""
    numbers = {each.name: place for place, each in enumerate(bundle.sidecar.features) if each.kind == NUMBER}
    with_sides = [name for name, wording in wordings.items() if wording.has_sides]
    for name in with_sides:
        if name not in numbers:
            raise UsageError(f"{OPTION}: expected a column of numbers for texts high and low, got {name!r}")
    return {name: numbers[name] for name in with_sides}
