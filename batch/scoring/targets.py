"""Which class of each row is explained."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import UsageError, unknown


@dataclass(frozen=True)
class ClassChoice:
    """The value of --explain-class: `predicted`, `all`, a class's name, or `label:COLUMN`.

    A class that is itself named like one of the words is chosen as `class:NAME`.
    """

    text: str
    fixed: int | None = None
    label: str | None = None

    @classmethod
    def parse(cls, text: str, classes: Sequence[str]) -> Self:
        """Understand the option; UsageError for a name that is no class."""
        if text in ("predicted", "all"):
            return cls(text)
        if text.startswith("label:"):
            return cls(text, label=text.removeprefix("label:"))
        name = text.removeprefix("class:")
        if name not in classes:
            raise UsageError(unknown("class", name, [*classes, "predicted", "all", "label:COLUMN"]))
        return cls(text, fixed=list(classes).index(name))

    @property
    def is_all(self) -> bool:
        """Whether every class of every row is explained."""
        return self.text == "all"

    def targets(self, predicted: NDArray[np.int64], labels: NDArray[np.int64] | None) -> NDArray[np.int64]:
        """The explained class of each row, [N]."""
        if self.fixed is not None:
            return np.full_like(predicted, self.fixed)
        if labels is not None:
            return labels
        return predicted
