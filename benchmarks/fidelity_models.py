"""The models whose explanations are compared, trained on scikit-learn's tables as `whyport train` trains."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from sklearn.datasets import load_breast_cancer, load_diabetes, load_wine
from torch import Tensor, nn

from whyport.exporter.bundle.target import Target
from whyport.exporter.data.dataset import TableChoice, load_dataset
from whyport.exporter.data.outcome import TargetChoice
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.train.architectures import ARCHITECTURES, create, parse_settings
from whyport.exporter.train.architectures.base import Architecture
from whyport.exporter.train.checkpoint import FILE, Checkpoint
from whyport.exporter.train.recipe import train_bundle
from whyport.exporter.train.settings import TrainSettings
from whyport.runtime.bundle.folder import Bundle

TARGET = "class"


class Recurrent(Architecture):
    """A stacked bidirectional GRU that reads the features one after the other."""

    def __init__(self, features: int, targets: int, hidden: int = 24, layers: int = 2) -> None:
        super().__init__()
        self.gru = nn.GRU(1, hidden, layers, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, targets)

    def forward(self, rows: Tensor) -> Tensor:
        """Scores [N, K] of standardised rows [N, F]."""
        return self.output(self.head(self.gru(rows.unsqueeze(2))[0].mean(dim=1)))  # type: ignore[no-any-return]


class Transformer(Architecture):
    """A transformer encoder with one token per feature: its value times a vector, plus the feature's own vector."""

    def __init__(self, features: int, targets: int, width: int = 32, heads: int = 4, layers: int = 2) -> None:
        super().__init__()
        self.value = nn.Parameter(torch.randn(features, width) * 0.5)
        self.feature = nn.Parameter(torch.randn(features, width) * 0.5)
        layer = nn.TransformerEncoderLayer(width, heads, 2 * width, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, layers, enable_nested_tensor=False)
        self.head = nn.Linear(width, targets)

    def forward(self, rows: Tensor) -> Tensor:
        """Scores [N, K] of standardised rows [N, F]."""
        tokens = rows.unsqueeze(2) * self.value + self.feature
        return self.output(self.head(self.encoder(tokens).mean(dim=1)))  # type: ignore[no-any-return]


ARCHITECTURES.update({name.lower(): f"{__name__}:{name}" for name in (Recurrent.__name__, Transformer.__name__)})


def breast_cancer() -> pd.DataFrame:
    """The breast-cancer table: the first 8 features, benign or malignant."""
    data = load_breast_cancer(as_frame=True)
    return data.data.iloc[:, :8].assign(**{TARGET: data.target_names[data.target]})


def wine() -> pd.DataFrame:
    """The wine table: the first 12 features, three cultivars."""
    data = load_wine(as_frame=True)
    return data.data.iloc[:, :12].assign(**{TARGET: data.target_names[data.target]})


def diabetes() -> pd.DataFrame:
    """The diabetes table: all 10 features; whether the disease progressed more than in half of the patients."""
    data = load_diabetes(as_frame=True, scaled=False)
    return data.data.assign(**{TARGET: np.where(data.target > data.target.median(), "more", "less")})


@dataclass(frozen=True)
class Case:
    """An architecture and a table."""

    architecture: str
    table: Callable[[], pd.DataFrame]
    epochs: int = 50
    learning_rate: float = 0.005


CASES = {
    "hybrid, breast cancer (8 features)": Case("hybrid", breast_cancer),
    "hybrid, wine (12 features)": Case("hybrid", wine),
    "bidirectional GRU, breast cancer (8 features)": Case("recurrent", breast_cancer),
    "transformer, diabetes (10 features)": Case("transformer", diabetes, learning_rate=0.001),
}


@dataclass(frozen=True)
class Trained:
    """A trained model as a bundle, and in eager PyTorch."""

    bundle: Bundle
    preprocess: nn.Module
    network: nn.Module
    """The network from standardised rows [N, F] to logits [N, C]."""
    double: nn.Module
    """The preprocessing and the network in float64."""
    test_rows: NDArray[np.float32]
    """Raw rows that were not used for training, [M, F]."""

    def logits(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """The eager model in float64: raw rows [N, F] to logits [N, C]."""
        with torch.no_grad():
            logits: NDArray[np.float64] = self.double(torch.from_numpy(rows)).numpy()
        return logits


class Logits(nn.Module):
    """The first output of a network with several."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, rows: Tensor) -> Tensor:
        """Logits [N, C] of standardised rows [N, F]."""
        given = self.network(rows)
        return given[0] if isinstance(given, tuple) else given


def train(case: Case, seed: int, folder: Path) -> Trained:
    """Train, write the bundle to `folder`, and load the weights again in eager PyTorch."""
    table = folder / "table.parquet"
    case.table().to_parquet(table, index=False)
    choice = TableChoice(table, TargetChoice((TARGET,)))
    network_settings = parse_settings(case.architecture, ())
    settings = TrainSettings(
        case.architecture, network_settings, epochs=case.epochs, learning_rate=case.learning_rate, seed=seed
    )
    bundle = train_bundle(choice, settings, Target(folder / "bundle"), device="cpu")
    sidecar = bundle.sidecar
    network = create(case.architecture, len(sidecar.columns), len(sidecar.targets), network_settings)
    model = nn.Sequential()
    model.add_module("preprocess", build_preprocessing(sidecar.columns, standardise=True))
    model.add_module("network", network)
    model.load_state_dict(Checkpoint.load(bundle.path / "training" / FILE).kept)
    model.eval().requires_grad_(False)
    preprocess, logits = model.get_submodule("preprocess"), Logits(network)
    double = copy.deepcopy(nn.Sequential(preprocess, logits)).double()
    return Trained(bundle, preprocess, logits, double, load_dataset(choice, seed).test.rows)
