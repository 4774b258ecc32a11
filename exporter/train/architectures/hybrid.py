"""The hybrid CNN-BiLSTM-attention network."""

from typing import ClassVar

from torch import Tensor, nn

from whyport.exporter.train.architectures.base import Architecture, Shapes, require_positive
from whyport.exporter.train.architectures.steps import RowPlaces, TakeCells
from whyport.runtime.errors import TrainingError


class Hybrid(Architecture):
    """Two convolution blocks over the steps, a bidirectional LSTM, self-attention, the mean over positions.

    Args:
        features: F, the cells of a row; of a table alone, a sequence with one channel.
        targets: K, classes or quantities.
        channels: channels of the first convolution; the second has twice as many.
        lstm_hidden: hidden units of each direction of the LSTM.
        lstm_layers: layers of the LSTM.
        heads: attention heads; a divisor of 2 * lstm_hidden.
        shapes: the shape of each input's row; empty for one table. Columns beside a sequence are channels of every
            step.
    """

    minimum_features: ClassVar[int] = 4  # two poolings by 2 leave one position
    reads_shapes: ClassVar[bool] = True

    def __init__(
        self,
        features: int = 4,
        targets: int = 4,
        channels: int = 16,
        lstm_hidden: int = 32,
        lstm_layers: int = 2,
        heads: int = 4,
        *,
        shapes: Shapes = (),
    ) -> None:
        super().__init__()
        require_positive(channels=channels, lstm_hidden=lstm_hidden, lstm_layers=lstm_layers, heads=heads)
        width = 2 * lstm_hidden
        if width % heads:
            raise TrainingError(f"setting 'heads': expected a divisor of 2 * lstm_hidden = {width}, got {heads}")
        places = RowPlaces.of(features, shapes).repeated
        self.positions = len(places) // 4
        self.take_steps = TakeCells(places.T, features)
        self.block1 = _block(places.shape[1], channels)
        self.block2 = _block(channels, 2 * channels)
        self.lstm = nn.LSTM(2 * channels, lstm_hidden, lstm_layers, batch_first=True, bidirectional=True)
        self.attention = nn.MultiheadAttention(width, heads, batch_first=True)
        self.head = nn.Linear(width, targets)

    def features(self, rows: Tensor) -> Tensor:
        """The last convolution block's maps [N, 2 * channels, L] of standardised rows [N, F]; L is a quarter of T."""
        return self.block2(self.block1(self.take_steps(rows)))  # type: ignore[no-any-return]

    def classify(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [N, K] and attention weights [N, query, key] of feature maps."""
        sequence, _ = self.lstm(maps.permute(0, 2, 1))
        context, weights = self.attention(sequence, sequence, sequence)
        assert weights is not None  # for TorchScript: optional in its signature
        return self.output(self.head(context.mean(dim=1))), weights

    def forward(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Scores [N, K] and attention weights [N, L, L] of standardised rows [N, F]."""
        return self.classify(self.features(rows))

    def caveat(self, *, encodes: bool = False) -> str:
        """Cells of categories are no sequence, and a pooled sequence of one position leaves nothing to attend to."""
        if encodes:
            return (
                "the network reads the cells of encoded categories as positions of its sequence, as it reads numbers: "
                "neither its attention weights nor Grad-CAM belong to columns, so the bundle serves neither"
            )
        if self.positions > 1:
            return ""
        return (
            "fewer than 8 features, or steps, pool to a sequence of length 1: every attention weight is 1 and Grad-CAM "
            "is the same for every feature, so neither says anything about this model"
        )


def _block(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv1d(inputs, outputs, kernel_size=3, padding=1), nn.ReLU(), nn.BatchNorm1d(outputs), nn.MaxPool1d(2)
    )
