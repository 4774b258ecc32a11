"""What the explainers need of a model, whichever engine runs it: scores, and gradients of one output per row."""

from abc import ABC, abstractmethod

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.folder import Bundle

Answer = tuple[NDArray[np.float32], NDArray[np.float64]]


class Model(ABC):
    """A bundle's model on one engine.

    Args:
        bundle: the model's bundle.
    """

    engine: str
    """The engine's name, as a message has it."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._known: tuple[NDArray[np.float32], NDArray[np.float32]] | None = None
        self._last: tuple[NDArray[np.float32], NDArray[np.int64], Answer] | None = None

    @abstractmethod
    def logits(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The logits [N, C] of rows [N, F]."""

    @abstractmethod
    def gradients(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Answer:
        """The gradient [N, F] of the target's logit with respect to the raw values, and the logit itself [N]."""

    def remember(self, rows: NDArray[np.float32], logits: NDArray[np.float32]) -> None:
        """Take note of what model.onnx has said, [N, C], of the rows that are to be explained, [N, F]."""
        self._known = rows.copy(), logits

    def logits_of_rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """As `logits`, for the rows that are explained: what is remembered of them is not computed again."""
        if self._known is None or not np.array_equal(self._known[0], rows):
            self._known = rows.copy(), self.logits(rows)
        return self._known[1]

    def scores(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.float64]:
        """The target's logit of each row, [N], from rows [N, F] and targets [N]."""
        return np.take_along_axis(self.logits(rows), targets[:, None], axis=1)[:, 0].astype(np.float64)

    def gradients_of_rows(self, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> Answer:
        """As `gradients`, for the rows that are explained: the last answer is kept, as every method asks for it."""
        known = self._last
        if known is None or not (np.array_equal(known[0], rows) and np.array_equal(known[1], targets)):
            known = self._last = rows.copy(), targets.copy(), self.gradients(rows, targets)
        return known[2]
