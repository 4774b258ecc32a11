"""Networks of the sweep: embedding."""

import torch
from torch import nn
from torch.nn import functional as F

from support.sweep.network import Case

CASES = {
    "nn.Embedding(x.long())": Case(
        lambda net, x: net.layer(x.abs().long().clamp(0, 4)),
        parts=lambda: {"layer": nn.Embedding(5, 2)},
    ),
    "Embedding cat + numeric": Case(
        lambda net, x: torch.cat([net.layer(x[:, 0].abs().long().clamp(0, 4)), x[:, 1:]], 1),
        parts=lambda: {"layer": nn.Embedding(5, 2)},
    ),
    "nn.EmbeddingBag": Case(
        lambda net, x: net.layer(x.abs().long().clamp(0, 4)),
        parts=lambda: {"layer": nn.EmbeddingBag(5, 2)},
    ),
    "one_hot": Case(lambda x: F.one_hot(x[:, 0].abs().long().clamp(0, 4), 5).to(x.dtype)),
    "bucketize": Case(
        lambda net, x: torch.bucketize(x, net.b).to(x.dtype),
        parts=lambda: {"b": nn.Parameter(torch.linspace(-1, 1, 5))},
    ),
    "PLR periodic": Case(
        lambda net, x: torch.cat([torch.sin(x[..., None] * net.c), torch.cos(x[..., None] * net.c)], -1),
        parts=lambda: {"c": nn.Parameter(torch.randn(8, 3))},
    ),
    "piecewise-linear enc": Case(
        lambda net, x: ((x[..., None] - net.e[:-1]) / (net.e[1:] - net.e[:-1])).clamp(0, 1),
        parts=lambda: {"e": nn.Parameter(torch.linspace(-2, 2, 5))},
    ),
}
