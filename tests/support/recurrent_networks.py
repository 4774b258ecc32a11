"""Recurrent networks: every kind of layer, in one direction or two, from first states that the row decides."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

INPUTS, HIDDEN = 2, 3


class Recurrent(nn.Module):
    """A recurrent layer over rows [N, T * 2], from first states of a row's first step; the head reads all it gives."""

    def __init__(self, layer: nn.RNNBase, *, from_zero: bool = False) -> None:
        super().__init__()
        self.layer = layer
        self.from_zero = from_zero
        self.states = layer.num_layers * (2 if layer.bidirectional else 1)
        self.start = nn.Linear(INPUTS, self.states * layer.hidden_size)
        self.head = nn.Linear(layer.hidden_size, 2)

    def forward(self, rows: Tensor) -> Tensor:
        steps = rows.reshape(rows.shape[0], -1, INPUTS)
        states = self.start(steps[:, 0]).reshape(-1, self.states, self.layer.hidden_size).transpose(0, 1).contiguous()
        first = None if self.from_zero else (states, 0.5 * states) if isinstance(self.layer, nn.LSTM) else states
        sequence, last = self.layer(steps, first)
        weights = torch.linspace(-1, 1, sequence.shape[1], dtype=rows.dtype).unsqueeze(1)
        seen = torch.unflatten((sequence * weights).mean(1), 1, (-1, self.layer.hidden_size)).sum(1)
        return self.head(seen + sum(state.sum(0) for state in (last if isinstance(last, tuple) else (last,))))


class Stacked(nn.Module):
    """A GRU, an LSTM and two plain layers above each other, of rows [N, T * 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.gru = Recurrent(nn.GRU(INPUTS, HIDDEN, batch_first=True, bidirectional=True))
        self.lstm = nn.LSTM(INPUTS, HIDDEN, batch_first=True, bidirectional=True)
        self.tanh = nn.RNN(2 * HIDDEN, HIDDEN, batch_first=True, bidirectional=True)
        self.relu = nn.RNN(2 * HIDDEN, HIDDEN, nonlinearity="relu", batch_first=True)
        self.head = nn.Linear(HIDDEN, 2)

    def forward(self, rows: Tensor) -> Tensor:
        sequence, _ = self.lstm(rows.reshape(rows.shape[0], -1, INPUTS))
        return self.gru(rows) + self.head(self.relu(self.tanh(sequence)[0])[0].mean(1))


KINDS: dict[str, Callable[[], nn.Module]] = {
    "lstm": lambda: Recurrent(nn.LSTM(INPUTS, HIDDEN, 2, batch_first=True, bidirectional=True)),
    "gru": lambda: Recurrent(nn.GRU(INPUTS, HIDDEN, 2, batch_first=True, bidirectional=True)),
    "rnn tanh": lambda: Recurrent(nn.RNN(INPUTS, HIDDEN, batch_first=True)),
    "rnn relu": lambda: Recurrent(nn.RNN(INPUTS, HIDDEN, 2, nonlinearity="relu", batch_first=True)),
    "lstm from zero": lambda: Recurrent(nn.LSTM(INPUTS, HIDDEN, batch_first=True), from_zero=True),
}


def recurrent_network(name: str) -> nn.Module:
    """A network of `KINDS`, always the same."""
    torch.manual_seed(3)
    return KINDS[name]().eval().requires_grad_(False)
