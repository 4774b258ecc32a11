"""The score that is explained, its targets, and the players that share it."""

from dataclasses import dataclass
from typing import Annotated

from whyport.runtime.bundle.constraints import AtLeastOne, Different, Name, OneOf, Position, Text

CLASSIFICATION, REGRESSION = "classification", "regression"
LOGIT, PROBABILITY, MARGIN, VALUE = "logit", "probability", "margin", "value"


@dataclass(frozen=True)
class Target:
    """One column of the score: a class, or a quantity."""

    name: Text
    unit: Text | None
    """The unit of a quantity; null for a class, and where it is not known."""


@dataclass(frozen=True)
class Score:
    """What the model's score is."""

    task: Annotated[str, OneOf((CLASSIFICATION, REGRESSION))]
    kind: Annotated[str, OneOf((LOGIT, PROBABILITY, MARGIN, VALUE))]
    """The score's unit: a logit, a probability, a margin of boosted trees, or a value in the target's own unit."""
    output: Name
    """The output of model.onnx that is explained, [N, K]."""
    probabilities: Name | None
    """The output of model.onnx with the classes' probabilities, [N, K]; null for a regression."""
    targets: Annotated[tuple[Target, ...], AtLeastOne(), Different("targets")]
    """The K targets: column k of the score is target k's."""

    @property
    def names(self) -> tuple[str, ...]:
        """The targets' names."""
        return tuple(target.name for target in self.targets)


@dataclass(frozen=True)
class Players:
    """Who gets a share of a score."""

    names: Annotated[tuple[Name, ...], Different("players")] | None
    """The players' names; null where every cell is a player without a name of its own."""
    cells: tuple[tuple[Position, ...], ...] | None
    """The positions in the flat row of each player's cells; null where every cell is a player."""
