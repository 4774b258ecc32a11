"""The engine of comparisons: a look at some rows of each side, one pass over all of them, and the figures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from whyport.batch.compare.alarms import raised
from whyport.batch.compare.bootstrap import rows_drawn
from whyport.batch.compare.edges import as_edges, decile_edges
from whyport.batch.compare.figures import CompareReport
from whyport.batch.compare.matching import match_rows
from whyport.batch.compare.pair import Counted, Pair
from whyport.batch.compare.reading import count, in_order, look
from whyport.batch.compare.run_readers import RunReaders
from whyport.batch.compare.scope import Scope, scope_of
from whyport.batch.compare.sides import RunSide, TrainingSide
from whyport.batch.compare.summary import Draw, Summary
from whyport.batch.compare.training import Training
from whyport.batch.compare.variables import Group, Variable
from whyport.runtime.errors import UsageError


@dataclass(frozen=True)
class CompareSettings:
    """The options of a comparison."""

    key: str | None = None
    """The kept column that matches rows."""
    rows: int = 10
    """Rows to list whose reasons changed most."""
    limits: Mapping[str, float] = field(default_factory=dict)
    """The limits of alarms by name."""
    threads: int = 1
    device: str = "auto"


def compare_sides(first: RunSide | TrainingSide, others: Sequence[RunSide], settings: CompareSettings) -> CompareReport:
    """Compare runs with a first side, each on its own; every side is read once, after a look at some of its rows.

    Raises UsageError where nothing of two sides can be compared, or rows cannot be matched; DataError if a part cannot
    be read.
    """
    if settings.key is not None and isinstance(first, TrainingSide):
        raise UsageError("key: expected two runs, got a bundle, which has no rows of its own to match")
    scopes = [scope_of(first, other) for other in others]
    sides = [*([first] if isinstance(first, RunSide) else []), *others]
    wanted = [_groups(side, first, others, scopes) for side in sides]
    readers = [RunReaders.of(side, groups) for side, groups in zip(sides, wanted, strict=True)]
    training = {}
    if isinstance(first, TrainingSide):
        training = {other.title: Training.of(first, other.run, settings.device) for other in others}
    if isinstance(first, RunSide):
        edges = _deciles(look(readers[0].readers, settings.threads), settings.threads)
    else:
        edges = {v: as_edges(each) for known in training.values() for v, each in known.edges.items()}
    counted = [
        Counted(_counted(side, each, edges, settings.threads), each) for side, each in zip(sides, readers, strict=True)
    ]
    before = counted[0] if isinstance(first, RunSide) else None
    found = []
    for other, scope, after in zip(others, scopes, counted[-len(others) :], strict=True):
        base = before if before is not None else training[other.title]
        comparison = Pair(first, other, scope, base, after, settings.threads).comparison()
        if settings.key is not None and isinstance(first, RunSide):
            comparison = replace(comparison, matched=match_rows(first, other, scope, settings))
        found.append(replace(comparison, alarms=raised(comparison, settings.limits)))
    return CompareReport(tuple(found))


def _groups(
    side: RunSide, first: RunSide | TrainingSide, others: Sequence[RunSide], scopes: Sequence[Scope]
) -> tuple[Group, ...]:
    """The groups that a side is read for: of the first, those of all comparisons."""
    own = [scope for other, scope in zip(others, scopes, strict=True) if side is first or side is other]
    return tuple(dict.fromkeys(group for scope in own for group in scope.groups))


def _deciles(sample: Mapping[Variable, NDArray[np.float32]], threads: int) -> dict[Variable, NDArray[np.float32]]:
    """The edges of the bins of A's variables."""
    variables = list(sample)
    return dict(zip(variables, in_order(lambda each: decile_edges(sample[each]), variables, threads), strict=True))


def _counted(
    side: RunSide, readers: RunReaders, edges: Mapping[Variable, NDArray[np.float32]], threads: int
) -> Summary:
    """A side, counted: of what has no edges, as A has no such variable, all values are in one bin."""
    variables = [variable for reader in readers.readers for variable in reader.numbers]
    own = {variable: edges.get(variable, np.zeros(0, dtype=np.float32)) for variable in variables}
    limit = rows_drawn(len(variables))
    # A few more than are needed, as keys are random.
    below = min(1.0, 1.1 * limit / max(_least_rows(side), 1) + 1e-3)
    return count(readers.readers, Summary(own, Draw(limit, below)), threads)


def _least_rows(side: RunSide) -> int:
    """The number of rows that the variables with the fewest have: those of an explanation."""
    return min([side.rows, *(rows for rows in side.run.report.explained.values() if rows)])
