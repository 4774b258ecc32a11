"""Networks of the sweep: reductions."""

import torch
from torch import nn
from torch.nn import functional as F

from support.sweep.network import Case

CASES = {
    "mean": Case(lambda x: x.mean(1, keepdim=True) * x),
    "sum": Case(lambda x: x.sum(1, keepdim=True)),
    "mean()": Case(lambda x: x.reshape(-1, 2, 4).mean((1, 2))[:, None]),
    "var": Case(lambda x: x.var(1, keepdim=True)),
    "std": Case(lambda x: x.std(1, keepdim=True)),
    "std_mean": Case(lambda x: torch.cat(torch.std_mean(x, 1, keepdim=True), 1)),
    "amax": Case(lambda x: x.amax(1, keepdim=True)),
    "max(dim).values": Case(lambda x: x.max(1, keepdim=True).values),
    "min(dim).values": Case(lambda x: x.min(1, keepdim=True).values),
    "max(dim).indices.float": Case(lambda x: x.max(1, keepdim=True).indices.to(x.dtype), refusal="aten.max.dim"),
    "max values+indices": Case(
        lambda x: (lambda r: r.values * r.indices.to(x.dtype))(x.max(1, keepdim=True)), refusal="aten.max.dim"
    ),
    "aminmax": Case(lambda x: torch.stack(torch.aminmax(x, dim=1), 1)),
    "argmax": Case(lambda x: x.argmax(1, keepdim=True).to(x.dtype), refusal="aten.argmax.default"),
    "prod": Case(lambda x: x.prod(1, keepdim=True)),
    "norm2": Case(lambda x: x.norm(dim=1, keepdim=True)),
    "norm1": Case(lambda x: x.norm(p=1, dim=1, keepdim=True)),
    "norm_inf": Case(lambda x: x.norm(p=float("inf"), dim=1, keepdim=True)),
    "norm3": Case(lambda x: x.norm(p=3, dim=1, keepdim=True)),
    "linalg.norm": Case(lambda x: torch.linalg.norm(x, dim=1, keepdim=True)),
    "linalg.vector_norm": Case(lambda x: torch.linalg.vector_norm(x, dim=1, keepdim=True)),
    "median": Case(lambda x: x.median(1, keepdim=True).values),
    "kthvalue": Case(lambda x: x.kthvalue(2, 1, keepdim=True).values),
    "sort": Case(lambda x: x.sort(1).values),
    "topk": Case(lambda x: x.topk(3, 1).values),
    "logsumexp": Case(lambda x: x.logsumexp(1, keepdim=True)),
    "cumsum(last)": Case(lambda x: x.cumsum(1)),
    "cumsum(axis1 of 3)": Case(lambda x: x.cumsum(1), shape=(4, 2)),
    "cumprod": Case(lambda x: x.cumprod(1)),
    "cummax": Case(lambda x: x.cummax(1).values),
    "logcumsumexp": Case(lambda x: x.logcumsumexp(1)),
    "any/all": Case(lambda x: (x > 0).any(1, keepdim=True).to(x.dtype)),
    "count_nonzero": Case(lambda x: (x != 0).sum(1, keepdim=True).to(x.dtype)),
    "diff": Case(lambda x: x.diff(dim=1)),
    "quantile": Case(lambda x: torch.quantile(x, 0.5, dim=1, keepdim=True)),
    "renorm": Case(lambda x: torch.renorm(x, 2, 0, 1.0)),
    "softmax temp": Case(lambda x: F.softmax(x * 5, 1)),
    "softmax of a low temperature": Case(lambda x: F.softmax(x / 0.1, -1)),
    "F.normalize": Case(lambda x: F.normalize(x, dim=1)),
    "F.normalize(relu)": Case(lambda x: F.normalize(F.relu(x), dim=1)),
    "F.normalize p=1": Case(lambda x: F.normalize(x, p=1, dim=1)),
    "cosine_similarity": Case(
        lambda net, x: F.cosine_similarity(x[:, None], net.c[None], dim=2),
        parts=lambda: {"c": nn.Parameter(torch.randn(3, 8))},
    ),
    "pairwise_distance": Case(
        lambda net, x: F.pairwise_distance(x[:, None], net.c[None]),
        parts=lambda: {"c": nn.Parameter(torch.randn(3, 8))},
    ),
    "cdist": Case(
        lambda net, x: torch.cdist(x[:, None], net.c[None].expand(x.shape[0], 3, 8)).squeeze(1),
        parts=lambda: {"c": nn.Parameter(torch.randn(3, 8))},
    ),
    "RBF": Case(
        lambda net, x: torch.exp(-((x[:, None] - net.c[None]) ** 2).sum(-1)),
        parts=lambda: {"c": nn.Parameter(torch.randn(3, 8))},
    ),
}
