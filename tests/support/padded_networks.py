"""Small networks over sequences of varying length, each with its own way with padding."""

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from torch import Tensor, nn


class MaskedMean(nn.Module):
    """The mean of the steps that are there; its mask may be of one type alone."""

    def __init__(self, mask_type: torch.dtype = torch.bool) -> None:
        super().__init__()
        self.mask_type = mask_type
        self.inner = nn.Linear(2, 4)
        self.out = nn.Linear(4, 2)

    def forward(self, x: Tensor, x_mask: Tensor) -> Tensor:
        """[N, T, 2] and [N, T] to [N, 2]."""
        if x_mask.dtype != self.mask_type:
            raise TypeError(f"expected a mask of {self.mask_type}")
        mask = x_mask.to(x.dtype).unsqueeze(-1)
        scores: Tensor = self.out((torch.tanh(self.inner(x)) * mask).sum(1) / mask.sum(1))
        return scores


class AttentionMask(nn.Module):
    """The same with the name that a library of transformers gives its mask."""

    def __init__(self) -> None:
        super().__init__()
        self.network = MaskedMean()

    def forward(self, x: Tensor, attention_mask: Tensor) -> Tensor:
        """[N, T, 2] and [N, T] to [N, 2]."""
        scores: Tensor = self.network(x, attention_mask)
        return scores


class Padded(MaskedMean):
    """A network that takes padding for steps."""

    def forward(self, x: Tensor, x_mask: Tensor) -> Tensor:
        """[N, T, 2] and [N, T] to [N, 2]."""
        scores: Tensor = self.out(torch.tanh(self.inner(x)).mean(1))
        return scores


class Unmasked(MaskedMean):
    """A network that is never told what is padding."""

    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """[N, T, 2] to [N, 2]."""
        scores: Tensor = self.out(torch.tanh(self.inner(x)).mean(1))
        return scores


class Attentive(MaskedMean):
    """Scores, and weights [N, T, T] of the steps."""

    def forward(self, x: Tensor, x_mask: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """[N, T, 2] and [N, T] to [N, 2] and [N, T, T]."""
        there = x_mask.to(x.dtype)
        weights = there.unsqueeze(1).expand(-1, x.shape[1], -1) / there.sum(1)[:, None, None]
        return super().forward(x, x_mask), weights


class TwoSequences(nn.Module):
    """Two sequences of lengths of their own."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = MaskedMean(), MaskedMean()

    def forward(self, x: Tensor, x_mask: Tensor, y: Tensor, y_mask: Tensor) -> Tensor:
        """[N, T, 2], [N, T], [N, U, 2] and [N, U] to [N, 2]."""
        scores: Tensor = self.first(x, x_mask) * torch.sigmoid(self.second(y, y_mask))
        return scores


def network(kind: type[nn.Module], *arguments: object) -> nn.Module:
    """The network with the weights of seed 0."""
    torch.manual_seed(0)
    return kind(*arguments).eval()


def masked_mean() -> nn.Module:
    return network(MaskedMean)


def with_float_mask() -> nn.Module:
    return network(MaskedMean, torch.float32)


def with_int_mask() -> nn.Module:
    return network(MaskedMean, torch.int64)


def with_half_mask() -> nn.Module:
    return network(MaskedMean, torch.float16)


def attention_mask() -> nn.Module:
    return network(AttentionMask)


def padded() -> nn.Module:
    return network(Padded)


def attentive() -> nn.Module:
    return network(Attentive)


def unmasked() -> nn.Module:
    return network(Unmasked)


def two_sequences() -> nn.Module:
    return network(TwoSequences)


def table(lengths: dict[str, list[int]], seed: int = 0) -> pa.Table:
    """A column of lists [steps][2] a name, of these numbers of steps."""
    random = np.random.default_rng(seed)
    return pa.table(
        {
            name: pa.array([(random.normal(size=(steps, 2)) * [1, 3] + [0, 5]).tolist() for steps in own])
            for name, own in lengths.items()
        }
    )


def write(path: str, rows: pa.Table) -> str:
    """The file of a table."""
    pq.write_table(rows, path)
    return path
