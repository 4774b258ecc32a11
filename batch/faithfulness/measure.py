"""All figures of a sample of explanations, method by method."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from whyport.batch.faithfulness.curves import Curves
from whyport.batch.faithfulness.figures import Figures, relative_l1, spearman
from whyport.batch.faithfulness.infidelity import Infidelity, drawn_sets
from whyport.batch.faithfulness.randomisation import LEVELS, Randomised, reason_against
from whyport.batch.faithfulness.removal import Removal
from whyport.batch.faithfulness.stability import Stability, radii
from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.explainer import Explainer
from whyport.batch.methods.per import kind_of
from whyport.batch.methods.request import Request
from whyport.batch.scoring.lengths import Ready
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import WhyportError

BASELINE, STABILITY, INFIDELITY, RANDOMISATION = "baseline", "stability", "infidelity", "randomisation"

NO_SHARES = "it gives no shares of a score, but values that do not add up to one"
NO_REFERENCES = "it measures against no reference rows"
ONE_REFERENCE = "it measures against one made reference, of which there is no other draw"
FIXED_REFERENCES = "its references are in the bundle's graph, or do not depend on the background"
OWN_PLAYERS = "each row has players of its own, segments or words, which a change would cut anew"
NO_CHANGES = "its inputs have no small changes: they are categories, or texts"

Parts = Iterator[tuple[Mapping[str, Ready], Request]]


@dataclass
class Measured:
    """The figures of one method."""

    method: str
    curves: Curves
    infidelity: Infidelity = field(default_factory=Infidelity)
    stability: Stability = field(default_factory=Stability)
    draw: dict[str, Figures] = field(default_factory=lambda: {"spearman": Figures(), "relative_l1": Figures()})
    """Against another draw of the background."""
    randomised: dict[str, Figures] = field(default_factory=dict)
    """Spearman's correlation of magnitudes with those of a network with shuffled weights, by what was shuffled."""
    layers: dict[str, list[str]] = field(default_factory=dict)
    """The names of what was shuffled."""
    left_out: dict[str, str] = field(default_factory=dict)
    """Measures that the method is left out of, and why."""
    explanations: int = 0
    not_finite: int = 0


@dataclass(frozen=True)
class Explained:
    """Explanations of one method, all finite, and the draws for what is measured of them."""

    explainer: Explainer
    request: Request
    shares: NDArray[np.float64]
    """[M, G]."""
    rng: np.random.Generator


class Measurement:
    """Measures explanations of a sample that comes in parts; each part's rows share their references.

    Args:
        methods: the run's methods.
        seed: of all draws.
    """

    def __init__(self, methods: Sequence[str], seed: int) -> None:
        self._seed = seed
        self.found = {name: Measured(name, Curves(signed=find_method(name).adds_up)) for name in methods}

    def add(self, parts: Parts) -> None:
        """Measure the parts of a sample."""
        for ready, request in parts:
            for name, own in ready.items():
                if len(request):
                    self._add(self.found[name], own.explainer, request)

    def _add(self, found: Measured, explainer: Explainer, request: Request) -> None:
        # The same draws for every method.
        rng = np.random.default_rng([self._seed, crc32(request.rows[:1].tobytes())])
        shares = explainer.explain(request).values.astype(np.float64)
        finite = np.isfinite(shares).all(axis=1)
        found.not_finite += int((~finite).sum())
        if explainer.is_idle or not finite.any():
            return
        if not finite.all():
            rows = np.flatnonzero(finite)
            request, shares = request.only(rows), shares[rows]
        found.explanations += len(shares)
        own = Explained(explainer, request, shares, rng)
        for measure in (self._removals, self._stability, self._draws, self._randomised):
            measure(found, own)

    def _removals(self, found: Measured, own: Explained) -> None:
        """Curves and infidelity."""
        removal, request = Removal.of(own.explainer, own.rng), own.request
        adds_up = find_method(found.method).adds_up
        if not adds_up:
            found.left_out[INFIDELITY] = NO_SHARES
        for e, shares in enumerate(own.shares):
            row, target = request.rows[request.row[e]], int(request.target[e])
            found.curves.add(removal, row, shares, target, own.rng)
            sets = drawn_sets(len(shares), own.rng)
            if adds_up:
                found.infidelity.add(removal, row, shares, target, sets)

    def _stability(self, found: Measured, own: Explained) -> None:
        sidecar = own.explainer.model.bundle.sidecar
        if own.explainer.settings.row_players is not None:
            found.left_out[STABILITY] = OWN_PLAYERS
            return
        if not radii(sidecar).any() or has_texts(sidecar):
            found.left_out[STABILITY] = NO_CHANGES
            return
        found.stability.add(own.explainer, own.request, own.shares, own.rng)

    def _draws(self, found: Measured, own: Explained) -> None:
        """The same method against as many references, drawn again from the background."""
        explainer, background = own.explainer, own.explainer.background
        if explainer.references is None:
            found.left_out[BASELINE] = NO_REFERENCES
            return
        if len(background.rows) < 2:
            found.left_out[BASELINE] = ONE_REFERENCE
            return
        weights = background.weights / background.weights.sum()
        drawn = own.rng.choice(len(background.rows), len(background.rows), p=weights)
        rows, counts = np.unique(drawn, return_counts=True)
        again = References(background.rows[rows], counts / counts.sum())
        other = type(explainer)(explainer.model, again, explainer.settings)
        if other.references is None or are_same(other.references, explainer.references):
            found.left_out[BASELINE] = FIXED_REFERENCES
            return
        values = other.explain(own.request).values.astype(np.float64)
        if values.shape != own.shares.shape:
            found.left_out[BASELINE] = ONE_REFERENCE
            return
        found.draw["spearman"].add(spearman(own.shares, values))
        found.draw["relative_l1"].add(relative_l1(own.shares, values))

    def _randomised(self, found: Measured, own: Explained) -> None:
        reason = reason_against(found.method, own.explainer)
        if reason:
            found.left_out[RANDOMISATION] = reason
            return
        for level in LEVELS:
            try:
                shuffled = Randomised(own.explainer, level, self._seed)
                values = shuffled.explain(own.request)
            except WhyportError as error:
                found.left_out[RANDOMISATION] = str(error)
                return
            if values is None:
                found.left_out[RANDOMISATION] = "its network has no weights that could be shuffled"
                return
            found.layers[level] = shuffled.layers
            figures = found.randomised.setdefault(level, Figures())
            figures.add(spearman(np.abs(own.shares), np.abs(values)))


def are_same(one: References, other: References) -> bool:
    """Whether two samples have the same rows with the same weights."""
    return np.array_equal(one.rows, other.rows) and np.array_equal(one.weights, other.weights)


def has_texts(sidecar: Sidecar) -> bool:
    """Whether a bundle's rows hold embeddings of tokens."""
    return any(kind_of(each) == "text" for each in sidecar.inputs)
