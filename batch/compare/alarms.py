"""The alarms of a comparison: figures that may not be beyond a limit."""

import math
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from whyport.batch.compare.figures import Comparison, Figure, RaisedAlarm
from whyport.runtime.errors import UsageError, unknown

LEADING = 10
"""Features among which a change of rank counts: places far behind are decided by chance."""

Found = Iterator[tuple[float, str]]


@dataclass(frozen=True)
class Alarm:
    """A figure that an alarm watches."""

    about: str
    """The figure in words, for help and documentation."""
    figures: Callable[[Comparison], Found]
    """All such figures of a comparison, each with what it is of."""


def _psi(*kinds: str) -> Callable[[Comparison], Found]:
    def found(comparison: Comparison) -> Found:
        for kind, named in _named(comparison):
            if kind in kinds:
                told = [(where, figure) for where, figure in named if figure.psi > figure.chance_limit]
                yield from ((figure.psi, f"{where}: {figure.name}") for where, figure in told)

    return found


def _named(comparison: Comparison) -> Iterator[tuple[str, list[tuple[str, Figure]]]]:
    """The figures by kind, each with the name of its group."""
    yield "inputs", [("inputs", each) for each in comparison.inputs]
    yield "predictions", [("predictions", each) for each in comparison.predictions]
    yield "attributions", [(e.title, figure) for e in comparison.explanations for figure in e.features]


def _shift(comparison: Comparison) -> Found:
    for explanation in comparison.explanations:
        shifts = [(each.name, each.shift) for each in explanation.features if each.shift is not None]
        total = math.fsum(shift.before for _, shift in shifts)
        for name, shift in shifts:
            if shift.is_clear and total > 0:
                yield abs(shift.change) / total, f"{explanation.title}: {name}"


def _rank(comparison: Comparison) -> Found:
    for explanation in comparison.explanations:
        for each in explanation.features:
            if each.shift is not None and min(each.shift.rank_before, each.shift.rank_after) <= LEADING:
                yield abs(each.shift.rank_after - each.shift.rank_before), f"{explanation.title}: {each.name}"


def _missing(comparison: Comparison) -> Found:
    for _, named in _named(comparison):
        for where, figure in named:
            yield abs(figure.missing_after - figure.missing_before), f"{where}: {figure.name}"


def _changed(comparison: Comparison) -> Found:
    changes = comparison.changes
    if changes:
        yield len(changes), ", ".join(f"{each.kind} {each.name}" for each in changes[:5])


def _unmatched(comparison: Comparison) -> Found:
    if comparison.matched is not None:
        yield comparison.matched.unmatched, f"rows by {comparison.matched.key}"


ALARMS: dict[str, Alarm] = {
    "psi": Alarm(
        "the largest index of anything; indices within what chance gives do not count",
        _psi("inputs", "predictions", "attributions"),
    ),
    "psi-inputs": Alarm("the same of the inputs", _psi("inputs")),
    "psi-predictions": Alarm("the same of the predictions", _psi("predictions")),
    "psi-attributions": Alarm("the same of the shares", _psi("attributions")),
    "shift": Alarm(
        "the largest change of a mean |share|, as a part of the sum of all mean |share| in A; changes whose interval "
        "contains 0 do not count",
        _shift,
    ),
    "rank": Alarm(f"the largest change of a feature's rank, of those in the first {LEADING} of A or B", _rank),
    "missing": Alarm("the largest change of a share of missing values", _missing),
    "changed": Alarm(
        "how many features, inputs, classes, categories, methods and layers are in A or B alone", _changed
    ),
    "unmatched": Alarm("the share of rows without a row beside them, with a key", _unmatched),
}
"""The alarms by the names that `--fail-over` takes."""

# A name, and a number that is not negative.
LIMIT = re.compile(r"\s*([a-z-]+)\s*=\s*([0-9.eE+-]+)\s*(%?)\s*")


def parse_limits(given: str | Mapping[str, Any] | None) -> dict[str, float]:
    """The limits by alarm, from `psi=0.25,shift=5%` or a mapping; raises UsageError for another name or number."""
    if given is None or given == "":
        return {}
    pairs = given.items() if isinstance(given, Mapping) else [_pair(text) for text in str(given).split(",")]
    found: dict[str, float] = {}
    for name, limit in pairs:
        if name not in ALARMS:
            raise UsageError(f"fail_over: {unknown('alarm', str(name), ALARMS)}")
        if isinstance(limit, bool) or not isinstance(limit, int | float) or not 0 <= limit < math.inf:
            raise UsageError(f"fail_over: expected a limit of at least 0 for {name!r}, got {limit!r}")
        if name in found:
            raise UsageError(f"fail_over: expected one limit for {name!r}, got several")
        found[name] = float(limit)
    return found


def _pair(text: str) -> tuple[str, float]:
    match = LIMIT.fullmatch(text)
    try:
        if match is not None:
            return match[1], float(match[2]) / (100 if match[3] else 1)
    except ValueError:
        pass
    raise UsageError(f"fail_over: expected NAME=LIMIT, such as psi=0.25, got {text!r}; names: {', '.join(ALARMS)}")


def raised(comparison: Comparison, limits: Mapping[str, float]) -> tuple[RaisedAlarm, ...]:
    """The alarms of a comparison: of each, the largest figure, where that is above its limit."""
    found = []
    for name, limit in limits.items():
        figures = [each for each in ALARMS[name].figures(comparison) if each[0] == each[0]]
        if figures:
            value, where = max(figures, key=lambda each: each[0])
            if value > limit:
                found.append(RaisedAlarm(name, limit, value, where))
    return tuple(found)
