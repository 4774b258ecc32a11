"""Networks of the sweep: indexing."""

import torch
from torch import Tensor

from support.sweep.network import Case


def index_put(x: Tensor) -> Tensor:
    y = x.clone()
    y[:, 0] = x[:, 1] * 2
    return y


def slice_assign(x: Tensor) -> Tensor:
    y = x * 1.0
    y[:, 2:4].mul_(3.0)
    return y


CASES = {
    "index x[:,[..]]": Case(lambda x: x[:, [0, 3, 3, 5]]),
    "gather const": Case(lambda x: x.gather(1, torch.tensor([[0, 1, 1]]).expand(x.shape[0], 3))),
    "take_along_dim argsort": Case(lambda x: torch.take_along_dim(x, x.argsort(1), 1)),
    "scatter const": Case(
        lambda x: torch.zeros_like(x).scatter(1, torch.tensor([[3, 1, 0, 2, 4, 5, 6, 7]]).expand(x.shape[0], 8), x),
    ),
    "scatter_add": Case(
        lambda x: x.new_zeros(x.shape[0], 3).scatter_add(
            1, torch.tensor([[0, 1, 2, 0, 1, 2, 0, 1]]).expand(x.shape[0], 8), x
        ),
    ),
    "index_add": Case(
        lambda x: x.new_zeros(x.shape[0], 3).index_add(1, torch.tensor([0, 1, 2, 0, 1, 2, 0, 1]), x),
    ),
    "index_put": Case(index_put),
    "slice assign": Case(slice_assign),
    "roll": Case(lambda x: x.roll(2, 1)),
    "flip": Case(lambda x: x.flip(1)),
    "tril": Case(lambda x: (x.unsqueeze(2) * x.unsqueeze(1)).tril()),
    "diag_embed": Case(lambda x: torch.diag_embed(x)),
    "diagonal": Case(lambda x: (x.unsqueeze(2) * x.unsqueeze(1)).diagonal(dim1=1, dim2=2)),
    "repeat_interleave": Case(lambda x: x.repeat_interleave(2, 1)),
    "tile": Case(lambda x: x.tile(1, 2)),
    "stack/cat": Case(lambda x: torch.stack([x, x * 2], 1)),
    "chunk/split": Case(lambda x: torch.cat([c * i for i, c in enumerate(x.chunk(3, 1), 1)], 1)),
    "unbind": Case(lambda x: torch.stack([v * i for i, v in enumerate(x.unbind(1), 1)], 1)),
    "movedim": Case(lambda x: x.movedim(1, 2), shape=(2, 4)),
    "as_strided": Case(lambda x: x.as_strided((x.shape[0], 4), (8, 2))),
    "unfold": Case(lambda x: x.unfold(1, 3, 2)),
    "meshgrid-like broadcast": Case(lambda x: x[:, :, None] + x[:, None, :]),
    "step slice": Case(lambda x: x[:, ::3]),
    "neg index": Case(lambda x: x[..., -3:]),
    "triu_indices pairs": Case(
        lambda x: (x.unsqueeze(2) * x.unsqueeze(1))[:, torch.triu_indices(8, 8, 1)[0], torch.triu_indices(8, 8, 1)[1]]
    ),
}
