"""Networks of the sweep: comparisons."""

import torch
from torch import nn

from support.sweep.network import Case

CASES = {
    "where(x>0,x,.1x)": Case(lambda x: torch.where(x > 0, x, 0.1 * x)),
    "where(const)": Case(
        lambda net, x: torch.where(net.c > 0, x, -x), parts=lambda: {"c": nn.Parameter(torch.randn(8))}
    ),
    "masked_fill(const)": Case(
        lambda net, x: x.masked_fill(net.c > 0, 0.5), parts=lambda: {"c": nn.Parameter(torch.randn(8))}
    ),
    "(x>0).float()": Case(lambda x: (x > 0).to(x.dtype)),
    "x*(x>0)": Case(lambda x: x * (x > 0)),
    "heaviside": Case(lambda x: torch.heaviside(x, x.new_zeros(1))),
    "where(x==0)": Case(lambda x: torch.where(x == 0, torch.zeros_like(x), x)),
}
