"""Networks of the sweep: powers."""

import torch
from torch import nn
from torch.nn import functional as F

from support.sweep.network import Case

CASES = {
    "x**2 (x>0)": Case(lambda x: x**2, positive=True),
    "x**3 (x>0)": Case(lambda x: x**3, positive=True),
    "x**4 (x>0)": Case(lambda x: x**4, positive=True),
    "x**0.5 (x>0)": Case(lambda x: x**0.5, positive=True),
    "x**1.5 (x>0)": Case(lambda x: x**1.5, positive=True),
    "x**-1 (x>0)": Case(lambda x: x**-1, positive=True),
    "x**-2 (x>0)": Case(lambda x: x**-2, positive=True),
    "x**-0.5 (x>0)": Case(lambda x: x**-0.5, positive=True),
    "x**2.2 (x>0)": Case(lambda x: x**2.2, positive=True),
    "x**0.3 (x>0)": Case(lambda x: x**0.3, positive=True),
    "x**0 (x>0)": Case(lambda x: x**0, positive=True),
    "x**1 (x>0)": Case(lambda x: x**1, positive=True),
    "x**2": Case(lambda x: x**2),
    "x**3": Case(lambda x: x**3),
    "x**4": Case(lambda x: x**4),
    "relu(x)**1.5": Case(lambda x: F.relu(x) ** 1.5),
    "relu(x)**2.2": Case(lambda x: F.relu(x) ** 2.2),
    "relu(x)**0.5": Case(lambda x: F.relu(x) ** 0.5),
    "abs(x)**1.5": Case(lambda x: x.abs() ** 1.5),
    "sqrt(relu(x))": Case(lambda x: F.relu(x).sqrt()),
    "signed sqrt": Case(lambda x: torch.sqrt(F.relu(x) + 1e-12) - torch.sqrt(F.relu(-x) + 1e-12)),
    "2**x (pow.Scalar)": Case(lambda x: 2.0**x),
    "pow tensor-tensor const": Case(
        lambda net, x: x**net.e,
        parts=lambda: {"e": nn.Parameter(torch.full((8,), 2.0))},
    ),
    "pow tensor-tensor": Case(lambda x: (x.abs() + 0.1) ** x),
}
