"""A trained model, whatever it is: compiled, with what it gives for the test rows and what its training leaves."""

from dataclasses import dataclass, field
from typing import Any

from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.verify.tolerances import Parity


@dataclass(frozen=True)
class Trained:
    """A trained model."""

    draft: Draft
    """The draft that it was given, with what the training adds."""
    compiled: Compiled
    outputs: dict[str, NDArray[Any]]
    """Its outputs by name for the test rows, [N, K] each."""
    figures: dict[str, float]
    """Loss and measure after the epoch that is kept; empty where there are no epochs."""
    files: dict[str, bytes]
    """The files that the training itself leaves in the folder training/."""
    native: Parity = field(default_factory=dict)
    """What was measured against the framework that trained it, where that is not PyTorch."""
