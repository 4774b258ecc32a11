"""The table of ONNX operators as PyTorch computes them, filled by the file of each family.

An operand that is constant, or follows from shapes, is a NumPy array or a tuple of sizes where `fixed` names its
position; every other operand is a tensor.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import onnx
from numpy.typing import NDArray
from torch import nn

from whyport.runtime.errors import UnsupportedOperatorError

Sizes = tuple[Any, ...]
"""Whole numbers, of which some follow from the number of rows: a tracer's tensors, where one is at work."""


@dataclass(frozen=True)
class Attributes:
    """The attributes of one node, and where it is."""

    operator: str
    """The operator's type, with its domain where that is not the default one."""
    node: str
    """The node's name, or its first output's."""
    opset: int
    """The version of the default operator set."""
    values: Mapping[str, Any]
    outputs: int = 1
    """How many outputs it has."""

    @classmethod
    def of(cls, node: onnx.NodeProto, opset: int) -> "Attributes":
        """The attributes of a node, texts as such."""
        values = {entry.name: onnx.helper.get_attribute_value(entry) for entry in node.attribute}
        texts = {name: value.decode(errors="replace") for name, value in values.items() if isinstance(value, bytes)}
        return cls(operator_name(node), node.name or node.output[0], opset, values | texts, len(node.output))

    def get(self, name: str, default: Any = None) -> Any:
        """An attribute, or the default."""
        return self.values.get(name, default)

    def allow(self, **defaults: Any) -> None:
        """Refuse each of the attributes that has another value than its default."""
        for name, default in defaults.items():
            if self.get(name, default) != default:
                self.refuse(f"with {name} {self.get(name)!r}")

    def refuse(self, detail: str = "") -> NoReturn:
        """Raise UnsupportedOperatorError with the operator's name."""
        raise UnsupportedOperatorError(
            f"no PyTorch counterpart of the ONNX operator {self.operator}{detail and ' '}{detail}, node {self.node!r}"
        )


Function = Callable[..., Any]
"""Attributes and operands to a tensor, or to a tuple of them."""
LayerBuilder = Callable[[Attributes, list[NDArray[Any] | None]], nn.Module]


@dataclass(frozen=True)
class Operator:
    """An operator of ONNX as PyTorch computes it."""

    function: Function
    fixed: frozenset[int] = frozenset()
    """The positions of operands that stay numbers where they are constant."""


OPERATORS: dict[str, Operator] = {}
"""By the operator's type."""
LAYERS: dict[str, LayerBuilder] = {}
"""By the operator's type: what makes a layer of the operands behind the first, which must be constant."""


def operator(*names: str, fixed: Iterable[int] = ()) -> Callable[[Function], Function]:
    """Register a function for operators: called with the attributes and the operands."""

    def register(function: Function) -> Function:
        OPERATORS.update(dict.fromkeys(names, Operator(function, frozenset(fixed))))
        return function

    return register


def simple(functions: Mapping[str, Function]) -> None:
    """Register functions of the operands alone, for operators without attributes."""
    for name, function in functions.items():
        OPERATORS[name] = Operator(lambda attributes, *operands, function=function: function(*operands))


def operator_name(node: onnx.NodeProto) -> str:
    """The type of a node's operator, with its domain where that is not the default one."""
    return node.op_type if node.domain in ("", "ai.onnx") else f"{node.domain}::{node.op_type}"


def whole_numbers(attributes: Attributes, value: Any) -> list[Any]:
    """A fixed operand as whole numbers; refuses one that depends on the row."""
    if isinstance(value, tuple):
        return list(value)
    if not isinstance(value, np.ndarray):
        attributes.refuse("where a size, an axis or a position depends on the row")
    return [int(number) for number in value.reshape(-1)]


def number(attributes: Attributes, value: Any) -> float:
    """A fixed operand of one element as a number; refuses one that depends on the row."""
    if not isinstance(value, np.ndarray) or value.size != 1:
        attributes.refuse("where a bound or a value depends on the row")
    return float(value.reshape(-1)[0])
