"""Networks of the sweep: several operators together, as people write them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from support.sweep.network import Case

MASK = torch.tensor([True, False] * 4)


def parts_written(x: Tensor) -> Tensor:
    y = x.new_zeros(x.shape[0], 8)
    y[:, 0] = x[:, 0]
    y[:, 1:3] += x[:, 4:6]
    y[:, -1] -= x[:, 3]
    return y


def copied(x: Tensor) -> Tensor:
    y = torch.empty_like(x)
    y.copy_(x * 2)
    y += x
    y *= 0.5
    return y.sub_(x[:, :1])


def masked(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, MASK] = 0.5
    y[x > 0.5] = 0.5
    return y.masked_fill_(y < -1, 0.1).clamp_(max=1)


def two_tables(net: nn.Module, x: Tensor) -> Tensor:
    return torch.cat([net.a(x[:, 0].long().abs() % 5), net.b(x[:, 1].round().clamp(0, 3).long()), x[:, 2:]], 1)


def moments(x: Tensor) -> Tensor:
    scores = (x - x.mean(1, keepdim=True)) / (x.std(1, keepdim=True) + 1e-5)
    return torch.stack([scores.pow(3).mean(1), scores.pow(4).mean(1)], 1)


def gated(net: nn.Module, x: Tensor) -> Tensor:
    gate = net.gate(x)
    least = gate.topk(2, 1).values[:, -1:]
    weights = torch.where(gate >= least, gate, torch.full_like(gate, -1e9)).softmax(1)
    return (torch.stack([net.a(x), net.b(x), net.c(x)], 1) * weights.unsqueeze(-1)).sum(1)


def chain(x: Tensor) -> Tensor:
    half = 0.5 * x
    far = x.abs() + 1
    return torch.cat(
        [half.exp2(), far.log2(), far.log10(), torch.tan(0.3 * x), x.atan(), half.sinh(), half.cosh(), x.erfc()], 1
    )


CASES = {
    "LeakyReLU by hand": Case(lambda x: torch.where(x >= 0.3, x - 0.3, 0.05 * (x - 0.3))),
    "Huber by hand": Case(lambda x: torch.where(x.abs() < 1, 0.5 * x * x, x.abs() - 0.5)),
    "three branches": Case(lambda x: torch.where(x > 1, x, torch.where(x < -0.5, 0.1 * x, x**2))),
    "clamp to the row": Case(lambda x: x[:, :4].clamp(min=x[:, 4:] - 1, max=x[:, 4:] + 1)),
    "two embeddings": Case(two_tables, parts=lambda: {"a": nn.Embedding(5, 3, padding_idx=0), "b": nn.Embedding(4, 2)}),
    "sort, gathered": Case(lambda x: (s := x.sort(1, descending=True)).values + x.gather(1, s.indices)),
    "topk over steps": Case(lambda x: (t := x.topk(2, dim=1)).values + 2 * x.gather(1, t.indices), (4, 2)),
    "cumsum from behind": Case(lambda x: x.flip(1).cumsum(1).flip(1)),
    "over the largest": Case(lambda x: x / (x.norm(p=torch.inf, dim=1, keepdim=True) + 1)),
    "normalize p=1": Case(lambda x: F.normalize(x, p=1, dim=1)),
    "count of positives": Case(lambda x: torch.linalg.vector_norm(x.relu(), 0, 1, keepdim=True)),
    "moments": Case(moments),
    "chain of functions": Case(chain),
    "steps": Case(lambda x: torch.cat([x.sign(), x.floor(), x.round(), x.ceil() * x, x.frac(), x.trunc()], 1)),
    "parts written": Case(parts_written),
    "copied in place": Case(copied),
    "masked in place": Case(masked),
    "scatter of a few": Case(
        lambda x: torch.zeros_like(x).scatter(1, torch.tensor([[3, 1, 0]]).expand(x.shape[0], 3), x)
    ),
    "maximum of two": Case(lambda x: torch.maximum(x[:, :4], x[:, 4:]) - torch.minimum(x[:, :4], x[:, 4:] + 1)),
    "lerp, addcmul": Case(
        lambda x: torch.addcmul(torch.lerp(x[:, :4], x[:, 4:], x[:, 2:6].sigmoid()), x[:, :4], x[:, 1:5])
    ),
    "polar": Case(lambda x: torch.cat([torch.hypot(x[:, :4], x[:, 4:]), torch.atan2(x[:, :4], x[:, 4:])], 1)),
    "copysign": Case(lambda x: torch.copysign(x[:, :4].abs() + 1, x[:, 4:])),
    "finite alone": Case(lambda x: torch.nan_to_num(x) * torch.isfinite(x)),
    "masked mean": Case(
        lambda x: (m := (x.abs() > 0.2).to(x.dtype), (x * m).sum(1, True) / m.sum(1, True).clamp(min=1))[1]
    ),
    "gate of the best two": Case(
        gated, parts=lambda: {"gate": nn.Linear(8, 3)} | {name: nn.Linear(8, 4) for name in "abc"}
    ),
    "largest so far": Case(lambda x: x.cummax(1).values - x.cummin(1).values),
    "gather at another's order": Case(lambda x: x[:, 4:].gather(1, x[:, :4].argsort(1)), refusal="aten.sort.default"),
    "gather argmax": Case(lambda x: x.gather(1, x.argmax(1, keepdim=True)), refusal="aten.argmax.default"),
    "largest of each group": Case(
        lambda x: x.new_zeros(x.shape[0], 2).scatter_reduce(
            1, torch.tensor([[0, 1] * 4]).expand(x.shape[0], 8), x, "amax"
        ),
        refusal="with the reduction 'amax'",
    ),
}
