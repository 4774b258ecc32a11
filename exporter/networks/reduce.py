"""Operators of ONNX that reduce axes."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from whyport.exporter.networks.operators import Attributes, operator, whole_numbers

REDUCTIONS: dict[str, Callable[[Tensor, list[int], bool], Tensor]] = {
    "ReduceL1": lambda x, axes, keep: x.abs().sum(axes, keep),
    "ReduceL2": lambda x, axes, keep: torch.linalg.vector_norm(x, 2, axes, keep),
    "ReduceLogSumExp": torch.logsumexp,
    "ReduceMax": torch.amax,
    "ReduceMean": lambda x, axes, keep: x.mean(axes, keep),
    "ReduceMin": torch.amin,
    "ReduceSum": lambda x, axes, keep: x.sum(axes, keep),
    "ReduceSumSquare": lambda x, axes, keep: (x * x).sum(axes, keep),
}


@operator(*REDUCTIONS, fixed=(1,))
def _reduce(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    # The axes became an operand with opset 13 (ReduceSum) and 18.
    found = attributes.get("axes") if axes is None else whole_numbers(attributes, axes)
    if not found:
        if attributes.get("noop_with_empty_axes"):
            return x
        found = list(range(x.ndim))
    return REDUCTIONS[attributes.operator](x, list(found), bool(attributes.get("keepdims", 1)))


@operator("CumSum", fixed=(1,))
def _cumulate(attributes: Attributes, x: Tensor, axis: Any) -> Tensor:
    attributes.allow(exclusive=0, reverse=0)
    return torch.cumsum(x, whole_numbers(attributes, axis)[0])
