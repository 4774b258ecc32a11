"""What every explanation method is: (rows, targets) -> Attribution."""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from batch.explainers.background import Background
from batch.explainers.memory import rows_within
from batch.explainers.model import Model
from batch.explainers.settings import ExplainSettings
from runtime.attribution import Attribution
from runtime.batching import batch_slices


@dataclass(frozen=True)
class Shares:
    """What a method computes for N rows of F features, before anything is measured."""

    values: NDArray[np.float32]
    """[N, F]"""
    output: NDArray[np.float64]
    """[N]: the target's logit, as the method's own engine gives it."""
    evaluations: NDArray[np.int32]
    """[N]: gradient evaluations a row."""


class Explainer(ABC):
    """Gives the reasons for one output of each row.

    Args:
        model: the bundle's model on one engine.
        background: the bundle's reference sample.
        settings: the methods' options.
    """

    def __init__(self, model: Model, background: Background, settings: ExplainSettings) -> None:
        self.model = model
        self.settings = settings
        self.references = self.choose_references(background)
        self._base_values = None if self.references is None else self.references.mean_of(model.logits)

    @abstractmethod
    def choose_references(self, background: Background) -> Background | None:
        """The rows whose mean score is the base value; None where the method measures against nothing."""

    @abstractmethod
    def attribute(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Shares:
        """The shares of finite raw values `rows` [N, F] in the logit of class `targets` [N]."""

    def row_bytes(self) -> int:
        """What `attribute` holds for a row at the most: the shares in every class and a few rows more, in float64."""
        sidecar = self.model.bundle.sidecar
        return 8 * (len(sidecar.classes) + 3) * len(sidecar.features)

    def explain(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Attribution:
        """Explain the logit of class `targets` [N] for finite raw values `rows` [N, F]."""
        values = np.empty(rows.shape, dtype=np.float32)
        output = np.empty(len(rows))
        evaluations = np.empty(len(rows), dtype=np.int32)
        for part in batch_slices(len(rows), rows_within(self.settings.memory, self.row_bytes())):
            made = self.attribute(rows[part], targets[part])
            values[part], output[part], evaluations[part] = made.values, made.output, made.evaluations
        shares = Shares(values, output, evaluations)
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
            return Attribution(shares.values, output, nothing, target, nothing, shares.evaluations, None)
        difference = output - base_value
        error = np.abs(shares.values.sum(axis=1, dtype=np.float64) - difference)
        converged = error <= self.allowed_error(difference)
        return Attribution(shares.values, output, base_value, target, error, shares.evaluations, converged)
