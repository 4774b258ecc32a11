"""Networks of the sweep: arithmetic."""

import torch
from torch import nn

from support.sweep.network import Case

CASES = {
    "clamp(min)": Case(lambda x: x.clamp(min=0.2)),
    "clamp(-1,1)": Case(lambda x: x.clamp(-1, 1)),
    "clamp(tensor)": Case(
        lambda net, x: torch.clamp(x, net.lo, net.hi),
        parts=lambda: {"lo": nn.Parameter(-torch.rand(8)), "hi": nn.Parameter(torch.rand(8))},
    ),
    "clamp_(inplace)": Case(lambda net, x: net.linear(x).clamp_(-0.5, 0.5), parts=lambda: {"linear": nn.Linear(8, 8)}),
    "x*x": Case(lambda x: x * x),
    "x*y": Case(lambda x: x[:, :4] * x[:, 4:]),
    "x/y": Case(lambda x: x[:, :4] / (x[:, 4:].abs() + 0.5)),
    "1/x": Case(lambda x: 1 / (x.abs() + 0.5)),
    "true_divide/3": Case(lambda x: x / 3),
    "maximum": Case(lambda x: torch.maximum(x[:, :4], x[:, 4:])),
    "minimum": Case(lambda x: torch.minimum(x[:, :4], x[:, 4:])),
    "fmax": Case(lambda x: torch.fmax(x[:, :4], x[:, 4:])),
    "atan2": Case(lambda x: torch.atan2(x[:, :4], x[:, 4:])),
    "hypot": Case(lambda x: torch.hypot(x[:, :4], x[:, 4:])),
    "fmod": Case(lambda x: torch.fmod(x, 1.5)),
    "remainder": Case(lambda x: torch.remainder(x, 1.5)),
    "lerp": Case(lambda x: torch.lerp(x[:, :4], x[:, 4:], 0.3)),
    "addcmul": Case(lambda x: torch.addcmul(x[:, :4], x[:, 4:], x[:, :4], value=0.5)),
    "addcdiv": Case(lambda x: torch.addcdiv(x[:, :4], x[:, 4:], x[:, :4].abs() + 1)),
    "logaddexp": Case(lambda x: torch.logaddexp(x[:, :4], x[:, 4:])),
    "xlogy": Case(lambda x: torch.xlogy(x[:, :4], x[:, 4:].abs() + 1)),
    "rsub": Case(lambda x: 1 - x),
    "floor_divide": Case(lambda x: x // 0.5),
}
