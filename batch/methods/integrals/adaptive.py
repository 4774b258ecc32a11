"""Integrals of a gradient along straight paths, with more nodes only where a row needs them."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.integrals.intervals import Intervals
from whyport.batch.methods.integrals.ladder import Rung
from whyport.batch.methods.integrals.nodes import Nodes
from whyport.batch.methods.integrals.path import Paths, Values
from whyport.batch.methods.integrals.rules import SIZES, rule

GOLDEN_RATIO = (np.sqrt(5) - 1) / 2


class AdaptiveIntegral:
    """A ladder of rules for smooth rows, then the trapezoidal rule, halving intervals where a row misses its tolerance.

    Completeness holds on every piece of a path: the integral over [a, b], summed over the players, is f(b) - f(a).
    What is missing is the piece's error, known exactly and for free.

    Errors of single players can cancel in that sum. A row has therefore converged only if, in addition, no player's
    own estimated error exceeds the tolerance.

    A row climbs the ladder as long as its path looks smooth. Where it does not, its nodes become those of the
    trapezoidal rule.

    Without the ladder, different references start with different positions, as evenly spread as the positions of one
    long path. Their errors are then independent, and add up like standard deviations.

    New rows are started as soon as there is room for their nodes, so that passes stay full while others finish.

    Args:
        paths: what to integrate along; a row's integral is the weighted sum over its references.
        tolerance: the limit for the completeness error and each player's estimated error, by row, [N], in the unit of
            the score.
        nodes: inner nodes of each path at the start, fewer where `max_evaluations` does not hold them; None for the
            ladder.
        max_evaluations: the most gradients for a row, which is then left as it is.
        max_nodes: the most nodes held at once; a single row that needs more gets more.
    """

    def __init__(
        self, paths: Paths, tolerance: NDArray[np.float64], nodes: int | None, max_evaluations: int, max_nodes: int
    ) -> None:
        most = (max_evaluations - 1) // paths.fan
        first = rule(SIZES[0]).positions[1:-1]
        climbs = nodes is None and most >= len(first)
        self._paths = paths
        self._tolerance = tolerance
        self._positions = first if climbs else None
        self._inner_nodes = min(len(first) if nodes is None else nodes, most)
        self._max_evaluations = max_evaluations
        self._max_nodes = max_nodes
        self._integrals = np.empty((paths.rows, paths.players))
        self._evaluations = np.full(paths.rows, 1 + paths.fan * self._inner_nodes, dtype=np.int32)
        self._finished = np.zeros(paths.rows, dtype=np.bool_)
        self._sizes = np.full(paths.rows, SIZES[0] if climbs else 0)
        """[N]: the nodes of a row's rule on the ladder; 0 for a row whose intervals are halved."""

    def compute(self) -> tuple[NDArray[np.float64], NDArray[np.int32]]:
        """The integrals [N, G] and the gradients that each row took [N], without the gradients shared by all rows."""
        paths = self._paths
        waiting, rows = np.arange(paths.rows), np.arange(0)
        nodes = self._first_nodes(rows)
        while len(waiting) or len(rows):
            # Half the room is left for the nodes that refinement adds.
            fitting = self._room(nodes, 0.5) // (paths.fan * (self._inner_nodes + 2))
            taken_up, waiting = np.split(waiting, [fitting if len(rows) else max(1, fitting)])
            rows, nodes = np.concatenate([rows, taken_up]), nodes.join(self._first_nodes(taken_up))
            path, position = self._refined(rows, nodes)
            self._evaluations += np.bincount(paths.row(path), minlength=paths.rows).astype(np.int32)
            rows = rows[~self._finished[rows]]
            nodes = self._of_rows(nodes, rows).join(self._evaluate(path, position))
        return self._integrals, self._evaluations

    def _refined(self, rows: NDArray[np.int64], nodes: Nodes) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The paths and positions of the next nodes; rows that need none are finished."""
        wanted = self._climb(rows, nodes)
        halving = ~self._finished[rows] & (self._sizes[rows] == 0)
        intervals = Intervals(self._of_rows(nodes, rows[halving]), self._paths)
        wanted[halving] = self._halve(rows[halving], intervals)
        # The last rows wait where there is no room for all; the first is always served.
        total = np.cumsum(wanted)
        wanted[(total > self._room(nodes, 1.0)) & (total > wanted[(wanted > 0).argmax()])] = 0
        halved_path, middle = intervals.middles(wanted[halving], self._tolerance[rows[halving]])
        path, position = self._next_rung(rows[~halving & (wanted > 0)])
        return np.concatenate([path, halved_path]), np.concatenate([position, middle])

    def _climb(self, rows: NDArray[np.int64], nodes: Nodes) -> NDArray[np.int64]:
        """The number of nodes that each row on the ladder wants; rows that are off it want none."""
        wanted = np.zeros(len(rows), dtype=np.int64)
        for size, larger in pairwise((*SIZES, 0)):
            chosen = self._sizes[rows] == size
            some = rows[chosen]
            if len(some):
                rung = Rung.of(self._of_rows(nodes, some), self._paths.fan, size)
                within = rung.within(self._tolerance[some])
                self._finish(some[within], rung.integrals[within])
                cost = self._paths.fan * (larger - size)
                affordable = (self._evaluations[some] + cost <= self._max_evaluations) & (larger > 0)
                climbs = ~within & affordable & rung.rises
                wanted[chosen] = np.where(climbs, cost, 0)
                self._sizes[some[~within & ~climbs]] = 0
        return wanted

    def _halve(self, rows: NDArray[np.int64], intervals: Intervals) -> NDArray[np.int64]:
        """The number of intervals to halve of each of the rows."""
        budgets = self._max_evaluations - self._evaluations[rows]
        finished = ~intervals.beyond(self._tolerance[rows]) | (budgets <= 0)
        self._finish(rows[finished], intervals.integrals()[finished])
        return np.where(finished, 0, np.minimum(intervals.wanted(), budgets))

    def _finish(self, rows: NDArray[np.int64], integrals: NDArray[np.float64]) -> None:
        self._integrals[rows] = integrals
        self._finished[rows] = True

    def _next_rung(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """The paths and positions of the nodes that the next rules of the rows add."""
        paths, places = [np.arange(0)], [np.empty(0)]
        for size, larger in pairwise(SIZES):
            path = self._paths_of(rows[self._sizes[rows] == size])
            paths.append(path.repeat(larger - size))
            places.append(np.tile(rule(larger).positions[1::2], len(path)))
        self._sizes[rows] = 2 * self._sizes[rows] - 1
        return np.concatenate(paths), np.concatenate(places)

    def _paths_of(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        return (rows[:, None] * self._paths.fan + np.arange(self._paths.fan)).reshape(-1)

    def _of_rows(self, nodes: Nodes, rows: NDArray[np.int64]) -> Nodes:
        chosen = np.zeros(self._paths.rows, dtype=np.bool_)
        chosen[rows] = True
        return nodes.take(chosen[self._paths.row(nodes.path)])

    def _room(self, nodes: Nodes, share: float) -> int:
        """The number of nodes that may be added before their number exceeds this share of the limit."""
        return max(0, int(share * self._max_nodes) - len(nodes))

    def _first_nodes(self, rows: NDArray[np.int64]) -> Nodes:
        paths, count = self._paths, self._inner_nodes
        path = self._paths_of(rows)
        if self._positions is not None:
            inner = np.tile(self._positions, (len(path), 1))
        else:
            shift = (0.5 + GOLDEN_RATIO * (path % paths.fan)) % 1
            inner = (np.arange(count) + shift[:, None]) / count
        starts = self._nodes(path, np.zeros(len(path)), lambda part: paths.starts(path[part]))
        ends = self._nodes(path, np.ones(len(path)), lambda part: paths.ends(path[part]))
        return starts.join(ends).join(self._evaluate(path.repeat(count), inner.reshape(-1)))

    def _evaluate(self, path: NDArray[np.int64], position: NDArray[np.float64]) -> Nodes:
        return self._nodes(path, position, lambda part: self._paths.evaluate(path[part], position[part]))

    def _nodes(
        self, path: NDArray[np.int64], position: NDArray[np.float64], compute: Callable[[slice], Values]
    ) -> Nodes:
        return Nodes(path, position, *self._paths.weighted(path, compute))
