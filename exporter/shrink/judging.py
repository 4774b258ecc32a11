"""The graphs of one precision, of which those are kept that are worth it."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.shrink.candidates import Candidates, Place, full_graphs, place_of
from whyport.exporter.shrink.choice import VariantChoice
from whyport.exporter.shrink.measure import Cost, measure
from whyport.exporter.shrink.outcome import KEPT, LEFT_OUT, REFUSED, Outcome, judged
from whyport.exporter.shrink.written import Written
from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.consistency import TOLERANCES
from whyport.runtime.bundle.embedded import EMBED_MODEL
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.graphs import KINDS, TOLERANCE_OF
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.bundle.sidecar import CAM_MODEL
from whyport.runtime.bundle.variants import variant_file
from whyport.runtime.conformance import replay
from whyport.runtime.errors import ParityError
from whyport.runtime.session import Session

HEADROOM = 2
"""How many times the largest deviation measured a tolerance allows: other processors round otherwise."""
WIDEST = 1.0
"""The widest tolerance that a sidecar can have."""

ROWS_PER_CALL = "rows_per_call"
"""The figure of a graph that takes one row a call."""
EXACT = "exact"
"""What has no tolerance."""

AT_FAULT = {**KINDS, CAM_MODEL: CAM, EMBED_MODEL: "prepare"}
"""The kinds of graph whose outputs errors name with their file."""

MODEL: Place = ("predict", None)

Figures = dict[str, float]


class Judging:
    """The graphs of one precision on trial.

    Args:
        bundle: the bundle without the precision, in a folder that may be changed.
        made: the smaller graphs.
        choice: what they may cost.
        times: the figures of time, by file.
    """

    def __init__(
        self, bundle: Bundle, made: Candidates, choice: VariantChoice, times: Mapping[str, Mapping[str, float]]
    ) -> None:
        self._full = Session(bundle, "cpu", threads=1)
        self._precision, self._choice, self._times = made.precision, choice, times
        self._written = Written(bundle, made.precision, dict(made.contents))
        self._graphs = full_graphs(bundle)
        failed = ((file, why) for file, why in made.failed.items() if place_of(self._graphs[file]) == MODEL)
        self.outcomes = [self._outcome(file, LEFT_OUT, why, {}) for file, why in failed]
        """What became of each graph."""

    def keep(self, rows: NDArray[np.float32]) -> Bundle:
        """The bundle with the graphs that stay, measured on held-out rows [N, F].

        Raises ParityError where the model changes too much, and was asked for by name.
        """
        while any(place_of(self._graphs[file]) == MODEL for file in self._written.contents):
            candidate = self._written.write({}, dict.fromkeys((*TOLERANCES, "maps"), WIDEST))
            small = Session(bundle_in(candidate, self._precision), "cpu", threads=1)
            costs = {(cost.kind, cost.variant): cost for cost in measure(self._full, small, rows)}
            figures = {file: self._figures(file, costs) for file in self._written.contents}
            if self._drop_costly(costs, figures):
                continue
            try:
                replayed = replay(small)
            except ParityError as error:
                self._drop_deviating(error, figures)
                continue
            self.outcomes += [self._outcome(file, KEPT, "", own) for file, own in figures.items()]
            return self._written.write(figures, self._tolerances(list(costs.values()), replayed))
        self._written.contents.clear()
        return self._written.write({}, {})

    def _figures(self, file: str, costs: Mapping[Place, Cost]) -> Figures:
        """All measurements of a graph; of a shorter bucket its size."""
        small = variant_file(file, self._precision)
        found = {
            "bytes": float(len(self._written.contents[file])),
            "full_bytes": float(len(self._full.bundle.read_bytes(file))),
            **self._times.get(small, {}),
            **{f"full_{name}": value for name, value in self._times.get(file, {}).items() if name != ROWS_PER_CALL},
        }
        graph = self._graphs[file]
        cost = costs.get(place_of(graph))
        return found if cost is None or graph.variant != cost.variant else found | cost.figures

    def _drop_costly(self, costs: Mapping[Place, Cost], figures: Mapping[str, Figures]) -> bool:
        """Whether a graph is not worth it; it is then dropped, with those of its place for shorter rows."""
        dropped = False
        for place, cost in costs.items():
            own = [file for file in figures if place_of(self._graphs[file]) == place]
            file = next((each for each in own if self._graphs[each].variant == cost.variant), None)
            if file is None:
                continue
            end, reason = judged(cost, figures[file], self._choice)
            if end == KEPT:
                continue
            self._drop(own, end, reason, figures)
            dropped = True
        return dropped

    def _drop_deviating(self, error: ParityError, figures: Mapping[str, Figures]) -> None:
        """Drop the graph that the test vectors refuse, in every bucket; where there is none of it, the model."""
        kind = AT_FAULT.get(error.output.partition(" ")[0])
        refused = [file for file in figures if self._graphs[file].kind == kind]
        model = [file for file in figures if place_of(self._graphs[file]) == MODEL]
        reason = f"the test vectors differ in {error.output!r} by more than any tolerance allows"
        self._drop(refused or model, REFUSED, reason, figures)

    def _drop(self, files: Sequence[str], end: str, reason: str, figures: Mapping[str, Figures]) -> None:
        for file in files:
            del self._written.contents[file]
            outcome = self._outcome(file, end, reason, figures[file])
            self.outcomes.append(outcome)
            is_model = place_of(self._graphs[file]) == MODEL
            if is_model and end == REFUSED and self._choice.all_or_none:
                raise ParityError(f"variant {self._precision!r}: expected less change, got {outcome.line()}")

    def _outcome(self, file: str, end: str, reason: str, figures: Figures) -> Outcome:
        return Outcome(self._precision, variant_file(file, self._precision), end, reason, figures)

    def _tolerances(self, costs: Sequence[Cost], replayed: Mapping[str, float]) -> Figures:
        """The tolerances of the variant: of the bundle, or wider where it deviates by more."""
        own = self._full.bundle.sidecar.tolerances
        worst = dict.fromkeys(TOLERANCES, 0.0)
        found = [item for cost in costs for item in cost.deviations.items()]
        tensors = {spec.name for graph in self._graphs.values() for spec in graph.outputs}
        for name, value in replayed.items():
            output = name.rpartition(" ")[2]
            if output in tensors:  # pixels are none
                found.append((TOLERANCE_OF.get(output, "outputs"), value))
        for name, value in found:
            if name != EXACT:
                worst[name] = max(worst.get(name, 0.0), value)
        return {
            name: max(own.get(name, own["outputs"]), min(WIDEST, HEADROOM * value)) for name, value in worst.items()
        }
