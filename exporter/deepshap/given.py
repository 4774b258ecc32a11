"""The steps of a program that make given values, see `rules.given`."""

from collections.abc import Mapping
from math import prod
from typing import Any

import torch
from torch.utils import _pytree as pytree

from whyport.exporter.deepshap.program import Step, Value
from whyport.exporter.deepshap.rules.gathering import Gathering
from whyport.exporter.deepshap.rules.given import Given, Repeated
from whyport.exporter.deepshap.rules.registry import Active, Call

aten = torch.ops.aten

_GATHERS = (aten.index.Tensor, aten.gather.default, aten.index_select.default)
"""Operators that take elements from places."""

MOST_ELEMENTS = 1 << 24
"""Numbers of elements that float32 holds."""


class GivenSteps:
    """Adds the steps of given values to a program's.

    Args:
        steps: those of the program so far; more are appended.
        active: what is known of each of their values.
    """

    def __init__(self, steps: list[Step], active: dict[Value, Active]) -> None:
        self._steps, self._active = steps, active
        self._numbers: dict[Value, Value] = {}

    def add(self, call: Call, args: Any, kwargs: Any, made: Any) -> Value:
        """An operator of given values and constants; `made` has its outputs' shapes and types."""
        leaves = pytree.tree_leaves((args, kwargs))
        inputs = tuple(leaf for leaf in leaves if isinstance(leaf, Value))
        rule = Given(call, pytree.tree_map_only(Value, lambda value: self._active[value], (args, kwargs)))
        self._steps.append(Step(rule, inputs))
        outputs = pytree.tree_leaves(made)
        rule.outputs = len(outputs)
        for i, output in enumerate(outputs):
            self._active[Value(len(self._steps), i)] = Active(tuple(output.shape), output.dtype, given=True)
        return Value(len(self._steps), 0)

    def numbers(self, value: Value) -> Value:
        """What the rules of other steps take in the place of a value: numbers in every row."""
        if not self._active[value].given:
            return value
        if value not in self._numbers:
            self._steps.append(Step(Repeated(), (value, Value(0, 0))))
            self._numbers[value] = Value(len(self._steps), 0)
            self._active[self._numbers[value]] = self._active[value]
        return self._numbers[value]

    def gathers(self, call: Call, args: Any) -> bool:
        """Whether an operator takes elements of an active value from given places."""
        if call.operator not in _GATHERS or not isinstance(args[0], Value):
            return False
        places = [leaf for leaf in pytree.tree_leaves(args[1:]) if isinstance(leaf, Value)]
        return bool(places) and all(self._active[place].given for place in places)

    def gathered(self, call: Call, args: Any, kwargs: Mapping[str, Any]) -> Value:
        """The elements; the operator itself says which, by their numbers.

        Raises:
            UnsupportedOperatorError: of a value with too many elements.
        """
        value, *where = args
        shape = self._active[value].shape
        if prod(shape) > MOST_ELEMENTS:
            call.refuse(f" of a value of {prod(shape)} elements, where the index depends on the row's number of steps")
        elements = torch.arange(prod(shape)).reshape(shape)
        made = torch.empty(call.shape, dtype=torch.int64, device="meta")
        numbers = self.numbers(self.add(call, (elements, *where), kwargs, made))
        self._steps.append(Step(Gathering(shape, call.shape), (value, numbers)))
        return Value(len(self._steps), 0)
