"""An LSTM over the steps of sequences."""

from typing import ClassVar

import torch
from torch import Tensor, nn

from whyport.exporter.train.architectures.base import Architecture, Shapes, require_positive
from whyport.exporter.train.architectures.steps import RowPlaces, TakeCells
from whyport.runtime.errors import TrainingError


class LSTM(Architecture):
    """An LSTM over the steps, whose last state, beside the columns of tables, is what dense layers score.

    Args:
        features: F, the cells of a row; of a table alone, a sequence with one channel.
        targets: K, classes or quantities.
        lstm_hidden: hidden units of each direction.
        lstm_layers: layers of the LSTM.
        bidirectional: whether a second LSTM reads the steps from the last to the first.
        head: units of a dense layer with ReLU in front of the scores; 0 for none.
        shapes: the shape of each input's row; empty for one table.
    """

    reads_shapes: ClassVar[bool] = True

    def __init__(
        self,
        features: int,
        targets: int,
        lstm_hidden: int = 32,
        lstm_layers: int = 1,
        bidirectional: bool = False,
        head: int = 0,
        *,
        shapes: Shapes = (),
    ) -> None:
        super().__init__()
        require_positive(lstm_hidden=lstm_hidden, lstm_layers=lstm_layers)
        if head < 0:
            raise TrainingError(f"setting 'head': expected at least 0, got {head}")
        places = RowPlaces.of(features, shapes)
        self.hidden = lstm_hidden
        self.bidirectional = bidirectional
        self.has_columns = len(places.columns) > 0
        self.take_steps = TakeCells(places.steps, features)
        self.take_columns = TakeCells(places.columns, features)
        self.lstm = nn.LSTM(
            places.steps.shape[1], lstm_hidden, lstm_layers, batch_first=True, bidirectional=bidirectional
        )
        width = lstm_hidden * (2 if bidirectional else 1) + len(places.columns)
        dense = [nn.Linear(width, head), nn.ReLU()] if head else []
        self.head = nn.Sequential(*dense, nn.Linear(head or width, targets))

    def forward(self, rows: Tensor) -> Tensor:
        """Scores [N, K] of standardised rows [N, F]."""
        states, _ = self.lstm(self.take_steps(rows))
        seen = states[:, -1, : self.hidden]
        if self.bidirectional:  # the last state of the way back is that of the first step
            seen = torch.cat([seen, states[:, 0, self.hidden :]], dim=1)
        if self.has_columns:
            seen = torch.cat([seen, self.take_columns(rows)], dim=1)
        return self.output(self.head(seen))  # type: ignore[no-any-return]
