"""From a table with gaps and categories to a bundle of trees, end to end."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.command import Whyport
from whyport.exporter.bundle.target import Target
from whyport.exporter.data.background import BackgroundChoice
from whyport.exporter.data.columns import encode_table
from whyport.exporter.data.dataset import TableChoice, load_dataset
from whyport.exporter.data.outcome import TargetChoice
from whyport.exporter.data.split import SplitChoice
from whyport.exporter.train.architectures import parse_settings
from whyport.exporter.train.grow import grow
from whyport.exporter.train.recipe import train_bundle
from whyport.exporter.train.settings import TrainSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.session import Session

FEATURES = ["size", "age", "colour", "town"]


@pytest.fixture(scope="module")
def frame() -> pd.DataFrame:
    """Numbers with gaps, a category of three with gaps and one of thirty; a price, and whether it is high."""
    random = np.random.default_rng(3)
    size, age = random.gamma(3, size=500), random.normal(size=500)
    colour = random.choice(np.array(["red", "green", "blue", None], dtype=object), size=500)
    town = random.integers(30, size=500)
    price = 100 + 20 * size + 5 * (colour == "red") + town % 5 + np.where(age > 0, 3, 0)
    size[random.random(500) < 0.1] = np.nan
    return pd.DataFrame(
        {
            "size": size.astype(np.float32),
            "age": age.astype(np.float32),
            "colour": colour,
            "town": [f"town {i}" for i in town],
            "price": price,
            "high": np.where(price > np.median(price), "yes", "no"),
        }
    )


@pytest.fixture(scope="module")
def path(frame: pd.DataFrame, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("houses") / "houses.parquet"
    frame.to_parquet(path)
    return path


def trained(path: Path, target: str, settings: TrainSettings, out: Path) -> Bundle:
    other = "high" if target == "price" else "price"
    split = SplitChoice(validation_fraction=0.2 if settings.architecture == "boosting" else None)
    choice = TableChoice(path, TargetChoice((target,), units={"price": "k€"} if target == "price" else {}), split=split)
    choice = TableChoice(path, choice.target, excluded=(other,), split=split)
    return train_bundle(choice, settings, Target(out), background=BackgroundChoice(rows=20))


@pytest.fixture(scope="module")
def forest(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """A forest for the price."""
    settings = TrainSettings("forest", parse_settings("forest", ["n_estimators=7", "max_depth=6"]), seed=1)
    return trained(path, "price", settings, tmp_path_factory.mktemp("forest") / "bundle")


@pytest.fixture(scope="module")
def boosting(path: Path, tmp_path_factory: pytest.TempPathFactory) -> Bundle:
    """Boosted trees for the class, with rows for the validation."""
    own = parse_settings("boosting", ["max_iter=30", "learning_rate=0.5", "max_leaf_nodes=6"])
    settings = TrainSettings("boosting", own, seed=1, patience=5)
    return trained(path, "high", settings, tmp_path_factory.mktemp("boosting") / "bundle")


def test_a_forest_of_quantities(forest: Bundle, path: Path, frame: pd.DataFrame) -> None:
    sidecar = forest.sidecar
    assert sidecar.score.kind == "value"
    assert (sidecar.score.targets[0].name, sidecar.score.targets[0].unit) == ("price", "k€")
    assert [column.missing for column in sidecar.columns[:2]] == ["impute", "impute"]
    choice = TableChoice(path, TargetChoice(("price",)), excluded=("high",))
    settings = TrainSettings("forest", parse_settings("forest", ["n_estimators=7", "max_depth=6"]), seed=1)
    dataset = load_dataset(choice, seed=1)
    grown = grow(dataset, settings)
    rows = encode_table(dataset.features, frame)
    expected = grown.outputs(rows)["value"]
    np.testing.assert_allclose(Trees.read(forest.read_bytes("trees.npz")).scores(rows), expected, rtol=1e-12)
    np.testing.assert_allclose(Session(forest, "cpu").predict(frame[FEATURES])["value"], expected, rtol=1e-6)
    assert np.sqrt(np.mean((expected[:, 0] - frame["price"]) ** 2)) < 15


def test_a_missing_number_of_a_forest_is_the_median(forest: Bundle, frame: pd.DataFrame) -> None:
    session, rows = Session(forest, "cpu"), frame[FEATURES]
    filled = rows.assign(size=rows["size"].fillna(forest.sidecar.columns[0].imputation))
    np.testing.assert_array_equal(session.predict(rows)["value"], session.predict(filled)["value"])


def test_boosting_has_its_own_way_with_missing_numbers(boosting: Bundle, path: Path, frame: pd.DataFrame) -> None:
    sidecar = boosting.sidecar
    assert (sidecar.score.kind, sidecar.score.output) == ("margin", "margin")
    assert [column.missing for column in sidecar.columns[:2]] == ["model", "model"]
    outputs = Session(boosting, "cpu").predict(frame[FEATURES])
    assert np.isfinite(outputs["margin"]).all()
    np.testing.assert_allclose(outputs["margin"][:, 0], -outputs["margin"][:, 1], atol=1e-6)
    sigmoid = 1 / (1 + np.exp(-outputs["margin"].astype(np.float64)))
    np.testing.assert_allclose(outputs["probabilities"], sigmoid, atol=1e-6)
    assert (outputs["probabilities"].argmax(1) == (frame["high"] == "yes")).mean() > 0.85


def test_what_the_bundle_says_of_its_training(forest: Bundle, boosting: Bundle) -> None:
    for bundle, name in ((forest, "forest"), (boosting, "boosting")):
        provenance = bundle.sidecar.provenance
        assert provenance.source == f"train {name}"
        assert not {"epochs", "batch_rows"} & set(provenance.settings)
        assert "scikit-learn" in provenance.versions
        assert bundle.sidecar.parity["native"] < 1e-6
        assert "training/checkpoint.pt" not in bundle.sidecar.files
        assert bundle.sidecar.capabilities["treeshap"].available
        assert "jump" in bundle.sidecar.capabilities["gradients"].reason
        found = json.loads(bundle.read_bytes("training/metrics.json"))
        assert found["rows"]["test"] == 100
    assert boosting.sidecar.provenance.settings["learning_rate"] == 0.5
    assert boosting.sidecar.provenance.settings["loss"] == "cross-entropy"
    assert forest.sidecar.provenance.settings["loss"] is None
    assert "training/results.csv" not in forest.sidecar.files
    results = boosting.read_bytes("training/results.csv").decode().splitlines()
    assert results[0] == "epoch,train_loss,train_accuracy,validation_loss,validation_accuracy,test_loss,test_accuracy"
    losses = [float(line.split(",")[3]) for line in results[1:]]
    assert boosting.sidecar.provenance.metrics["validation_loss"] == min(losses)
    assert boosting.sidecar.provenance.metrics["test_r2" if "r2" in results[0] else "test_auc"] > 0.9


def test_one_command(path: Path, tmp_path: Path, whyport: Whyport) -> None:
    settings = ["--set", "n_estimators=3", "--set", "max_depth=3", "--background", 10]
    common = ["train", path, "--target", "high", "--exclude", "price", "--architecture", "forest", *settings]
    shown = whyport(*common, "--out", tmp_path / "bundle").output
    assert "test_accuracy" in shown
    assert "classification-by-probability" in whyport("inspect", tmp_path / "bundle").output
    refused = whyport(*common, "--out", tmp_path / "other", "--epochs", 3, "--device", "cuda", exit_code=2).output
    assert "architecture 'forest': --epochs, --device are for networks" in refused
    assert not (tmp_path / "other").exists()
