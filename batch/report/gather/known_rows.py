"""Rows of the inputs that the bundle's training knew: those equal to its reference rows."""

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Sidecar


class KnownRows:
    """Finds the references among rows.

    Args:
        references: rows that were drawn from the training rows.
        sidecar: the bundle's sidecar, which says what replaces a missing value.
    """

    def __init__(self, references: References, sidecar: Sidecar) -> None:
        self._imputation = np.array(sidecar.imputation, dtype=np.float32)
        self._rows = self._comparable(references.rows)
        self._places = {row.tobytes(): i for i, row in enumerate(self._rows)}
        self._found: set[int] = set()
        self.total = len(self._places)
        """The number of references that differ."""

    @property
    def found(self) -> int:
        """The number of these that have an equal row among those looked at."""
        return len(self._found)

    def add(self, rows: NDArray[np.floating]) -> None:
        """Look at rows [N, F], NaN where a value is missing."""
        with np.errstate(over="ignore"):
            looked = self._comparable(rows.astype(np.float32))
        # Few rows share a value of one feature with a reference, fewer of the next.
        for j in range(looked.shape[1]):
            if len(looked) <= len(self._rows):
                break
            looked = looked[np.isin(looked[:, j], self._rows[:, j])]
        self._found |= {self._places[key] for key in map(np.ndarray.tobytes, looked) if key in self._places}

    def _comparable(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows with one number for each value, whatever its bits: -0 is 0, and infinity a missing one."""
        imputed = np.where(np.isnan(rows), self._imputation, rows + np.float32(0))
        return np.where(np.isnan(imputed), np.float32(np.inf), imputed)
