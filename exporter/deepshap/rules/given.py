"""Values that are given: the same in every row and reference of a call, so that no difference passes through them.

A sequence's length is one, with all that a network computes of lengths alone: masks, counts, last positions. Such a
value is computed once a call, of the first row, by the network's own operators in their own types.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from whyport.exporter.deepshap.rules.choice import FARTHEST
from whyport.exporter.deepshap.rules.registry import Active, Call
from whyport.exporter.deepshap.rules.rule import Pair, Rule

aten = torch.ops.aten

_TRUTHS: dict[Any, tuple[int, Any]] = {
    aten.mul.Tensor: (2, torch.logical_and),
    aten.maximum.default: (2, torch.logical_or),
    aten.amax.default: (1, torch.any),
    aten.amin.default: (1, torch.all),
}
"""How many operands an operator has, and what it is of truths, for which portable graphs lack it."""


class GivenRule(Rule):
    """A rule without players."""

    propagates = False

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        raise AssertionError("nothing is propagated through a given value")


class Given(GivenRule):
    """Any operator of given values and constants, of the first row alone: its outputs have no batch in front.

    Args:
        call: the operator.
        arguments: its own and its named ones; `Active` for what a step makes.
    """

    unit: Tensor

    def __init__(self, call: Call, arguments: tuple[Any, dict[str, Any]]) -> None:
        super().__init__()
        leaves, self.structure = pytree.tree_flatten(arguments)
        if _is_dynamic(call.operator, leaves):
            call.refuse(" where a size depends on the row's number of steps")
        # Where a view needs memory of some layout, the program's may have another.
        self.operator: Any = torch.reshape if call.operator is aten.view.default else call.operator
        self.leaves: list[Any] = []
        for i, leaf in enumerate(leaves):
            if isinstance(leaf, Tensor):
                self.register_buffer(f"constant_{i}", leaf.clone())
            self.leaves.append(None if isinstance(leaf, Tensor) else leaf)
        self.constants = [i for i, leaf in enumerate(leaves) if isinstance(leaf, Tensor)]
        self.register_buffer("unit", torch.ones(()))

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        waiting = iter(inputs)
        leaves = [_first(next(waiting), leaf) if isinstance(leaf, Active) else leaf for leaf in self.leaves]
        for i in self.constants:
            leaves[i] = self.get_buffer(f"constant_{i}")
        args, kwargs = pytree.tree_unflatten(leaves, self.structure)
        # The network was traced on one device; the program goes on where its row is.
        kwargs = {name: value for name, value in kwargs.items() if name not in ("device", "pin_memory")}
        operator = self.operator
        operands, of_truths = _TRUTHS.get(operator, (0, operator))
        if all(isinstance(each, Tensor) and each.dtype == torch.bool for each in args[:operands]):
            operator = of_truths
        outputs = pytree.tree_leaves(operator(*args, **kwargs))
        # What the operator makes in a precision of its own goes on in the program's.
        return [output.type_as(self.unit) if output.is_floating_point() else output for output in outputs]

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return self.activate([torch.nan_to_num(x) if x.is_floating_point() else x for x in inputs])


class Repeated(GivenRule):
    """A given value as numbers in every row, [N, *shape]; the other input is the cells, which says how many there are.

    What is infinite, as masks of attention are, becomes a finite number, so that its difference is one too.
    """

    unit: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("unit", torch.ones(()))

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        value, cells = inputs
        numbers = value.clamp(-FARTHEST, FARTHEST) if value.is_floating_point() else value.type_as(self.unit)
        return [numbers.unsqueeze(0).expand(cells.shape[0], *value.shape)]

    def probe(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        value, cells = inputs
        return [torch.nan_to_num(self.activate([value, cells])[0])]


def _is_dynamic(operator: Any, arguments: Sequence[Any]) -> bool:
    """Whether an operator gives tensors of sizes, or numbers, that a program does not know beforehand."""
    tags = getattr(operator, "tags", ())
    if operator is aten.index.Tensor:  # by truths, it gives as many elements as these are
        return any(isinstance(each, Active) and each.dtype == torch.bool for each in arguments[1:])
    return torch.Tag.dynamic_output_shape in tags or torch.Tag.data_dependent_output in tags


def _first(value: Tensor, source: Active) -> Tensor:
    """The first row's value, in the network's own type."""
    if source.given:
        return value
    first = value.select(0, 0)
    if source.dtype.is_floating_point:
        return first
    return first != 0 if source.dtype == torch.bool else first.to(source.dtype)
