"""The choice of the targets that are explained for each row."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.options import split_names
from whyport.runtime.task import Task

PREDICTED, ALL, TOP, LABEL = "predicted", "all", "top:", "label:"
"""The words of `--explain-target`, and how its other forms begin."""


@dataclass(frozen=True)
class TargetChoice:
    """The value of --explain-target: `predicted`, `all`, one or several targets' names, `top:K`, or `label:COLUMN`.

    A target that is itself named like one of the words is chosen as `target:NAME`, or as before as `class:NAME`.
    """

    text: str
    fixed: tuple[int, ...] = ()
    """The targets that are the same for every row; empty where they differ."""
    columns: tuple[tuple[str | None, str], ...] = ((None, ""),)
    """By explanation of a row: its target's name, None where it differs by row, and how its columns' names end."""
    label: str | None = None

    @classmethod
    def parse(cls, text: str | None, task: Task) -> Self:
        """Parse the option, None for the task's own default; raises UsageError for a name that is no target."""
        text = task.explains if text is None else text
        targets = task.targets
        words = [*([PREDICTED] if task.predicts_targets else []), ALL, f"{TOP}K", f"{LABEL}COLUMN"]
        if text == PREDICTED:
            if not task.predicts_targets:
                raise UsageError(
                    f"--explain-target predicted: a {task.name} predicts no {task.target}; expected "
                    f"{' or '.join([*map(repr, targets), *words])}"
                )
            return cls(text)
        if text.startswith(TOP):
            count = text.removeprefix(TOP)
            if not (count.isascii() and count.isdecimal() and 0 < int(count) <= len(targets)):
                raise UsageError(
                    f"--explain-target {text}: expected a number from 1 to {len(targets)}, the {task.targets_title}"
                )
            return cls(text, columns=tuple((None, f".{rank}") for rank in range(1, int(count) + 1)))
        if text.startswith(LABEL):
            return cls(text, label=text.removeprefix(LABEL))
        if text == ALL:
            return cls(text, tuple(range(len(targets))), _by_name(targets))
        whole = _bare(text, targets)
        names = [whole] if whole in targets else [_bare(name, targets) for name in split_names((text,))]
        for name in names or [text]:
            if name not in targets:
                raise UsageError(unknown(task.target, name, [*targets, *words]))
        if len(set(names)) < len(names):
            raise UsageError(f"--explain-target {text}: expected {task.targets_title} that differ")
        fixed = tuple(map(targets.index, names))
        return cls(text, fixed) if len(names) == 1 else cls(text, fixed, _by_name(names))

    @property
    def targets_by_name(self) -> tuple[str, ...]:
        """The targets whose names the columns have, where every row is explained for each; otherwise empty."""
        return tuple(target for target, _ in self.columns if target is not None)

    def targets(
        self, default: NDArray[np.int64], labels: NDArray[np.int64] | None, scores: NDArray[np.float32]
    ) -> NDArray[np.int64]:
        """The explained targets of each row, [N, E] for E explanations.

        Args:
            default: the rows' default targets, [N].
            labels: the targets that their labels name, [N]; None without labels.
            scores: their scores, [N, K].
        """
        if self.fixed:
            return np.tile(np.array(self.fixed, dtype=np.int64), (len(default), 1))
        if self.text.startswith(TOP):
            order = np.argsort(-scores, axis=1, kind="stable")
            return np.ascontiguousarray(order[:, : len(self.columns)])
        return (default if labels is None else labels)[:, None]


def written(choice: str | Iterable[str] | None) -> str | None:
    """The option's text, from such a text, or from several targets' names."""
    if choice is None or isinstance(choice, str):
        return choice
    return ",".join('"{}"'.format(name.replace('"', '""')) for name in choice)


def _by_name(names: tuple[str, ...] | list[str]) -> tuple[tuple[str | None, str], ...]:
    return tuple((name, f".{name}") for name in names)


def _bare(name: str, targets: tuple[str, ...]) -> str:
    """The target that a name means: itself, or what follows `target:` or `class:`."""
    if name in targets:
        return name
    return name.removeprefix("target:" if name.startswith("target:") else "class:")
