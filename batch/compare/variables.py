"""The variables that are compared: predictions, inputs and shares, and some rows' values of them."""

from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

PREDICTIONS, INPUTS, ATTRIBUTIONS = "predictions", "inputs", "attributions"
"""The kinds of variable."""


class Group(NamedTuple):
    """Variables that belong together: predictions, inputs, or the shares of one explanation."""

    kind: str
    method: str = ""
    """The method of an explanation."""
    target: str = ""
    """The target that every row is explained for, or its rank; empty where it differs by row."""

    @property
    def title(self) -> str:
        """The group in words."""
        return self.kind if not self.method else f"{self.method}, {self.target}" if self.target else self.method


class Variable(NamedTuple):
    """One column of numbers or categories."""

    group: Group
    name: str


Block: TypeAlias = tuple[Variable, ...]
"""Variables of numbers of which the same rows are drawn."""


VALUES_AT_ONCE = 1 << 21
"""Values that are read at once, over all columns."""
WHOLE_ROWS = 1 << 17
"""So many rows are looked at as a whole."""


@dataclass
class Chunk:
    """Some rows' values of the variables."""

    numbers: dict[Variable, NDArray[np.float32]] = field(default_factory=dict)
    """The values of each variable of numbers; NaN where one is missing."""
    categories: dict[Variable, pa.Array] = field(default_factory=dict)
    """The values of each variable of categories."""
    keys: dict[Block, NDArray[np.float64]] = field(default_factory=dict)
    """A number in [0, 1) for each value of the variables, which decides whether it is drawn."""
    rows: dict[Group, int] = field(default_factory=dict)
    """The number of explained rows."""


@dataclass(frozen=True)
class Task:
    """Some rows of a run that are read together: a part, or a range of an input."""

    index: int
    """The input's index among all inputs."""
    start: int
    stop: int
    what: Any = None
    """The part's span."""


def sampled(tasks: list[Task], places: int, rows: int) -> tuple[list[Task], int | None]:
    """The tasks that are looked at before all rows are counted, and the rows of each; None for all of them.

    Args:
        tasks: all tasks.
        places: the number of tasks to look at, evenly spaced.
        rows: the rows of each.
    """
    if sum(task.stop - task.start for task in tasks) <= WHOLE_ROWS:
        return tasks, None
    chosen = np.unique(np.linspace(0, len(tasks) - 1, places).astype(int))
    return [tasks[i] for i in chosen], rows
