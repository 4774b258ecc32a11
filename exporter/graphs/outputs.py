"""The scores among what a network gives: a tensor, a tuple, a dictionary or an object with tensors."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, final

import torch
from torch import Tensor, nn

from whyport.runtime.errors import ExportError, UsageError, unknown
from whyport.runtime.task import Task

LOGITS = "logits"
"""The name under which most libraries return scores, whatever the task."""


@final
@dataclass(frozen=True)
class Place:
    """The place of one tensor in what a network gives."""

    name: str | None = None
    """The key, attribute or position as text; None where the network gives the tensor itself."""

    def of(self, given: Any) -> Any:
        """The value at this place of a tensor, a mapping, a sequence or an object."""
        if self.name is None:
            return given
        if isinstance(given, Mapping):
            return next(value for key, value in given.items() if str(key) == self.name)
        if self.name.isdecimal() and isinstance(given, Sequence):
            return given[int(self.name)]
        return getattr(given, self.name)


@final
class Pick(nn.Module):
    """The tensor at one place; it is traced, since TorchScript gives no type to what networks return."""

    def __init__(self, place: Place) -> None:
        super().__init__()
        self.place = place

    def forward(self, given: Any) -> Any:
        """What a network gives to one tensor of it."""
        return self.place.of(given)


def find_scores(given: object, task: type[Task], output: str | None) -> Place:
    """The place of the scores.

    Args:
        given: what the network gives.
        task: what the scores are.
        output: the key, attribute or position that the user names; None where the place should be plain.

    Raises:
        UsageError: nothing of that name is there. ExportError: the place is not plain.
    """
    if isinstance(given, Tensor):
        if output is not None:
            raise UsageError(f"--output {output}: the network gives one tensor, which needs no name")
        return Place()
    values = _values(given)
    tensors = {name: value for name, value in values.items() if isinstance(value, Tensor)}
    if output is not None:
        if output not in tensors and not (output.isdecimal() and isinstance(given, Sequence)):
            raise UsageError(f"--output: {unknown('output of the network', output, tensors)}")
        if output in tensors or int(output) < len(values):
            return Place(output)
        raise UsageError(f"--output {output}: the network gives {len(values)} values, counted from 0")
    for name in (task.score, LOGITS):
        if name in tensors:
            return Place(name)
    fitting = [name for name, tensor in tensors.items() if tensor.ndim in (1, 2) and tensor.dtype == torch.float32]
    if len(fitting) == 1:
        return Place(fitting[0])
    has = ", ".join(f"{name} {list(tensor.shape)}" for name, tensor in tensors.items()) if tensors else "no tensor"
    raise ExportError(
        f"the network gives {describe(given)} with {has}: expected one of the name {task.score!r}, or only one of "
        f"shape [N, {task.targets_title}] float32; --output NAME says which holds the {task.score}"
    )


def describe(value: object) -> str:
    """The kind of a value in words."""
    return f"a tensor of shape {list(value.shape)}" if isinstance(value, Tensor) else type(value).__name__


def _values(given: object) -> dict[str, Any]:
    """What an object, a mapping or a sequence holds, by name; the named fields of a tuple rather than its positions."""
    if isinstance(given, Mapping):
        return {str(key): value for key, value in given.items()}
    if isinstance(given, Sequence) and not isinstance(given, str):
        names = getattr(given, "_fields", range(len(given)))
        return {str(name): value for name, value in zip(names, given, strict=True)}
    if dataclasses.is_dataclass(given) and not isinstance(given, type):
        return {field.name: getattr(given, field.name) for field in dataclasses.fields(given)}
    return dict(getattr(given, "__dict__", {}))
