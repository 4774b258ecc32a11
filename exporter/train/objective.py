"""The objective of a training: the loss that falls, the measure beside it, and the unit of what the network gives."""

from abc import ABC, abstractmethod
from typing import Any, ClassVar, final

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from whyport.exporter.data.dataset import Dataset
from whyport.exporter.data.outcome import CLASSIFICATION, REGRESSION
from whyport.exporter.graphs.rescale import Rescale
from whyport.exporter.train.settings import AUTO, BALANCED, TrainSettings
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.task import first_largest

CRITERIA: dict[str, type[nn.Module]] = {"mse": nn.MSELoss, "mae": nn.L1Loss, "huber": nn.HuberLoss}
"""The losses of a regression; Huber's changes from squares to absolute values at one standard deviation."""

LOSSES = {CLASSIFICATION: ("cross-entropy",), REGRESSION: tuple(CRITERIA)}
"""The losses of each task, the first one by default."""


class Objective(ABC):
    """The loss of a network's outputs, and the measure that is reported beside it."""

    measure: ClassVar[str]
    """The name of the measure in results.csv."""

    @abstractmethod
    def to(self, device: torch.device) -> None:
        """Move what the loss needs to a device."""

    @abstractmethod
    def encode(self, labels: NDArray[Any]) -> Tensor:
        """The labels of N rows as the loss takes them."""

    @abstractmethod
    def loss(self, outputs: Tensor, expected: Tensor) -> Tensor:
        """The mean loss of the outputs [N, K] of the network, which falls while it trains."""

    @abstractmethod
    def score(self, outputs: Tensor, expected: Tensor) -> float:
        """The measure of the outputs [N, K]: larger is better."""

    def output_module(self) -> nn.Module:
        """The last step of the trained network: from what was trained to scores in their unit."""
        return nn.Identity()


@final
class CrossEntropy(Objective):
    """Cross-entropy of logits, with a weight for each class, and accuracy.

    With "balanced", a class of n of the N training rows weighs N / (C n), as scikit-learn's `class_weight` has it. The
    mean is weighted too.
    """

    measure = "accuracy"

    def __init__(self, dataset: Dataset, settings: TrainSettings) -> None:
        counts = np.bincount(dataset.train.labels, minlength=len(dataset.targets))
        balanced = settings.class_weights == BALANCED
        weights = len(dataset.train.labels) / (len(counts) * counts) if balanced else None
        self.weights = None if weights is None else torch.tensor(weights, dtype=torch.float32)

    def to(self, device: torch.device) -> None:
        self.weights = None if self.weights is None else self.weights.to(device)

    def encode(self, labels: NDArray[Any]) -> Tensor:
        return torch.from_numpy(labels)

    def loss(self, outputs: Tensor, expected: Tensor) -> Tensor:
        return F.cross_entropy(outputs, expected, self.weights)

    def score(self, outputs: Tensor, expected: Tensor) -> float:
        return float((first_largest(outputs) == expected).double().mean())


@final
class Standardised(Objective):
    """A loss of quantities in standard deviations of the training rows, and R².

    The network learns (value - mean) / standard deviation of each target; its last step turns that back. R² is the mean
    over the targets of 1 - (squared error) / (squared distance from the mean of the rows that are measured).
    """

    measure = "r2"

    def __init__(self, dataset: Dataset, settings: TrainSettings) -> None:
        self.mean = dataset.train.labels.mean(axis=0)
        self.scale = dataset.train.labels.std(axis=0)
        self.criterion = CRITERIA[loss_of(dataset, settings)]()

    def to(self, device: torch.device) -> None:
        """Nothing is kept on the device."""

    def encode(self, labels: NDArray[Any]) -> Tensor:
        return torch.from_numpy(((labels - self.mean) / self.scale).astype(np.float32))

    def loss(self, outputs: Tensor, expected: Tensor) -> Tensor:
        loss: Tensor = self.criterion(outputs, expected)
        return loss

    def score(self, outputs: Tensor, expected: Tensor) -> float:
        wide = expected.double()
        distance = ((wide - wide.mean(dim=0)) ** 2).sum(dim=0)
        error = ((outputs.double() - wide) ** 2).sum(dim=0)
        # A single row, or rows of one value, have nothing to explain.
        return float(torch.where(distance > 0, 1 - error / distance, torch.zeros_like(error)).mean())

    def output_module(self) -> nn.Module:
        return Rescale(*(torch.tensor(values, dtype=torch.float32) for values in (self.scale, self.mean)))


def find_objective(dataset: Dataset, settings: TrainSettings) -> Objective:
    """The objective of a task and its settings; raises UsageError for options that the task does not have."""
    task = dataset.outcome.task
    loss_of(dataset, settings)
    if task == CLASSIFICATION:
        return CrossEntropy(dataset, settings)
    if settings.class_weights == BALANCED:
        raise UsageError("--class-weights: a regression has no classes to weigh")
    return Standardised(dataset, settings)


def loss_of(dataset: Dataset, settings: TrainSettings) -> str:
    """The name of the loss; raises UsageError for one that the task does not have."""
    losses = LOSSES[dataset.outcome.task]
    if settings.loss not in (AUTO, *losses):
        raise UsageError(unknown(f"loss of a {dataset.outcome.task}", settings.loss, losses))
    return losses[0] if settings.loss == AUTO else settings.loss
