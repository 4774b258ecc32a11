"""Networks of the sweep: composition."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from support.sweep.network import Case


def loop(net: nn.Module, x: Tensor) -> Tensor:
    for _ in range(3):
        x = torch.tanh(net.linear(x)) + x
    return x


def sparsemax(x: Tensor) -> Tensor:
    ordered = x.sort(1, descending=True).values
    excess = (ordered.cumsum(1) - 1) / torch.arange(1, 9)
    return torch.clamp(x - excess.amax(1, keepdim=True), min=0)


def highway(net: nn.Module, x: Tensor) -> Tensor:
    gate = torch.sigmoid(net.b(x))
    return gate * torch.relu(net.a(x)) + (1 - gate) * x


CASES = {
    "reused module + skip": Case(loop, parts=lambda: {"linear": nn.Linear(8, 8)}),
    "same input both branches": Case(
        lambda net, x: net.linear(x) * torch.sigmoid(net.linear(x)) + x, parts=lambda: {"linear": nn.Linear(8, 8)}
    ),
    "highway": Case(highway, parts=lambda: {"a": nn.Linear(8, 8), "b": nn.Linear(8, 8)}),
    "squeeze-excite": Case(
        lambda net, x: x * torch.sigmoid(net.linear(x.mean(2))).unsqueeze(2),
        shape=(2, 4),
        parts=lambda: {"linear": nn.Linear(2, 2)},
    ),
    "DCN cross": Case(lambda net, x: x * net.linear(x) + x, parts=lambda: {"linear": nn.Linear(8, 8)}),
    "MoE soft gate": Case(
        lambda net, x: (F.softmax(net.g(x), 1).unsqueeze(1) * torch.stack([net.a(x), net.b(x)], 2)).sum(2),
        parts=lambda: {"a": nn.Linear(8, 8), "b": nn.Linear(8, 8), "g": nn.Linear(8, 2)},
    ),
    "MoE topk gate": Case(
        lambda net, x: F.softmax(net.g(x).topk(2, 1).values, 1).sum(1, keepdim=True) * net.a(x),
        parts=lambda: {"a": nn.Linear(8, 8), "g": nn.Linear(8, 3)},
    ),
    "sparsemax": Case(sparsemax),
    "x*relu6(x+3)/6": Case(lambda x: x * F.relu6(x + 3) / 6),
    "data-dependent if": Case(lambda x: x * 2 if x.sum() > 0 else x, refusal="torch.export cannot take the network"),
    "batch mean": Case(lambda x: x - x.mean(0), refusal="does not treat every row of a batch alike"),
    "torch.rand": Case(lambda x: x + torch.rand_like(x) * 0.1, refusal="aten.rand_like.default"),
    "vmap": Case(lambda x: torch.vmap(lambda r: r * r.sum())(x)),
}
