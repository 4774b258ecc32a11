"""Properties of attributions on random architectures, and on inputs at the edge of what floats hold."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn

from support.oracles import attribute, incompleteness, sample, uneven_weights
from whyport.exporter.deepshap import build_program

FEATURES, TOKENS, WIDTH = 6, 3, 4

BLOCKS = {
    "attention": lambda: Residual(SelfAttention()),
    "convolution": lambda: nn.Sequential(nn.Conv1d(TOKENS, TOKENS, 3, padding=1), nn.GELU()),
    "gate": lambda: Gate(),
    "gru": lambda: Sequence(nn.GRU(WIDTH, WIDTH, batch_first=True)),
    "lstm": lambda: Sequence(nn.LSTM(WIDTH, WIDTH // 2, batch_first=True, bidirectional=True)),
    "norm": lambda: nn.LayerNorm(WIDTH),
    "pool": lambda: nn.MaxPool1d(3, 1, 1),
    "relu": lambda: Residual(nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.ReLU())),
    "softplus": lambda: nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Softplus()),
    "transformer": lambda: nn.TransformerEncoderLayer(WIDTH, 2, 5, batch_first=True),
}


class Residual(nn.Module):
    def __init__(self, inner: nn.Module) -> None:
        super().__init__()
        self.inner = inner

    def forward(self, x: Tensor) -> Tensor:
        return x + self.inner(x)


class Gate(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.gate = nn.Linear(WIDTH, WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(self.gate(x))


class SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(WIDTH, 2, batch_first=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.attention(x, x, x)[0]


class Sequence(nn.Module):
    def __init__(self, layer: nn.RNNBase) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)[0]


class Random(nn.Module):
    """Features 0 and 1 have identical weights, and the last feature has none."""

    def __init__(self, blocks: list[str], seed: int, scale: float = 1.0) -> None:
        super().__init__()
        torch.manual_seed(seed)
        embedding = torch.randn(TOKENS * WIDTH, FEATURES)
        embedding[:, 1] = embedding[:, 0]
        embedding[:, -1] = 0
        self.embed = nn.Linear(FEATURES, TOKENS * WIDTH)
        self.embed.weight = nn.Parameter(embedding)
        self.blocks = nn.Sequential(*(BLOCKS[name]() for name in blocks))
        self.head = nn.Linear(TOKENS * WIDTH, 2)
        self.scale = scale

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.blocks(self.embed(rows).reshape(-1, TOKENS, WIDTH)).flatten(1)) * self.scale


def twins(rows: int, seed: int) -> Tensor:
    """Rows whose features 0 and 1 are equal."""
    made = sample(rows, FEATURES, seed)
    made[:, 1] = made[:, 0]
    return made


@settings(max_examples=8, deadline=None, derandomize=True, database=None)
@given(st.lists(st.sampled_from(sorted(BLOCKS)), min_size=1, max_size=4), st.integers(0, 99))
def test_random_architectures(blocks: list[str], seed: int) -> None:
    rows, references, weights = twins(5, seed), twins(4, seed + 1), uneven_weights(4)
    program = build_program(Random(blocks, seed).eval(), rows)
    values = attribute(program, rows, references, weights)
    assert incompleteness(program, rows, references, weights) <= 1e-4
    np.testing.assert_array_equal(values[..., -1], 0)
    size = float(values.abs().max())
    np.testing.assert_allclose(values[..., 0], values[..., 1], atol=1e-4 * size)
    scaled = attribute(build_program(Random(blocks, seed, 3.0).eval(), rows), rows, references, weights)
    np.testing.assert_allclose(scaled, 3 * values, atol=1e-3 * size)


EXTREMES = {
    "saturated": 1e2,
    "ten thousand": 1e4,
    "tiny": 1e-6,
}


@pytest.mark.parametrize("scale", EXTREMES.values(), ids=EXTREMES)
@pytest.mark.parametrize("blocks", [["lstm", "attention"], ["gru", "gate"], ["norm", "pool"], ["transformer"]], ids=str)
def test_extreme_inputs_are_finite_and_complete_in_float64(blocks: list[str], scale: float) -> None:
    rows, references = (scale * sample(5, FEATURES, seed, torch.float64) for seed in (1, 2))
    weights = uneven_weights(5, torch.float64)
    network = Random(blocks, 0).eval()
    program = build_program(network, rows.float())
    assert torch.isfinite(attribute(program, rows.float(), references.float(), weights.float())).all()
    assert incompleteness(program.double(), rows, references, weights) < 1e-6


def test_a_row_that_is_the_only_reference_has_no_attributions() -> None:
    network = Random(["lstm", "attention", "norm", "pool"], 0).eval()
    rows = sample(3, FEATURES, 1)
    values = attribute(build_program(network, rows), rows[:1], rows[:1], torch.ones(1))
    np.testing.assert_array_equal(values, 0)


def test_ties_in_max_pooling_are_shared() -> None:
    network = nn.Sequential(nn.Unflatten(1, (1, 4)), nn.MaxPool1d(4), nn.Flatten())
    program = build_program(network, sample(3, 4, 1))
    values = attribute(program, torch.tensor([[2.0, 2.0, 2.0, 1.0]]), torch.zeros(1, 4), torch.ones(1))
    expected = np.array([7 / 12, 7 / 12, 7 / 12, 1 / 4])  # from 1 to 2 shared by three, below by four
    np.testing.assert_allclose(values[0, 0], expected, rtol=1e-5)


def test_zero_variance_in_layer_norm() -> None:
    program = build_program(nn.LayerNorm(4), sample(3, 4, 1))
    flat, references = torch.full((1, 4), 3.0), torch.cat([sample(2, 4, 2), torch.full((1, 4), -1.0)])
    assert torch.isfinite(attribute(program, flat, references, uneven_weights(3))).all()
    assert incompleteness(program, flat, references, uneven_weights(3)) < 1e-4


def test_logits_of_a_hundred() -> None:
    network = Random(["lstm", "attention"], 0, scale=500.0).eval()
    rows, references, weights = 3 * sample(9, FEATURES, 1), 3 * sample(5, FEATURES, 2), uneven_weights(5)
    program = build_program(network, rows)
    assert program.activations(rows)[0].abs().max() > 100
    assert incompleteness(program, rows, references, weights) < 1e-4
