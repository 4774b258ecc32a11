"""Shapley values from forward passes only: exact where every coalition fits the cap, else with a standard error."""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.batch.methods.shapley.coalitions import Coalitions
from whyport.batch.methods.shapley.walks import Moments, WalkedModel, Walks
from whyport.runtime.attribution import within_rounding
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import UsageError

ENUMERATED_PLAYERS = 12
"""The most players for which every coalition is evaluated, whatever the cap: all of them are held at once."""

FIRST_PAIRS = 32
"""Pairs of permutations before a row may have converged: with fewer, the standard error is too uncertain."""

# The factor by which the number of pairs grows between two checks of the standard errors.
GROWTH = 1.4

CONTROL_PAIRS = 16
"""Pairs of permutations that explain the references themselves."""

# Numbers of the random streams.
OF_ROWS, OF_REFERENCES = 0, 1


class Shapley(Explainer):
    """The mean over permutations and references of a player's effect as it takes the row's values; Shapley 1953.

    A walk from reference r to row x sums to f(x) - f(r). The shares g(r), which explain r itself against the whole
    background, are added. They sum to f(r) - mean f, and their mean over the references is 0. Therefore:

    - the shares remain unbiased;
    - the shares of every sample sum to f(x) - mean f;
    - for an additive model, the shares do not depend on r.

    All rows share the walks, and no row's number of walks depends on another row.
    """

    plays = True

    def __init__(self, model: OnnxModel, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        assert self.references is not None
        scores = model.scores(self.references.rows)
        self._base_values = self.references.weights @ scores.astype(np.float64)
        self._coalitions: Coalitions | None = None
        if self._is_enumerated(len(background.rows)):
            self._coalitions = Coalitions(model, self.references, self.players, self._base_values)
            return
        self._check_walks()
        self._walked = WalkedModel(model, self.references, scores, self.players, settings.memory // 2)
        # A single reference is its own background: there is nothing to add.
        self._control = self._explain_references(scores) if len(scores) > 1 else None

    def choose_references(self, background: References) -> References:
        return background

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"standard_error": (len(self.players),)}

    def attribute(self, request: Request) -> Shares:
        output = request.output
        if self._coalitions is not None:
            of_rows = self._coalitions.explain(request.rows, request.scores)
            values = of_rows[request.row, request.target].astype(np.float32)
            evaluations = np.full(len(request), self._coalitions.evaluations, dtype=np.int32)
            return Shares(values, output, evaluations, {"standard_error": np.zeros_like(values)})
        target = request.target
        return self._sampled(request, output, self.allowed_error(output, self._base_values[target], target))

    def has_converged(
        self,
        shares: Shares,
        error: NDArray[np.float64],
        score: NDArray[np.float64],
        base_value: NDArray[np.float64],
        target: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Whether the sum is right up to rounding, and no value's standard error exceeds the tolerance."""
        tolerance = self.model.bundle.sidecar.tolerances["completeness"]
        adds_up = error <= within_rounding(tolerance, score, base_value)
        allowed = self.allowed_error(score, base_value, target)
        certain = shares.extras["standard_error"].max(axis=1, initial=0.0) <= allowed
        both: NDArray[np.bool_] = adds_up & certain
        return both

    def _sampled(self, request: Request, output: NDArray[np.float64], allowed: NDArray[np.float64]) -> Shares:
        shape = len(output), len(self.players)
        values, errors = np.empty(shape, dtype=np.float32), np.empty(shape, dtype=np.float32)
        evaluations = np.empty(len(output), dtype=np.int32)
        waiting = np.arange(len(output))
        known: Moments | None = None
        for block, pairs in enumerate(self._blocks()):
            if not len(waiting):
                break
            walks = self._draw(OF_ROWS, block, pairs)
            made = self._walked.moments(request.only(waiting), walks, self._control)
            known = made if known is None else known.join(made)
            error = known.standard_error()
            values[waiting], errors[waiting] = known.mean, error
            evaluations[waiting] = self._passes(known.count)
            more = np.ones(len(waiting), dtype=np.bool_)
            if self.settings.options["permutations"] is None:
                more = ~(error.max(axis=1) <= allowed[waiting])
            waiting, known = waiting[more], Moments(known.count, known.mean[more], known.squares[more])
        return Shares(values, output, evaluations, {"standard_error": errors})

    def _blocks(self) -> Iterator[int]:
        """The number of pairs to draw at a time; at least two in all, for a standard error."""
        given = self.settings.options["permutations"]
        most = given // 2 if given is not None else self.settings.options["max_evaluations"] // self._passes(1)
        drawn = 0
        while drawn < most:
            pairs = min(most, max(FIRST_PAIRS, round(drawn * GROWTH))) - drawn
            # A single pair has no spread.
            pairs = min(most - drawn, max(2, pairs))
            yield pairs
            drawn += pairs

    def _passes(self, pairs: int) -> int:
        """Forward passes per row; the scores at a walk's ends are known."""
        return 2 * (len(self.players) - 1) * pairs

    def _is_enumerated(self, references: int) -> bool:
        options = self.settings.options
        if len(self.players) == 1:  # a walk is one step: nothing to draw
            return True
        if len(self.players) > ENUMERATED_PLAYERS or options["permutations"] is not None:
            return False
        most: int = options["max_evaluations"]
        return ((1 << len(self.players)) - 2) * references <= most

    def _check_walks(self) -> None:
        """Raise UsageError where the cap does not hold the two pairs that a standard error needs."""
        options, fewest = self.settings.options, self._passes(2)
        if options["permutations"] is None and options["max_evaluations"] < fewest:
            raise UsageError(
                f"max_evaluations: expected at least {fewest} for shapley, two pairs of walks over {len(self.players)} "
                f"players, got {options['max_evaluations']}"
            )

    def _draw(self, stream: int, block: int, pairs: int) -> Walks:
        assert self.references is not None
        return Walks.draw((self.settings.seed, stream, block), pairs, len(self.players), self.references.weights)

    def _explain_references(self, scores: NDArray[np.float32]) -> NDArray[np.float32]:
        """The shares g [R, K, G] of every reference in every score, less their mean over the references.

        All references take the same walks. The worth of the sampled starts is therefore the same for all of them, and
        vanishes with the mean. The rest sums to f(r) - mean f.
        """
        assert self.references is not None
        count, targets = scores.shape
        walks = self._draw(OF_REFERENCES, 0, CONTROL_PAIRS)
        request = Request.of_every_target(self.references.rows, scores)
        made = self._walked.moments(request, walks, None)
        shares = made.mean.reshape(count, targets, -1)
        return (shares - np.tensordot(self.references.weights, shares, 1)).astype(np.float32)
