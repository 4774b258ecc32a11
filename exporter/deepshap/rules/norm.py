"""The Euclidean norm."""

from collections.abc import Sequence

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.quotients import ratio
from whyport.exporter.deepshap.rules.registry import Active, Call, rule_for
from whyport.exporter.deepshap.rules.rule import Pair, Rule, only

aten = torch.ops.aten


class EuclideanNorm(Rule):
    """n = sqrt(sum x_i^2), by the rules for squares, sums and roots: the multiplier of x_i is (x_i + x'_i) / (n + n').

    At most 1, and 0 where row and reference are both the zero vector, as PyTorch's derivative is.
    """

    reads_inputs = True
    reads_outputs = (0,)

    def __init__(self, axes: Sequence[int], keep: bool) -> None:
        super().__init__()
        self.axes, self.keep = sorted(axes), keep

    def activate(self, inputs: Sequence[Tensor]) -> list[Tensor]:
        return [torch.linalg.vector_norm(inputs[0], 2, self.axes, self.keep)]

    def propagate(
        self, multipliers: Sequence[Tensor | None], inputs: Sequence[Pair], outputs: Sequence[Pair]
    ) -> list[Tensor]:
        m, (n, of_reference) = self._kept(only(multipliers)), (self._kept(value) for value in outputs[0])
        x, r = inputs[0]
        return [m * ratio(x + r, n + of_reference, 0.0)]

    def _kept(self, value: Tensor) -> Tensor:
        if not self.keep:
            for axis in reversed(self.axes):
                value = value.unsqueeze(axis)
        return value


@rule_for(aten.linalg_vector_norm.default)
def _vector_norm(
    call: Call, x: Active, order: float = 2, axes: Sequence[int] | None = None, keep: bool = False, **_: object
) -> Rule:
    if order != 2:
        call.refuse(f" of order {order}")
    return EuclideanNorm([axis % x.ndim - x.ndim for axis in axes or range(x.ndim)], keep)
