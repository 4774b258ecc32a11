"""Networks of sequences of varying length that are told which steps are padding, and rows for them."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from support.oracles import sample
from whyport.runtime.bundle.lengths import Length

STEPS, WIDTH, CLASSES = 6, 3, 2
LENGTH = Length("x", STEPS * WIDTH, 0, STEPS, WIDTH, (STEPS,), is_masked=True)
"""The one input's number of steps, behind its cells."""


class TakeSteps(nn.Module):
    """A network of steps [N, T, W] and a mask [N, T] as one of flat rows [N, T W + 1]."""

    def __init__(self, network: nn.Module, steps: int = STEPS) -> None:
        super().__init__()
        self.network, self.steps = network, steps

    def forward(self, rows: Tensor) -> Tensor:
        cells, length = torch.split(rows, [self.steps * WIDTH, 1], 1)
        changed = torch.cat([(cells - 0.3) / 1.7, length], 1)  # what standardising makes of padding is no 0
        mask = torch.arange(self.steps, dtype=rows.dtype) < changed[:, -1:]
        x = changed[:, :-1].reshape(-1, self.steps, WIDTH)
        return self.network(torch.where(mask.unsqueeze(-1), x, 0.0), mask)


class Mean(nn.Module):
    """The mean over the steps, and a function of their number."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(WIDTH, 5), nn.Linear(6, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        hidden = torch.tanh(self.inner(x)) * mask.unsqueeze(-1)
        count = mask.sum(1, keepdim=True)
        return self.head(torch.cat([hidden.sum(1) / count.clamp(min=1), count.to(x.dtype).log()], 1))


class LastOfGRU(nn.Module):
    """The state of a GRU at the last step, by its position."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.GRU(WIDTH, 5, batch_first=True), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        states, _ = self.layer(x)
        return self.head(states[torch.arange(len(x)), mask.sum(1) - 1])


class LastOfLSTM(nn.Module):
    """The state of an LSTM at the last step, gathered, beside one that a one-hot vector picks."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.LSTM(WIDTH, 4, batch_first=True), nn.Linear(7, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        last = mask.long().sum(1) - 1
        states, _ = self.layer(x)
        state = states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2])).squeeze(1)
        picked = F.one_hot(last, x.shape[1]).to(x.dtype).unsqueeze(1) @ x
        return self.head(torch.cat([state, picked.squeeze(1)], 1))


class Reversed(nn.Module):
    """A GRU over the steps in reverse, padding last, as packed sequences are walked back."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.head = nn.GRU(WIDTH, 4, batch_first=True), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        length = mask.sum(1, keepdim=True)
        steps = torch.arange(x.shape[1]).expand(len(x), -1)
        order = torch.where(mask, length - 1 - steps, steps)
        states, _ = self.layer(x.gather(1, order.unsqueeze(-1).expand_as(x)))
        return self.head((states * mask.unsqueeze(-1)).sum(1))


class Encoder(nn.Module):
    """A transformer's layer, positions that a mask counts, and the maximum over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.positions = nn.Linear(WIDTH, 4), nn.Embedding(STEPS, 4)
        self.layer = nn.TransformerEncoderLayer(4, 2, 8, batch_first=True, dropout=0)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        positions = self.positions((mask.cumsum(1) - 1).clamp(min=0))
        hidden = self.layer(self.inner(x) + positions, src_key_padding_mask=~mask)
        return self.head(hidden.masked_fill(~mask.unsqueeze(-1), -torch.inf).amax(1))


class Attention(nn.Module):
    """Attention whose weights are used too, and a pooling by a softmax over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.attention = nn.Linear(WIDTH, 4), nn.MultiheadAttention(4, 2, batch_first=True)
        self.query, self.head = nn.Linear(4, 1), nn.Linear(5, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        hidden = self.inner(x)
        hidden, weights = self.attention(hidden, hidden, hidden, key_padding_mask=~mask)
        scores = self.query(hidden).squeeze(-1) + torch.zeros_like(mask, dtype=x.dtype).masked_fill(~mask, -torch.inf)
        pooled = (scores.softmax(1).unsqueeze(1) @ hidden).squeeze(1)
        return self.head(torch.cat([pooled, (weights[:, :, 0] * mask).sum(1, keepdim=True)], 1))


class Causal(nn.Module):
    """Attention of each step to those before it; padding attends to nothing, and what it becomes is counted in."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.head = nn.Linear(WIDTH, 12), nn.Linear(4, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        query, key, value = self.inner(x).chunk(3, -1)
        causal = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).tril()
        both = causal & mask.unsqueeze(1) & mask.unsqueeze(2)
        hidden = F.scaled_dot_product_attention(query, key, value, attn_mask=both)
        return self.head(hidden.sum(1) / both.any(2).sum(1, keepdim=True))


class Convolutions(nn.Module):
    """Convolutions over time, and the maximum and the mean over the steps."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Conv1d(WIDTH, 4, 3, padding=1), nn.Conv1d(4, 4, 3, padding=1)
        self.head = nn.Linear(8, CLASSES)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        valid = mask.unsqueeze(1).to(x.dtype)
        hidden = self.second(torch.relu(self.first(x.transpose(1, 2)) * valid)) * valid
        largest = torch.where(mask.unsqueeze(1), hidden, torch.finfo(x.dtype).min).max(2).values
        return self.head(torch.cat([largest, hidden.sum(2) / valid.sum(2)], 1))


KINDS: tuple[type[nn.Module], ...] = (
    *(Mean, LastOfGRU, LastOfLSTM, Reversed, Encoder, Attention, Causal, Convolutions),
)


def rows_of(count: int, length: int, seed: int, steps: int = STEPS) -> Tensor:
    """Rows [N, T W + 1] of one length: those of more steps have the same values and more padding."""
    cells = torch.zeros(count, steps, WIDTH)
    cells[:, :length] = sample(count, length * WIDTH, seed).reshape(count, length, WIDTH)
    return torch.cat([cells.flatten(1), torch.full((count, 1), float(length))], 1)
