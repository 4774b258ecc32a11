"""Explainers of rows that share references: rows of one length against references cut to it, or each row alone."""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.baselines import ChosenBaseline
from whyport.batch.methods.explainer import Explainer
from whyport.batch.methods.players import Labels
from whyport.batch.methods.request import Request
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.lengths import Length, of_length, same_lengths
from whyport.runtime.bundle.references import References

MOST_KEPT = 256
"""The most lengths whose explainers are kept: each holds what its method computes of the references once."""

CELL_BYTES = 512
"""Bytes that this is taken to be for each cell of a reference."""


Fit: TypeAlias = Callable[[References, Sequence[float]], References]
"""The references of rows with so many steps of each input of varying length, from those of any."""


@dataclass(frozen=True)
class Ready:
    """An explainer, with what its scores are measured against."""

    explainer: Explainer
    base_values: NDArray[np.float64] | None
    """[K]; None for a method that measures against nothing."""
    players: tuple[str, ...]
    """The names of the G players of the longest rows; the explainer may have fewer."""

    def cut(self, request: Request) -> Request:
        """The request with the rows of the explainer's bucket."""
        bundle = self.explainer.model.bundle
        if bundle.whole is None:
            return request
        return Request(request.rows[:, list(bundle.places)], request.scores, request.row, request.target)

    def whole(self, attribution: Attribution) -> Attribution:
        """The attributions of the longest rows' players: exactly 0 for those that the explainer has not."""
        own, is_idle = self.explainer.players.names, self.explainer.is_idle
        if own == self.players and not is_idle:
            return attribution
        place = {name: i for i, name in enumerate(self.players)}
        places = [place[name] for name in own]

        def spread(values: NDArray[Any]) -> NDArray[Any]:
            if values.ndim != 2 or values.shape[1] != len(own):
                return values
            made = np.zeros((len(values), len(self.players)), dtype=values.dtype)
            made[:, places] = 0 if is_idle else values
            return made

        extras = {name: spread(values) for name, values in attribution.extras.items()}
        return replace(attribution, values=spread(attribution.values), extras=extras)


class ExplainersOfLengths:
    """The explainers of every method for rows of each length, made when the first row of a length comes.

    Args:
        lengths: where a row says how many steps its lists have; none where every row is of one length.
        baseline: what scores are measured against, with the most steps; each row's own, or the same for all.
        make: gives the explainers, by method, against references of one length; of one row with its segments, if any.
        memory: bytes that what is kept may take, as far as it is known.
        fit: gives the references of rows with so many steps; by default they are cut, or repeated.
    """

    def __init__(
        self,
        lengths: Sequence[Length],
        baseline: ChosenBaseline,
        make: Callable[[References, Labels | None], dict[str, Ready]],
        memory: int,
        fit: Fit | None = None,
    ) -> None:
        self._lengths = lengths
        self._fit = fit or self._cut
        self._baseline = baseline
        self._make = make
        self._references = baseline.references()
        longest = self._fit(self._references, [float(each.steps) for each in lengths])
        self._most = max(1, min(MOST_KEPT, memory // (CELL_BYTES * longest.rows.size)))
        self._kept: OrderedDict[tuple[float, ...], dict[str, Ready]] = OrderedDict()

    def usual(self) -> dict[str, Ready]:
        """The explainers of the length that test vectors have."""
        return self._of(tuple(float(each.usual) for each in self._lengths))

    def split(
        self, request: Request, labels: Sequence[Labels] = ()
    ) -> Iterator[tuple[dict[str, Ready], Request, NDArray[np.int64]]]:
        """The parts of a request whose rows share references, each with its explainers and its explanations' places.

        The lengths whose explainers are there come first: those of the others would take their place.

        Args:
            request: the request.
            labels: the segments of each row's pictures; none where pictures are not cut.
        """
        if self._baseline.differs_by_row or labels:
            for i, row in enumerate(request.rows):
                explanations = np.flatnonzero(request.row == i)
                steps = tuple(float(row[each.place]) for each in self._lengths)
                own = labels[i] if labels else None
                made = self._make(self._fit(self._baseline.references(row, own), steps), own)
                yield made, request.only(explanations), explanations
            return
        if not self._lengths or not len(request):
            yield self.usual(), request, np.arange(len(request))
            return
        parts = [(tuple(map(float, steps)), rows) for steps, rows in same_lengths(self._lengths, request.rows)]
        for steps, rows in sorted(parts, key=lambda part: part[0] not in self._kept):
            explanations = np.flatnonzero(np.isin(request.row, rows))
            yield self._of(steps), request.only(explanations), explanations

    def _of(self, steps: tuple[float, ...]) -> dict[str, Ready]:
        if steps not in self._kept:
            self._kept[steps] = self._make(self._fit(self._references, steps), None)
            if len(self._kept) > self._most:
                self._kept.popitem(last=False)
        self._kept.move_to_end(steps)
        return self._kept[steps]

    def _cut(self, references: References, steps: Sequence[float]) -> References:
        if not steps:
            return references
        return References(of_length(self._lengths, references.rows, steps), references.weights)


def joined(parts: Sequence[tuple[NDArray[np.int64], Attribution]]) -> Attribution:
    """The attributions of a request from those of its parts, each with the explanations that it has."""
    ((_, first), *others) = parts
    if not others:
        return first
    order = np.argsort(np.concatenate([explanations for explanations, _ in parts]))

    def together(arrays: Sequence[NDArray[Any]]) -> NDArray[Any]:
        return np.concatenate(arrays)[order]

    found = [each for _, each in parts]
    return Attribution(
        together([each.values for each in found]),
        together([each.output for each in found]),
        together([each.base_value for each in found]),
        together([each.target for each in found]),
        together([each.error for each in found]),
        together([each.evaluations for each in found]),
        None if first.converged is None else together([np.asarray(each.converged) for each in found]),
        {name: together([each.extras[name] for each in found]) for name in first.extras},
    )
