"""The interface of a model for the explainers, whichever engine runs it: scores, cells, and gradients by cell."""

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.players import Groups, PlayerMap
from whyport.runtime.bundle.folder import Bundle

Gradients = tuple[NDArray[np.float32], NDArray[np.float64]]
"""The gradient of one score of each row with respect to its cells, [N, P], and the score itself, [N]."""


class Model(ABC):
    """A bundle's model on one engine.

    A row [F] holds a number for each column of the table, and of a category its code. What a gradient is taken with
    respect to are the row's cells [P]: the numbers, and what each code is encoded into. Without categories, the cells
    are the row.

    Args:
        bundle: the model's bundle.
    """

    engine: str
    """The engine's name, as a message has it."""

    def __init__(self, bundle: Bundle) -> None:
        self.bundle = bundle
        self._players: dict[tuple[Any, ...], PlayerMap] = {}

    def players(self, groups: Groups, per: str) -> PlayerMap:
        """The players of explanations, made once; see `PlayerMap.of`."""
        key = (per, *((name, tuple(members)) for name, members in groups.items()))
        if key not in self._players:
            self._players[key] = PlayerMap.of(self.bundle.sidecar, groups, per)
        return self._players[key]

    @abstractmethod
    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The scores of every target, [N, K], of rows [N, F]."""

    def cells(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The cells [N, P] of rows [N, F]: the rows themselves, unless an engine encodes categories."""
        return rows

    @abstractmethod
    def gradients(self, cells: NDArray[np.float32], targets: NDArray[np.int64]) -> Gradients:
        """The gradients of the scores of `targets` [N] at cells [N, P], and these scores."""
