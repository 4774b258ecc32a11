"""Networks of the sweep: precision."""

import torch
from torch import Tensor, nn

from support.sweep.network import Case


def autocast(net: nn.Module, x: Tensor) -> Tensor:
    with torch.autocast("cpu", torch.bfloat16):
        y = net.linear(x)
    return y.to(x.dtype)


CASES = {
    "double inside": Case(lambda x: (x.double() * 1.5).to(x.dtype)),
    "half inside": Case(lambda x: (x.half() * 1.3).to(x.dtype), refusal="aten._to_copy.default"),
    "bfloat16 inside": Case(lambda x: (x.bfloat16() * 1.3).to(x.dtype), refusal="aten._to_copy.default"),
    "complex": Case(lambda x: torch.abs(torch.complex(x[:, :4], x[:, 4:])), refusal="aten.complex.default"),
    "detach": Case(lambda x: x.detach() * x),
    "checkpoint": Case(
        lambda net, x: torch.utils.checkpoint.checkpoint(net.linear, x, use_reentrant=False),
        parts=lambda: {"linear": nn.Linear(8, 8)},
    ),
    "autocast bf16": Case(autocast, parts=lambda: {"linear": nn.Linear(8, 8)}, refusal="aten._to_copy.default"),
}
