"""From operator to rule."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.rule import Rule, Shape
from whyport.runtime.errors import UnsupportedOperatorError


@dataclass(frozen=True, eq=False)
class Active:
    """An argument that depends on the row; every other tensor is a constant and no player."""

    shape: Shape
    dtype: torch.dtype
    """The network's; the program computes with floating-point numbers throughout, where true is 1 and false is 0."""
    given: bool = False
    """Whether it is the same in every row and reference of a call, see `rules.given`."""

    @property
    def ndim(self) -> int:
        """The number of axes."""
        return len(self.shape)


@dataclass(frozen=True)
class Call:
    """One call of an operator in the graph."""

    operator: Any
    shape: Shape
    """The shape of the first output."""
    dtype: torch.dtype
    """The network's type of the first output."""
    place: str
    """Where it is in the model."""

    def refuse(self, detail: str = "") -> NoReturn:
        """Raise UnsupportedOperatorError."""
        raise UnsupportedOperatorError(f"no DeepSHAP rule for the operator {self.operator}{detail}, {self.place}")


Operand = Active | Tensor
Builder = Callable[..., Rule]

RULES: dict[Any, Builder] = {}
"""Operator -> builder, which takes the call and the operator's own arguments."""


def rule_for(*operators: Any) -> Callable[[Builder], Builder]:
    """Register a builder: called with the `Call` and the operator's own arguments, it returns the rule."""

    def register(builder: Builder) -> Builder:
        for operator in operators:
            RULES[operator] = builder
        return builder

    return register


def constant(call: Call, operand: Any) -> Tensor:
    """A constant operand as a tensor of floating-point numbers; refuses an active one."""
    if isinstance(operand, Active):
        call.refuse(" where this argument depends on the row")
    value = operand if isinstance(operand, Tensor) else torch.tensor(operand, dtype=torch.get_default_dtype())
    return value if value.is_floating_point() else value.to(torch.get_default_dtype())
