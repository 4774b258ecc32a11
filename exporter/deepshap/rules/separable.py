"""Linear maps of one axis after another: resizing, cumulative sums."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.deepshap.rules.registry import Active, Call, rule_for
from whyport.exporter.deepshap.rules.rule import LinearRule

aten = torch.ops.aten


class Separable(LinearRule):
    """A matrix [I, O] along each of some axes, counted from the last."""

    def __init__(self, axes: Sequence[int], matrices: Sequence[Tensor]) -> None:
        super().__init__()
        self.axes = list(axes)
        for i, matrix in enumerate(matrices):
            self.register_buffer(f"matrix_{i}", matrix.clone())

    def transform(self, x: Tensor) -> Tensor:
        for i, axis in enumerate(self.axes):
            x = _along(x, axis, self.get_buffer(f"matrix_{i}"))
        return x

    def transpose(self, m: Tensor) -> Tensor:
        for i, axis in enumerate(self.axes):
            m = _along(m, axis, self.get_buffer(f"matrix_{i}").T)
        return m


def _along(x: Tensor, axis: int, matrix: Tensor) -> Tensor:
    return x @ matrix if axis == -1 else (x.transpose(axis, -1) @ matrix).transpose(axis, -1)


@rule_for(aten.cumsum.default)
def _cumulative_sum(call: Call, x: Active, axis: int, **_: Any) -> LinearRule:
    size = x.shape[axis]
    return Separable([axis % x.ndim - x.ndim], [torch.ones(size, size).triu()])


@rule_for(
    *(aten.upsample_nearest1d.vec, aten.upsample_nearest2d.vec, aten.upsample_nearest3d.vec),
    *(aten._upsample_nearest_exact1d.vec, aten._upsample_nearest_exact2d.vec, aten._upsample_nearest_exact3d.vec),
    *(aten.upsample_linear1d.vec, aten.upsample_bilinear2d.vec, aten.upsample_trilinear3d.vec),
    *(aten.upsample_bicubic2d.vec, aten._upsample_bilinear2d_aa.default, aten._upsample_bicubic2d_aa.default),
)
def _resize(call: Call, x: Active, *options: Any, **named: Any) -> LinearRule:
    """The weights along an axis: what the operator makes of unit vectors there that are constant along the others."""
    axes = range(2 - x.ndim, 0)
    matrices = []
    for axis in axes:
        size = x.shape[axis]
        units = torch.eye(size).reshape(size, 1, *(size if other == axis else 1 for other in axes))
        resized = call.operator(units.expand(size, 1, *x.shape[2:]), *options, **named)
        matrices.append(resized.movedim(axis, -1).flatten(1, -2)[:, 0])
    return Separable(axes, matrices)
