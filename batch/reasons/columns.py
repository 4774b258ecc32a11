"""The columns of reasons in a run's output: a text, and perhaps a code, by rank."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from whyport.batch.reasons.choice import ReasonChoice
from whyport.batch.reasons.rule import NONE, ReasonRule, Reasons

TEXT, CODE = "reason_", "reason_code_"


@dataclass(frozen=True)
class ReasonColumns:
    """The columns of the reasons of a run; none where it writes no reasons."""

    choice: ReasonChoice | None = None

    @property
    def names(self) -> list[str]:
        """The names of the texts' columns, the strongest reason first."""
        return [] if self.choice is None else [f"{TEXT}{rank}" for rank in range(1, self.choice.count + 1)]

    @property
    def code_names(self) -> list[str]:
        """The names of the codes' columns; none where no wording has a code."""
        if self.choice is None or not self.choice.has_codes:
            return []
        return [f"{CODE}{rank}" for rank in range(1, self.choice.count + 1)]

    @property
    def fields(self) -> list[pa.Field]:
        """The columns, null where a row has no more reasons."""
        return [pa.field(name, pa.string()) for name in (*self.names, *self.code_names)]

    def arrays(self, rule: ReasonRule, reasons: Reasons) -> list[pa.Array]:
        """The arrays of `fields`, for the rows that are explained."""
        texts = pa.array([text for text, _ in rule.texts], pa.string())
        codes = pa.array([code for _, code in rule.texts], pa.string())
        found = [_taken(texts, column) for column in reasons.texts.T]
        return found + ([_taken(codes, column) for column in reasons.texts.T] if self.code_names else [])


def _taken(texts: pa.Array, places: np.ndarray) -> pa.Array:
    return texts.take(pa.array(np.where(places == NONE, 0, places), mask=places == NONE))
