"""What every architecture has."""

from abc import ABC
from collections.abc import Sequence
from typing import Any, ClassVar, TypeAlias

from torch import nn

from whyport.runtime.errors import TrainingError

Shapes: TypeAlias = Sequence[tuple[int, ...]]
"""The shape of a row of each input: [steps, features] of a sequence, [columns] of a table."""


class Architecture(nn.Module, ABC):
    """A network from standardised features [N, F] float32 to scores [N, K], or to scores and attention [N, L, L].

    Its constructor takes `features`, `targets` and settings with defaults, typed as their defaults; one that tells the
    steps of sequences apart takes `shapes` too, by name. Its last step is
    `output`, which a regression replaces after the training to give scores in the targets' units. With the methods
    `features(rows)`, feature maps [N, channels, positions], and `classify(maps)`, the rest of `forward`, it serves
    Grad-CAM.
    """

    minimum_features: ClassVar[int] = 1
    """The fewest columns of a table, or steps of a sequence."""
    reads_shapes: ClassVar[bool] = False
    """Whether it takes the shapes of its inputs; otherwise every cell of a row is a feature of its own."""

    def __init__(self, **settings: Any) -> None:
        super().__init__()
        self.output: nn.Module = nn.Identity()

    def caveat(self, *, encodes: bool = False) -> str:
        """What a user of this network should know about its explanations; empty if there is nothing.

        Args:
            encodes: whether its inputs are cells of encoded categories, not columns.
        """
        return ""


def require_positive(**settings: float) -> None:
    """Raise TrainingError for the first setting that is not above 0."""
    for name, value in settings.items():
        if not value > 0:
            raise TrainingError(f"setting {name!r}: expected more than 0, got {value}")
