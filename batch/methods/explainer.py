"""The interface of every explanation method: a request in, shares of the explained scores out."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from importlib import import_module
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import METHODS, engine_of
from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.method import TORCHSCRIPT
from whyport.batch.methods.request import Request
from whyport.batch.methods.scale import score_scale
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.attribution import Attribution, completeness_errors, within_rounding
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.columns import LENGTH
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import task_of

# Values of the rows that one call of the model takes.
CALL_VALUES = 1 << 21


def rows_within(memory: int, row_bytes: int) -> int:
    """The number of rows that the memory budget holds; at least one.

    Args:
        memory: the budget, in bytes.
        row_bytes: the most that a row needs, in bytes.
    """
    return max(1, memory // row_bytes)


@dataclass(frozen=True)
class Shares:
    """The result of a method for E explanations over G players, before anything is measured."""

    values: NDArray[np.float32]
    """[E, G]"""
    output: NDArray[np.float64]
    """[E]: the explained score, as the method's own engine gives it."""
    evaluations: NDArray[np.int32]
    """[E]: gradients, or forward passes, per row."""
    extras: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """[E, ...] by name: the method's extra columns."""

    def without_infinities(self) -> "Shares":
        """The same, with NaN in all values and extras of an explanation of which one is not finite.

        The other values would be the shares of a sum that does not exist.
        """
        finite = np.isfinite(self.values).all(axis=1)
        for values in self.extras.values():
            finite &= np.isfinite(values).all(axis=tuple(range(1, values.ndim)))
        if finite.all():
            return self
        values, *extras = (
            np.where(finite.reshape(-1, *[1] * (array.ndim - 1)), array, np.nan).astype(np.float32)
            for array in (self.values, *self.extras.values())
        )
        named = dict(zip(self.extras, extras, strict=True))
        return Shares(values, self.output, self.evaluations, named)


