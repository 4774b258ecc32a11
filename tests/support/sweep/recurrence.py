"""Networks of the sweep: recurrence."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from support.sweep.network import Case


def rnn(kind: type[nn.RNNBase], **options: Any) -> nn.RNNBase:
    return kind(2, 3, **{"batch_first": True} | options)


def packed(net: nn.Module, x: Tensor) -> Tensor:
    lengths = torch.full((x.shape[0],), 4)
    return pad_packed_sequence(net.layer(pack_padded_sequence(x, lengths, batch_first=True))[0], batch_first=True)[0]


def state(x: Tensor, step: int) -> Tensor:
    return x[:, step].repeat(1, 2)[:, :3][None].contiguous()


def given(net: nn.Module, x: Tensor) -> Tensor:
    return net.h.expand(-1, x.shape[0], -1).contiguous()


CASES = {
    "nn.LSTM": Case(lambda net, x: net.layer(x)[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.LSTM)}),
    "nn.LSTM(bi,2 layers)": Case(
        lambda net, x: net.layer(x)[0],
        shape=(4, 2),
        parts=lambda: {"layer": rnn(nn.LSTM, num_layers=2, bidirectional=True)},
    ),
    "nn.LSTM(no bias)": Case(
        lambda net, x: net.layer(x)[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.LSTM, bias=False)}
    ),
    "nn.LSTM(proj)": Case(
        lambda net, x: net.layer(x)[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.LSTM, proj_size=2)}
    ),
    "nn.LSTM(time first)": Case(
        lambda net, x: net.layer(x.transpose(0, 1))[0].transpose(0, 1),
        shape=(4, 2),
        parts=lambda: {"layer": rnn(nn.LSTM, batch_first=False)},
    ),
    "nn.LSTM(dropout eval)": Case(
        lambda net, x: net.layer(x)[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.LSTM, num_layers=2, dropout=0.5)}
    ),
    "nn.GRU": Case(lambda net, x: net.layer(x)[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.GRU)}),
    "nn.GRU(bi,2)": Case(
        lambda net, x: net.layer(x)[0],
        shape=(4, 2),
        parts=lambda: {"layer": rnn(nn.GRU, num_layers=2, bidirectional=True)},
    ),
    "nn.GRU(no bias)": Case(
        lambda net, x: net.layer(x)[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.GRU, bias=False)}
    ),
    "nn.RNN(tanh)": Case(lambda net, x: net.layer(x)[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.RNN)}),
    "nn.RNN(relu,bi)": Case(
        lambda net, x: net.layer(x)[0],
        shape=(4, 2),
        parts=lambda: {"layer": rnn(nn.RNN, nonlinearity="relu", bidirectional=True)},
    ),
    "nn.GRU h_n": Case(
        lambda net, x: net.layer(x)[1].transpose(0, 1),
        shape=(4, 2),
        parts=lambda: {"layer": rnn(nn.GRU, num_layers=2, bidirectional=True)},
    ),
    "nn.LSTM c_n": Case(
        lambda net, x: net.layer(x)[1][1].transpose(0, 1),
        shape=(4, 2),
        parts=lambda: {"layer": rnn(nn.LSTM, bidirectional=True)},
    ),
    "nn.LSTM given states": Case(
        lambda net, x: net.layer(x, (given(net, x), given(net, x)))[0],
        shape=(4, 2),
        parts=lambda: {"layer": rnn(nn.LSTM), "h": nn.Parameter(torch.randn(1, 1, 3))},
    ),
    "nn.LSTM states from row": Case(
        lambda net, x: net.layer(x, (state(x, 0), state(x, 1)))[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.LSTM)}
    ),
    "nn.GRU state from row": Case(
        lambda net, x: net.layer(x, state(x, 0))[0], shape=(4, 2), parts=lambda: {"layer": rnn(nn.GRU)}
    ),
    "nn.LSTMCell": Case(
        lambda net, x: net.layer(x[:, 1], net.layer(x[:, 0]))[0],
        shape=(4, 2),
        parts=lambda: {"layer": nn.LSTMCell(2, 3)},
    ),
    "nn.GRUCell": Case(
        lambda net, x: net.layer(x[:, 1], net.layer(x[:, 0])), shape=(4, 2), parts=lambda: {"layer": nn.GRUCell(2, 3)}
    ),
    "nn.RNNCell": Case(
        lambda net, x: net.layer(x[:, 1], net.layer(x[:, 0])), shape=(4, 2), parts=lambda: {"layer": nn.RNNCell(2, 3)}
    ),
    "packed sequence": Case(
        packed, shape=(4, 2), parts=lambda: {"layer": rnn(nn.LSTM)}, refusal="torch.export cannot take the network"
    ),
}
