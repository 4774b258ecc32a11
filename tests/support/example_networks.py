"""Networks as users bring them, good and bad; each function is a factory for `whyport export`."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

FEATURES, CLASSES = 4, 3


def linear() -> nn.Module:
    return nn.Linear(FEATURES, CLASSES)


class Convolution(nn.Module):
    """With the split that Grad-CAM needs."""

    def __init__(self) -> None:
        super().__init__()
        self.convolution = nn.Conv1d(1, 2, kernel_size=3, padding=1)
        self.head = nn.Linear(2 * FEATURES, CLASSES)

    def features(self, rows: Tensor) -> Tensor:
        return torch.tanh(self.convolution(rows.unsqueeze(1)))

    def classify(self, maps: Tensor) -> Tensor:
        return self.head(maps.flatten(1))

    def forward(self, rows: Tensor) -> Tensor:
        return self.classify(self.features(rows))


class Contradictory(Convolution):
    """Its forward is not classify(features(rows))."""

    def forward(self, rows: Tensor) -> Tensor:
        return self.classify(self.features(rows)) + 0.01


class FlatMaps(Convolution):
    """Its maps have no positions."""

    def features(self, rows: Tensor) -> Tensor:
        return rows @ self.head.weight[:, :FEATURES].T

    def classify(self, maps: Tensor) -> Tensor:
        return maps


class Recurrent(nn.Module):
    """An LSTM with dropout between its layers, and attention weights."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(1, 4, num_layers=2, batch_first=True, dropout=0.5)
        self.attention = nn.MultiheadAttention(4, 2, batch_first=True)
        self.head = nn.Linear(4, CLASSES)

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        sequence, _ = self.lstm(rows.unsqueeze(2))
        context, weights = self.attention(sequence, sequence, sequence)
        assert weights is not None
        return self.head(context.mean(dim=1)), weights


class Unscriptable(nn.Module):
    """A generator expression, which TorchScript does not know; tracing it works."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList(nn.Linear(FEATURES, CLASSES) for _ in range(2))

    def forward(self, rows: Tensor) -> Tensor:
        return sum(torch.tanh(layer(rows)) for layer in self.layers)


class UnscriptableConvolution(Convolution):
    def features(self, rows: Tensor) -> Tensor:
        return torch.stack(tuple(torch.tanh(rows * scale) for scale in (1.0, 2.0)), dim=1)


class Baked(Unscriptable):
    """Its trace holds the number of rows that it was traced with."""

    def forward(self, rows: Tensor) -> Tensor:
        return super().forward(rows.reshape(int(rows.shape[0]), FEATURES))


class BatchDependent(nn.Module):
    """A row's logits depend on the rows beside it."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        return self.layer(rows - rows.mean(dim=0, keepdim=True))


class WithoutGradient(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(FEATURES, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        return self.layer(rows.detach())


class Logarithm(nn.Module):
    """Not finite below 0."""

    def forward(self, rows: Tensor) -> Tensor:
        return torch.log(rows)[:, :CLASSES]


class Doubles(nn.Module):
    def forward(self, rows: Tensor) -> Tensor:
        return rows.double()[:, :CLASSES]


class Listed(nn.Module):
    def forward(self, rows: Tensor) -> list[Tensor]:
        return [rows, rows]


def needs_argument(width: int) -> nn.Module:
    return nn.Linear(width, width)


def no_module() -> int:
    return 1


def softmax_head() -> nn.Sequential:
    """Probabilities, always of the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Linear(FEATURES, 5), nn.Tanh(), nn.Linear(5, CLASSES), nn.Softmax(1)).eval()


def one_logit() -> nn.Sequential:
    """The probability of the second of two classes, always of the same weights."""
    with torch.random.fork_rng():
        torch.manual_seed(1)
        layers = nn.Linear(FEATURES, 5), nn.Tanh(), nn.Linear(5, 1), nn.Sigmoid()
        layers[2].weight.data *= 20
        return nn.Sequential(*layers).eval()


class HiddenSigmoid(nn.Module):
    """A sigmoid, and a step behind it that changes nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.inner = one_logit()

    def forward(self, rows: Tensor) -> Tensor:
        return self.inner(rows).clamp(0, 1)


class SoftmaxConvolution(Convolution):
    """Probabilities, by way of feature maps."""

    def classify(self, maps: Tensor) -> Tensor:
        return torch.softmax(super().classify(maps), dim=1)


SLOPES = (0.02, -0.03, 0.01, 0.05)


class LinearProbability(nn.Module):
    """Two probabilities, 1/2 - w x and 1/2 + w x."""

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor(SLOPES))

    def forward(self, rows: Tensor) -> Tensor:
        part = (rows * self.slopes).sum(dim=1, keepdim=True)
        return torch.cat([0.5 - part, 0.5 + part], dim=1)


STRAIGHT = ((100.0, -40.0, 0.0, 250.0), (1.0, 2.0, -3.0, 0.5))
BENT = ((0.0, 500.0, -300.0, 80.0), (0.0, 1.0, 4.0, -2.0))
OFFSETS = (3000.0, 50.0)


class Additive(nn.Module):
    """Two quantities, each a sum over the features of a straight line and a bent one."""

    def __init__(self) -> None:
        super().__init__()
        self.straight = nn.Parameter(torch.tensor(STRAIGHT))
        self.bent = nn.Parameter(torch.tensor(BENT))
        self.offsets = nn.Parameter(torch.tensor(OFFSETS))

    def forward(self, rows: Tensor) -> Tensor:
        return rows @ self.straight.T + torch.tanh(rows) @ self.bent.T + self.offsets


def part(rows: NDArray[np.floating], feature: int, quantity: int) -> NDArray[np.float64]:
    """What one feature adds to a quantity of `Additive`, [N] in float64."""
    values = rows[:, feature].astype(np.float64)
    return STRAIGHT[quantity][feature] * values + BENT[quantity][feature] * np.tanh(values)


class OneQuantity(nn.Module):
    """One quantity a row, [N], linear in the features."""

    def __init__(self) -> None:
        super().__init__()
        self.slopes = nn.Parameter(torch.tensor(STRAIGHT[0]))

    def forward(self, rows: Tensor) -> Tensor:
        return rows @ self.slopes + 7
