"""The model that the benchmarks measure: the demo model, trained on scikit-learn's breast-cancer table."""

from pathlib import Path

import numpy as np
import pandas as pd
import torch
from click.testing import CliRunner
from sklearn.datasets import load_breast_cancer
from torch import Tensor

from whyport.cli import main as whyport
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.train.architectures import create
from whyport.exporter.train.checkpoint import Checkpoint
from whyport.runtime.bundle.folder import Bundle


def train(folder: Path) -> Bundle:
    """Train the demo model and write its bundle to a folder."""
    data = load_breast_cancer(as_frame=True)
    data.data.assign(diagnosis=data.target_names[data.target]).to_parquet(folder / "train.parquet")
    arguments = ["train", folder / "train.parquet", "--target", "diagnosis", "--out", folder / "bundle"]
    CliRunner().invoke(whyport, [str(a) for a in arguments], catch_exceptions=False)
    return Bundle.read(folder / "bundle")


def resample(rows: int) -> pd.DataFrame:
    """Rows drawn from the table, each value off by about 2 %."""
    generator = np.random.default_rng(0)
    table = load_breast_cancer(as_frame=True).data.sample(rows, replace=True, random_state=0).reset_index(drop=True)
    return table * generator.normal(1, 0.02, size=table.shape)


class EagerModel(torch.nn.Module):
    """The trained network in eager PyTorch, from raw rows [N, F] to logits [N, C]."""

    def __init__(self, bundle: Bundle) -> None:
        super().__init__()
        checkpoint = Checkpoint.load(bundle.path / "training" / "checkpoint.pt")
        sidecar = bundle.sidecar
        settings = {k: v for k, v in checkpoint.run.settings.items() if k in sidecar.provenance.settings}
        known = ("channels", "lstm_hidden", "lstm_layers", "heads", "dropout")
        network = create(
            "hybrid", len(sidecar.columns), len(sidecar.targets), {k: settings[k] for k in known if k in settings}
        )
        self.preprocess = build_preprocessing(sidecar.columns, standardise=True)
        self.network = network
        self.load_state_dict(checkpoint.kept)
        self.eval()

    def forward(self, rows: Tensor) -> Tensor:
        logits: Tensor = self.network(self.preprocess(rows))[0]
        return logits
