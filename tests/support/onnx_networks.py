"""Networks of the usual layers on 12 features, and what PyTorch's two exporters to ONNX make of them."""

import io
import logging
import warnings
from functools import cache

import onnx
import torch
from torch import Tensor, nn

FEATURES, STEPS, WIDTH, CLASSES = 12, 3, 4, 2


class Sequence(nn.Module):
    """A recurrent layer over steps, whose last output is scored."""

    def __init__(self, kind: str, *, both: bool = False, layers: int = 1) -> None:
        super().__init__()
        self.layer = getattr(nn, kind)(WIDTH, 4, num_layers=layers, batch_first=True, bidirectional=both)
        self.head = nn.Linear(8 if both else 4, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        sequence, _ = self.layer(rows.reshape(rows.shape[0], STEPS, WIDTH))
        return self.head(sequence[:, -1])


class Convolution(nn.Module):
    """Two convolutions, each with its usual neighbours."""

    def __init__(self) -> None:
        super().__init__()
        self.body = nn.Sequential(
            *(nn.Conv1d(1, 4, 3, padding=1), nn.BatchNorm1d(4), nn.ReLU(), nn.MaxPool1d(2)),
            *(nn.Conv1d(4, 4, 3), nn.GELU(), nn.AdaptiveAvgPool1d(1)),
        )
        self.head = nn.Linear(4, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.body(rows.unsqueeze(1)).flatten(1))


class Residual(nn.Module):
    """Layers with a way around them."""

    def __init__(self) -> None:
        super().__init__()
        self.inner, self.norm = nn.Linear(FEATURES, FEATURES), nn.BatchNorm1d(FEATURES)
        self.head = nn.Linear(FEATURES, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(rows + torch.tanh(self.norm(self.inner(rows))))


class Attention(nn.Module):
    """One block of a transformer."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Linear(WIDTH, 8)
        self.block = nn.TransformerEncoderLayer(8, 2, 16, batch_first=True, dropout=0.0, activation="gelu")
        self.head = nn.Linear(8, CLASSES)

    def forward(self, rows: Tensor) -> Tensor:
        return self.head(self.block(self.embedding(rows.reshape(rows.shape[0], STEPS, WIDTH))).mean(1))


NETWORKS = {
    "mlp": lambda: nn.Sequential(
        nn.Linear(FEATURES, 8), nn.ReLU(), nn.LayerNorm(8), nn.Linear(8, 4), nn.SiLU(), nn.Linear(4, CLASSES)
    ),
    "convolution": Convolution,
    "residual": Residual,
    "lstm": lambda: Sequence("LSTM", both=True),
    "gru": lambda: Sequence("GRU", layers=2),
    "rnn": lambda: Sequence("RNN"),
    "transformer": Attention,
}
EXPORTERS = ("dynamo", "TorchScript")
NAMES = [f"{network} by {exporter}" for network in NETWORKS for exporter in EXPORTERS]


@cache
def make_network(name: str) -> nn.Module:
    """A network of `NETWORKS`, or one of `NAMES` before its export."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = NETWORKS[name.partition(" ")[0]]().eval()
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm1d):
                layer.running_mean.normal_(), layer.running_var.uniform_(0.5, 2)
    return network


@cache
def export_network(name: str) -> onnx.ModelProto:
    """One of `NAMES`: the input "x", the output "scores"."""
    rows, file = torch.randn(3, FEATURES, generator=torch.Generator().manual_seed(0)), io.BytesIO()
    names = {"input_names": ["x"], "output_names": ["scores"], "opset_version": 18}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.ERROR)
        try:
            if name.endswith(EXPORTERS[0]):
                shapes = ({0: torch.export.Dim("N")},)
                torch.onnx.export(
                    make_network(name), (rows,), file, dynamo=True, dynamic_shapes=shapes, verbose=False,
                    external_data=False, **names,
                )  # fmt: skip
            else:
                torch.onnx.export(
                    make_network(name), (rows,), file, dynamo=False, dynamic_axes={"x": {0: "N"}, "scores": {0: "N"}},
                    **names,
                )  # fmt: skip
        finally:
            logging.disable(logging.NOTSET)
    return onnx.load_from_string(file.getvalue())