class Explainer(ABC):
    """Explains scores of rows.

    Args:
        model: the bundle's model on one engine.
        background: the bundle's reference sample.
        settings: the method's options.
    """

    only_rounds: ClassVar[bool] = False
    """Whether nothing but rounding separates the shares from their sum; the options for tolerance then do not apply."""

    plays: ClassVar[bool] = False
    """Whether it asks for scores with players there or not: a group's share is then not the sum of its members'."""

    def __init__(self, model: Model, background: References, settings: MethodSettings) -> None:
        self.model = model
        self.settings = settings
        self._background = background
        self.references = self.choose_references(background)
        idle = self._idle(background)
        players = settings.row_players
        if players is None:
            players = model.players(settings.players, settings.per)
        self.players = players.without(idle)
        self.is_idle = bool(idle.all())
        """Whether rows have nothing that can have a share."""

    @property
    def background(self) -> References:
        """The reference sample that it was made with."""
        return self._background

    @property
    def scored_by(self) -> str:
        """What computed the score that its shares are of, as a message has it."""
        return self.model.engine

    @abstractmethod
    def choose_references(self, background: References) -> References | None:
        """The rows whose mean score is the base value; None for a method that measures against none."""

    @abstractmethod
    def attribute(self, request: Request) -> Shares:
        """The shares of each player in the requested scores."""

    def _idle(self, background: References) -> NDArray[np.bool_]:
        """The features, [F], that get no share: rows have them alike with what the method measures against.

        A method without references is taken to measure against zeros.
        """
        features = self.model.bundle.sidecar.features
        if self.settings.alike is None:
            return np.zeros(len(features), dtype=np.bool_)
        measured = np.zeros((1, len(features))) if self.references is None else self.references.rows
        same = (measured == background.rows[:1]).all(axis=0)
        is_length = np.array([feature.kind == LENGTH for feature in features])
        idle: NDArray[np.bool_] = self.settings.alike & (same | is_length)
        return idle

    def base_values(self, mean_of: Callable[[References], NDArray[np.float64]]) -> NDArray[np.float64] | None:
        """What the score of every target is measured against, [K]; None for a method that measures against nothing.

        Args:
            mean_of: gives the mean score of every target over references, [K].
        """
        return None if self.references is None else mean_of(self.references)

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the extra columns that `attribute` gives, for one explanation, by name."""
        return {}

    def row_bytes(self) -> int:
        """The most bytes that `attribute` holds for one explanation: all targets' shares and a few rows, in float64."""
        sidecar = self.model.bundle.sidecar
        return 8 * (len(sidecar.targets) + 3) * max(sidecar.width, len(sidecar.features))

    def explain(self, request: Request) -> Shares:
        """The shares, computed for as many rows at a time as the memory budget holds.

        Where the model is not finite on the way, an explanation's values are NaN, every one and every extra.
        """
        with np.errstate(invalid="ignore", over="ignore"):
            return self._in_slices(request).without_infinities()

    def _in_slices(self, request: Request) -> Shares:
        rows = rows_within(self.settings.memory, self.row_bytes() * request.width)
        if 0 < len(request.rows) <= rows:
            return self.attribute(request)
        values = np.empty((len(request), len(self.players)), dtype=np.float32)
        output = np.empty(len(request))
        evaluations = np.empty(len(request), dtype=np.int32)
        shapes = self.extra_shapes()
        extras = {name: np.empty((len(request), *shape), dtype=np.float32) for name, shape in shapes.items()}
        start = 0
        for part in batch_slices(len(request.rows), rows):
            some = request.take(part)
            made, inside = self.attribute(some), slice(start, start + len(some))
            values[inside], output[inside], evaluations[inside] = made.values, made.output, made.evaluations
            for name, array in extras.items():
                array[inside] = made.extras[name]
            start = inside.stop
        return Shares(values, output, evaluations, extras)

    def measure(self, shares: Shares, request: Request, base_values: NDArray[np.float64] | None) -> Attribution:
        """The attributions, with how far they are from adding up to the request's scores less their base values.

        Args:
            shares: the result of `explain`.
            request: the request that gave the shares.
            base_values: the base value of every target, [K]; None where the method makes no claim to measure.
        """
        output, target = request.output, request.target
        if base_values is None:
            nothing = np.full(len(output), np.nan)
            return Attribution(shares.values, output, nothing, target, nothing, shares.evaluations, None, shares.extras)
        base_value = base_values[target]
        error = completeness_errors(shares.values, output - base_value)
        converged = self.has_converged(shares, error, output, base_value, target)
        return Attribution(
            shares.values, output, base_value, target, error, shares.evaluations, converged, shares.extras
        )

    @cached_property
    def scale(self) -> NDArray[np.float64]:
        """The scale of each target's score, [K], see `score_scale`."""
        return score_scale(task_of(self.model.bundle.sidecar), self._background, self.model.scores)

    def allowed_error(
        self, score: NDArray[np.float64], base_value: NDArray[np.float64], target: NDArray[np.int64]
    ) -> NDArray[np.float64]:
        """The largest completeness error with which a row has converged, [N], by score, base value and target."""
        if self.only_rounds:
            return within_rounding(self.model.bundle.sidecar.tolerances["completeness"], score, base_value)
        least = self.settings.absolute_tolerance * self.scale[target]
        return np.maximum(self.settings.tolerance * np.abs(score - base_value), least)

    def has_converged(
        self,
        shares: Shares,
        error: NDArray[np.float64],
        score: NDArray[np.float64],
        base_value: NDArray[np.float64],
        target: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Whether each explanation is within the method's tolerance, [E].

        Args:
            shares: the E explanations.
            error: their completeness errors, [E].
            score: the explained scores, [E].
            base_value: what these are measured against, [E].
            target: the explained targets, [E].
        """
        converged: NDArray[np.bool_] = error <= self.allowed_error(score, base_value, target)
        return converged


def explainer_class(name: str, engine: str = TORCHSCRIPT) -> type[Explainer]:
    """The class of a method on the given engine, or on the only one it has; raises what `engine_of` raises."""
    engine = engine_of(name, engine)
    module, attribute = METHODS[name].engines[engine].explainer.split(":")
    found: type[Explainer] = getattr(import_module(module), attribute)
    return found
