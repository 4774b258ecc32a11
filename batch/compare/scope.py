"""The parts of two sides that can be compared, those that cannot, and what a reader must know first."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from whyport.batch.compare.figures import Change
from whyport.batch.compare.shares import RunShares
from whyport.batch.compare.sides import RunSide, TrainingSide
from whyport.batch.compare.variables import PREDICTIONS, Group
from whyport.runtime.errors import listing
from whyport.runtime.task import Task

MIXES = "differences of shares mix a change of the rows with this one"
NO_MATTER = ("memory", "seed")
"""Options of methods that do not change what a share means."""


@dataclass(frozen=True)
class Scope:
    """The parts of two sides that are compared."""

    groups: tuple[Group, ...]
    """Predictions and explanations that both have; inputs are looked for apart."""
    notes: tuple[str, ...]
    left_out: tuple[str, ...]
    changes: tuple[Change, ...]
    other_units: frozenset[str] = frozenset()
    """The columns of predictions whose units differ."""


def scope_of(first: RunSide | TrainingSide, other: RunSide) -> Scope:
    """The parts of two sides that can be compared."""
    notes = list(_notes(first, other))
    groups, left_out = _predictions(first.task, other.task)
    other_units = _other_units(first.task, other.task) if groups else {}
    left_out += [f"{name!r} is not compared, as its units differ: {units}" for name, units in other_units.items()]
    changes = _changes("class" if other.task.predicts_targets else "target", first.task.targets, other.task.targets)
    own = RunShares.of(other.run)
    if isinstance(first, TrainingSide):
        reason = _scores_differ(first.task, other.task)
        groups += [] if reason else [*own.explanations]
        left_out += [reason] if reason and own.explanations else []
        return Scope(tuple(groups), tuple(notes), tuple(left_out), tuple(changes), frozenset(other_units))
    known = RunShares.of(first.run)
    methods = [list(dict.fromkeys(group.method for group in each.explanations)) for each in (known, own)]
    changes += _changes("method", *methods)
    changes += _changes("layer", _layers(first), _layers(other))
    if methods[0] and methods[1]:
        changes += _changes("feature", known.names, own.names)
    found, reason = _explanations(first, other, known, own)
    left_out += [reason] if reason else []
    return Scope((*groups, *found), tuple(notes), tuple(left_out), tuple(changes), frozenset(other_units))


def _notes(first: RunSide | TrainingSide, other: RunSide) -> Iterator[str]:
    if first.digest != other.digest:
        yield (
            f"not the same model: {first.model} ({first.digest[:12]}) and {other.model} ({other.digest[:12]}): {MIXES}"
        )
    if isinstance(first, TrainingSide):
        yield (
            "A is the training: inputs are compared with the statistics that the bundle has of its training rows, "
            "predictions and shares with those of its reference rows, at most 200, which are a sample of these unless "
            "they were chosen by hand"
        )
        return
    one, two = first.run.settings, other.run.settings
    if one.variant != two.variant:
        names = " and ".join(each.variant or "full size" for each in (one, two))
        yield f"not the same variant of the model: {names}: {MIXES}"
    base = [each.explain.get("baseline") for each in (one, two)]
    if base[0] != base[1]:
        names = " and ".join(str(each or "the bundle's first baseline") for each in base)
        yield f"not the same base: {names}: {MIXES}"
    differing = sorted(
        key
        for key in one.explain.keys() | two.explain.keys()
        if key not in (*NO_MATTER, "baseline") and one.explain.get(key) != two.explain.get(key)
    )
    if differing and set(one.methods) & set(two.methods):
        yield f"not the same options of the methods ({', '.join(differing)}): {MIXES}"
    for key, what in (
        ("explain_target", "target"),
        ("explain_where", "choice of rows"),
        ("top_k", "number of reasons"),
    ):
        values = [getattr(each, key) for each in (one, two)]
        if values[0] != values[1] and one.methods and two.methods:
            yield f"not the same {what} explained: {_shown(values[0])} and {_shown(values[1])}"
    if one.explain_fraction != two.explain_fraction and one.methods and two.methods:
        yield "not the same share of rows explained, which changes nothing but the width of intervals"


def _shown(value: Any) -> str:
    return "all" if value is None else str(value)


def _predictions(one: Task, two: Task) -> tuple[list[Group], list[str]]:
    if one.predicts_targets != two.predicts_targets:
        kinds = " and ".join(each.name for each in (one, two))
        return [], [f"predictions and shares are not compared, as the tasks differ: {kinds}"]
    shared = [name for name in one.targets if name in two.targets]
    if not shared:
        return [], [
            f"predictions are not compared: no {one.target} is in both, of {listing(one.targets)} and "
            f"{listing(two.targets)}"
        ]
    return [Group(PREDICTIONS)], []


def _other_units(one: Task, two: Task) -> dict[str, str]:
    """The columns of predictions whose units differ, with both units."""
    units = {column.name: column.unit for column in two.columns}
    return {
        column.name: f"{column.unit} and {units[column.name]}"
        for column in one.columns
        if column.name in units and column.unit != units[column.name]
    }


def _scores_differ(one: Task, two: Task) -> str | None:
    """Why shares of two tasks cannot be compared; None where they can."""
    if one.predicts_targets != two.predicts_targets:
        return None  # said of the predictions already
    shared = [name for name in one.targets if name in two.targets]
    if not shared:
        return f"shares are not compared: no {one.target} is in both"
    units = [(name, one.unit_of(name), two.unit_of(name)) for name in shared]
    for name, own, others in units:
        if own != others:
            return f"shares are not compared, as their units differ: {own} and {others}, of {name!r}"
    return None


def _explanations(first: RunSide, other: RunSide, known: RunShares, own: RunShares) -> tuple[list[Group], str | None]:
    if first.task.predicts_targets != other.task.predicts_targets or not (known.explanations or own.explanations):
        return [], None
    if not known.explanations or not own.explanations:
        without = first if not known.explanations else other
        return [], f"shares are not compared: {without.title} has none"
    if reason := _scores_differ(first.task, other.task):
        return [], reason
    one, two = first.run.settings, other.run.settings
    for key, what in (("per", "shares are of"), ("reduction", "cells become shares by")):
        values = [getattr(each, key) for each in (one, two)]
        if values[0] != values[1]:
            return [], f"shares are not compared, as {what} {values[0]} in A, {values[1]} in B"
    found = [group for group in known.explanations if group in own.explanations]
    if not found:
        sides = [listing(group.title for group in each.explanations) for each in (known, own)]
        return [], f"shares are not compared: no explanation is in both, of {sides[0]} and {sides[1]}"
    if not set(known.names) & set(own.names):
        return [], "shares are not compared: no feature is in both"
    return found, None


def _layers(side: RunSide) -> list[str]:
    if not side.run.parts:
        return []
    return [name.partition("layer_map.")[2] for name in side.run.schema.names if "layer_map." in name]


def _changes(kind: str, before: Any, after: Any) -> list[Change]:
    gone = [Change(kind, name, False) for name in before if name not in set(after)]
    return [*(Change(kind, name, True) for name in after if name not in set(before)), *gone]
