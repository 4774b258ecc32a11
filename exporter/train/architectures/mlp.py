"""A small dense network."""

from itertools import pairwise

from torch import Tensor, nn

from whyport.exporter.train.architectures.base import Architecture, require_positive
from whyport.runtime.errors import TrainingError


class MLP(Architecture):
    """Dense layers with ReLU and dropout between them.

    Args:
        features: F.
        targets: K, classes or quantities.
        hidden: units of each hidden layer.
        layers: hidden layers.
        dropout: share of the hidden units that is dropped while training, in [0, 1).
    """

    def __init__(self, features: int, targets: int, hidden: int = 64, layers: int = 2, dropout: float = 0.0) -> None:
        super().__init__()
        require_positive(hidden=hidden, layers=layers)
        if not 0 <= dropout < 1:
            raise TrainingError(f"setting 'dropout': expected a share in [0, 1), got {dropout}")
        parts: list[nn.Module] = []
        for inputs, outputs in pairwise([features, *[hidden] * layers]):
            parts += [nn.Linear(inputs, outputs), nn.ReLU(), nn.Dropout(dropout)]
        self.stack = nn.Sequential(*parts, nn.Linear(hidden, targets))

    def forward(self, rows: Tensor) -> Tensor:
        """Scores [N, K] of standardised rows [N, F]."""
        return self.output(self.stack(rows))  # type: ignore[no-any-return]
