"""A small encoder of texts, from word embeddings to two scores; its random weights are as large as trained ones."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

TOKENS, WIDTH, HEADS, LAYERS = 32, 128, 4, 4

# The standard deviations of trained encoders: small embeddings in front of a normalisation, and queries and keys whose
# products pick a few tokens.
EMBEDDING, POSITION, SHARPNESS = 0.05, 0.02, 1.5


class Layer(nn.Module):
    """Attention and two dense layers, each added to its input and normalised, as in BERT."""

    def __init__(self) -> None:
        super().__init__()
        self.query, self.key = linear(WIDTH, WIDTH, SHARPNESS), linear(WIDTH, WIDTH, SHARPNESS)
        self.value, self.out = linear(WIDTH, WIDTH), linear(WIDTH, WIDTH)
        self.up, self.down = linear(WIDTH, 4 * WIDTH), linear(4 * WIDTH, WIDTH)
        self.first, self.second = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)

    def forward(self, x: Tensor) -> Tensor:
        query, key, value = (
            each(x).reshape(len(x), TOKENS, HEADS, -1).transpose(1, 2) for each in (self.query, self.key, self.value)
        )
        attention = torch.softmax(query @ key.transpose(2, 3) / math.sqrt(WIDTH / HEADS), 3)
        x = self.first(x + self.out((attention @ value).transpose(1, 2).reshape(x.shape)))
        normalised: Tensor = self.second(x + self.down(functional.gelu(self.up(x))))
        return normalised


class Encoder(nn.Module):
    """Rows [N, tokens * width] of embeddings to scores [N, 2]."""

    def __init__(self) -> None:
        super().__init__()
        self.position = nn.Parameter(POSITION * torch.randn(TOKENS, WIDTH))
        self.norm = nn.LayerNorm(WIDTH)
        self.layers = nn.Sequential(*(Layer() for _ in range(LAYERS)))
        self.head = linear(WIDTH, 2, 3.0)

    def forward(self, rows: Tensor) -> Tensor:
        embedded = self.norm(rows.reshape(-1, TOKENS, WIDTH) + self.position)
        scores: Tensor = self.head(self.layers(embedded).mean(1))
        return scores


def linear(inputs: int, outputs: int, gain: float = 1.0) -> nn.Linear:
    """A dense layer whose outputs are `gain` times as large as its inputs."""
    layer = nn.Linear(inputs, outputs)
    nn.init.normal_(layer.weight, std=gain / math.sqrt(inputs))
    nn.init.normal_(layer.bias, std=0.05)
    return layer


def encoder() -> Encoder:
    """The encoder, always the same."""
    torch.manual_seed(0)
    return Encoder().eval()


def embeddings(rows: int) -> Tensor:
    """Texts of 4 to 32 random words, padded with zeros, [rows, tokens * width]."""
    generator = torch.Generator().manual_seed(1)
    words = EMBEDDING * torch.randn(rows, TOKENS, WIDTH, generator=generator)
    length = torch.randint(4, TOKENS + 1, (rows, 1, 1), generator=generator)
    return (words * (torch.arange(TOKENS)[:, None] < length)).reshape(rows, -1)
