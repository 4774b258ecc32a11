"""A compiled and verified model, which is not put together as a bundle yet."""

from dataclasses import dataclass

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.reasons.compile import Reasons
from whyport.exporter.verify.tolerances import Parity


@dataclass(frozen=True)
class Made:
    """A model with all that gives its reasons; of rows of varying length, in one bucket."""

    draft: Draft
    compiled: Compiled
    reasons: Reasons
    parity: Parity
