"""Columns of which one value fills several cells of a row: what turns them into numbers."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.row import Source
from whyport.runtime.inputs.encoding import UNSEEN

if TYPE_CHECKING:
    import pyarrow as pa


@dataclass(frozen=True)
class CellsEncoder(ABC):
    """Turns a column of which one value fills several cells into these cells.

    A value that does not fit, or none, is NaN in all its cells; `fault` says why.
    """

    source: Source

    is_number: ClassVar[bool] = False
    is_time: ClassVar[bool] = False
    tells: ClassVar[str] = UNSEEN
    """The fact about the rows that `encode` names: UNSEEN or CUT."""
    rule: ClassVar[str]
    """The fault of a column that `encode` refuses, in words."""

    @abstractmethod
    def encode(self, column: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The numbers of a column's N values, [N, cells]; and the rows to tell of, ascending.

        Raises OtherTypeError where the column holds something else.
        """

    @abstractmethod
    def takes(self, kind: "pa.DataType") -> bool:
        """Whether `encode` takes a column of an Arrow type."""

    @abstractmethod
    def fault(self, value: Any) -> str:
        """The reason why a row's value, or none, cannot be scored, in words."""

    def changed_type(self, kind: "pa.DataType") -> str | None:
        """None: its values have no other type in which they would be unseen."""
        return None

    def _blank(self, rows: int) -> NDArray[np.float64]:
        return np.full((rows, len(self.source.places)), np.nan)
