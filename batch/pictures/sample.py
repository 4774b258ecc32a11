"""Some of very many rows, in bounded memory: those with the smallest keys, whatever the batches they came in."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Columns = dict[str, NDArray[Any]]


class SmallestKeys:
    """Keeps the rows with the smallest keys; of equal keys, those that came first.

    With a hash of a row's place as its key (`batch.selection.uniform`), this is a random sample without replacement,
    the same whenever the same rows are offered.

    Args:
        limit: how many rows to keep.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys: list[NDArray[np.float64]] = []
        self._columns: list[Columns] = []
        self._held = 0
        self._bound = np.inf

    def offer(self, keys: NDArray[np.floating[Any]], columns: Columns) -> None:
        """Take what is small enough of some more rows: keys [N], and columns that are N long on their first axis."""
        chosen = np.flatnonzero(keys < self._bound)
        if not len(chosen):
            return
        if len(chosen) > self._limit:
            chosen = np.sort(chosen[np.argsort(keys[chosen], kind="stable")[: self._limit]])
        self._keys.append(keys[chosen].astype(np.float64))
        self._columns.append({name: values[chosen] for name, values in columns.items()})
        self._held += len(chosen)
        if self._held > 2 * self._limit:
            self._prune()

    def rows(self) -> Columns:
        """The columns of the rows that were kept, by their keys; empty where none was offered."""
        if not self._columns:
            return {}
        self._prune()
        order = np.argsort(self._keys[0], kind="stable")
        return {name: values[order] for name, values in self._columns[0].items()}

    def _prune(self) -> None:
        """Forget what is too large; the rows stay in the order they came in."""
        keys = np.concatenate(self._keys)
        kept = np.sort(np.argsort(keys, kind="stable")[: self._limit])
        joined = {name: np.concatenate([part[name] for part in self._columns]) for name in self._columns[0]}
        self._keys = [keys[kept]]
        self._columns = [{name: values[kept] for name, values in joined.items()}]
        self._held = len(kept)
        if len(kept) == self._limit:
            self._bound = float(keys[kept].max())
