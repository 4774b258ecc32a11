"""What every explanation method is: (rows, targets) -> Attribution."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.settings import ExplainSettings
from whyport.runtime.attribution import Attribution
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References

# Values of the rows that are put together for one call of the model.
CALL_VALUES = 1 << 21


def rows_within(memory: int, row_bytes: int) -> int:
    """As many rows as the budget holds, and always one.

    Args:
        memory: the budget, in bytes.
        row_bytes: what a row needs at the most, in bytes.
    """
    return max(1, memory // row_bytes)


def runs(rows: NDArray[np.float32]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first index of every run of equal consecutive rows, and the run of every row.

    Where every class is explained, each row comes once for every class: one pass explains them all.
    """
    starts = np.ones(len(rows), dtype=np.bool_)
    starts[1:] = (rows[1:] != rows[:-1]).any(axis=1)
    return np.flatnonzero(starts), np.cumsum(starts) - 1


@dataclass(frozen=True)
class Shares:
    """What a method computes for N rows of F features, before anything is measured."""

    values: NDArray[np.float32]
    """[N, F]"""
    output: NDArray[np.float64]
    """[N]: the target's logit, as the method's own engine gives it."""
    evaluations: NDArray[np.int32]
    """[N]: gradients, or forward passes, a row."""
    beside: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    """[N, ...] by name: what the method gives besides."""


class Explainer(ABC):
    """Gives the reasons for one output of each row.

    Args:
        model: the bundle's model on one engine.
        background: the bundle's reference sample.
        settings: the methods' options.
    """

    def __init__(self, model: Model, background: References, settings: ExplainSettings) -> None:
        self.model = model
        self.settings = settings
        self.references = self.choose_references(background)
        self._base_values = None if self.references is None else self.references.mean_of(model.logits)

    @abstractmethod
    def choose_references(self, background: References) -> References | None:
        """The rows whose mean score is the base value; None where the method measures against nothing."""

    @abstractmethod
    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        """The shares of finite raw values `rows` [N, F] in the logit of class `targets` [N]."""

    def beside_shapes(self) -> dict[str, tuple[int, ...]]:
        """The shapes, for a row, of what `attribute` gives besides, by name."""
        return {}

    def row_bytes(self) -> int:
        """What `attribute` holds for a row at the most: the shares in every class and a few rows more, in float64."""
        sidecar = self.model.bundle.sidecar
        return 8 * (len(sidecar.classes) + 3) * len(sidecar.features)

    def explain(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Attribution:
        """Explain the logit of class `targets` [N] for finite raw values `rows` [N, F]."""
        values = np.empty(rows.shape, dtype=np.float32)
        output = np.empty(len(rows))
        evaluations = np.empty(len(rows), dtype=np.int32)
        shapes = self.beside_shapes()
        beside = {name: np.empty((len(rows), *shape), dtype=np.float32) for name, shape in shapes.items()}
        for part in batch_slices(len(rows), rows_within(self.settings.memory, self.row_bytes())):
            made = self.attribute(rows[part], targets[part])
            values[part], output[part], evaluations[part] = made.values, made.output, made.evaluations
            for name, array in beside.items():
                array[part] = made.beside[name]
        shares = Shares(values, output, evaluations, beside)
        base_value = None if self._base_values is None else self._base_values[targets]
        return self.measure(shares, targets, shares.output, base_value)

    def allowed_error(self, difference: NDArray[np.float64]) -> NDArray[np.float64]:
        """The completeness error up to which a row has converged, [N], by its score - base value [N]."""
        return np.maximum(self.settings.tolerance * np.abs(difference), self.settings.absolute_tolerance)

    def measure(
        self,
        shares: Shares | Attribution,
        target: NDArray[np.int64],
        output: NDArray[np.float64],
        base_value: NDArray[np.float64] | None,
    ) -> Attribution:
        """Measure how far shares are from adding up to `output` [N] - `base_value` [N], any engine's, in logits.

        Without base values the method makes no claim, and there is nothing to measure.
        """
        if base_value is None:
            nothing = np.full(len(output), np.nan)
            return Attribution(shares.values, output, nothing, target, nothing, shares.evaluations, None, shares.beside)
        difference = output - base_value
        error = np.abs(shares.values.sum(axis=1, dtype=np.float64) - difference)
        converged = self.has_converged(shares, error, difference)
        return Attribution(
            shares.values, output, base_value, target, error, shares.evaluations, converged, shares.beside
        )

    def has_converged(
        self, shares: Shares | Attribution, error: NDArray[np.float64], difference: NDArray[np.float64]
    ) -> NDArray[np.bool_]:
        """Whether a row is within the method's tolerance, [N], by its completeness error and score - base value [N]."""
        converged: NDArray[np.bool_] = error <= self.allowed_error(difference)
        return converged
