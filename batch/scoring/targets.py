"""The choice of the target that is explained for each row."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.task import Task


@dataclass(frozen=True)
class TargetChoice:
    """The value of --explain-class: `predicted`, `all`, a target's name, or `label:COLUMN`.

    A class that is itself named like one of the words is chosen as `class:NAME`.
    """

    text: str
    fixed: int | None = None
    label: str | None = None

    @classmethod
    def parse(cls, text: str, task: Task) -> Self:
        """Parse the option; raises UsageError for a name that is no target."""
        if text in ("predicted", "all"):
            return cls(text)
        if text.startswith("label:"):
            return cls(text, label=text.removeprefix("label:"))
        name = text.removeprefix("class:")
        if name not in task.targets:
            raise UsageError(unknown(task.target, name, [*task.targets, "predicted", "all", "label:COLUMN"]))
        return cls(text, fixed=task.targets.index(name))

    @property
    def is_all(self) -> bool:
        """Whether every target of every row is explained."""
        return self.text == "all"

    def targets(self, default: NDArray[np.int64], labels: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """The explained target of each row, [N], from the row's default target [N] and its label's target [N]."""
        if self.fixed is not None:
            return np.full_like(default, self.fixed)
        if labels is not None:
            return labels
        return default
