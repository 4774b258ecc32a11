"""The facts that a model itself knows, before anything is compiled."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class ModelFacts:
    """The facts that a model itself knows; empty or None where it knows nothing."""

    features: tuple[str, ...] = ()
    """The names of its inputs, in order."""
    width: int | None = None
    """How many inputs it has."""
    task: str | None = None
    """What its outputs mean: a name among `runtime.task.TASKS`."""
    probabilities: bool = True
    """Whether a classifier's probabilities can be its scores, as `--from-probabilities` asks."""
    targets: tuple[str, ...] = ()
    """The names of its classes or quantities, in the order of its scores."""
    takes_missing: frozenset[str] = frozenset()
    """The columns of numbers whose missing values it has a way of its own with."""
    imputed: Mapping[str, float] = field(default_factory=dict)
    """The columns of numbers that the model imputes first of all, each with the number that it puts in."""
    arguments: tuple[str, ...] = ()
    """The names of its arguments, in order, where it takes several inputs by name."""
    categories: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    """The columns of categories, each with the values that the model knows: texts, numbers or booleans."""
