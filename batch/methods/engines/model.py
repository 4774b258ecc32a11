"""The interface of a model for the explainers, whichever engine runs it: scores, and gradients of one score per row."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.folder import Bundle

Gradients = tuple[NDArray[np.float32], NDArray[np.float64]]
"""The gradient of one score of each row with respect to its raw values, [N, F], and the score itself, [N]."""


class Model(ABC):
    """A bundle's model on one engine.

    Args:
        bundle: the model's bundle.
    """

    engine: str
    """The engine's name, as a message has it."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle

    @abstractmethod
    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores of every target, [N, K], of rows [N, F]."""

    @abstractmethod
    def gradients(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Gradients:
        """The gradients of the scores of `targets` [N] at rows [N, F], and these scores."""
