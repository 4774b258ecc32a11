"""A small table, and bundles that several tests read."""

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.dataset import Dataset, TableChoice, load_dataset
from whyport.exporter.data.outcome import TargetChoice
from whyport.runtime.bundle.folder import Bundle

# So that "example_networks:linear" can be imported as a user's module would be.
sys.path.append(str(Path(__file__).parents[1] / "support"))


def make_frame(rows: int = 240, features: int = 9, seed: int = 0) -> pd.DataFrame:
    """Features of different scales, one constant, two with gaps; the class follows from the first two."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=(rows, features))
    score = values[:, 0] + 0.5 * values[:, 1]
    labels = np.select([score < -0.5, score < 0.5], ["low", "mid"], "high")
    values = values * 10.0 ** (np.arange(features) % 4 - 1) + np.arange(features)
    values[:, -1] = 0.1
    values[rng.random(rows) < 0.1, 2] = np.nan
    values[rng.random(rows) < 0.3, 3] = np.nan
    frame = pd.DataFrame(values, columns=[f"f{i}" for i in range(features)])
    return frame.assign(id=np.arange(rows), label=labels)


@pytest.fixture(scope="session")
def frame() -> pd.DataFrame:
    return make_frame()


@pytest.fixture(scope="session")
def table_path(tmp_path_factory, frame) -> Path:
    path = tmp_path_factory.mktemp("table") / "table.csv"
    frame.to_csv(path, index=False)
    return path


@pytest.fixture(scope="session")
def dataset(table_path) -> Dataset:
    return load_dataset(TableChoice(table_path, TargetChoice(("label",)), excluded=("id",)), seed=0)


@pytest.fixture(scope="session")
def trained(table_path, tmp_path_factory, whyport) -> Bundle:
    """A hybrid bundle, by way of the command line."""
    out = tmp_path_factory.mktemp("trained") / "hybrid"
    settings = ["--set", "channels=2", "--set", "lstm_hidden=4", "--set", "lstm_layers=1", "--set", "heads=2"]
    whyport(
        "train", table_path, "--target", "label", "--exclude", "id", "--epochs", 3, "--device", "cpu",
        "--out", out, *settings,
    )  # fmt: skip
    return Bundle.read(out)


@pytest.fixture(scope="session")
def sample_path(tmp_path_factory) -> Path:
    """Four features with gaps for the users' networks."""
    path = tmp_path_factory.mktemp("sample") / "sample.parquet"
    make_frame(rows=120, features=5)[["f0", "f1", "f2", "f3"]].to_parquet(path)
    return path


@pytest.fixture(scope="session")
def complete_path(tmp_path_factory) -> Path:
    """The same without gaps."""
    path = tmp_path_factory.mktemp("sample") / "complete.csv"
    make_frame(rows=120, features=5)[["f0", "f1", "f2", "f3"]].dropna().to_csv(path, index=False)
    return path
