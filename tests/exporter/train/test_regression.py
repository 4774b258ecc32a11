"""Quantities from a table to a bundle: scores, metrics and attributions in the targets' units."""

import io
import json

import numpy as np
import pandas as pd
import pytest
from sklearn import metrics

import whyport as library
from whyport.exporter.data.dataset import TableChoice, load_dataset
from whyport.exporter.data.outcome import TargetChoice

ROWS = 300
FEATURES = ["a", "b", "c", "d"]
MLP = ("--architecture", "mlp", "--set", "hidden=8", "--set", "layers=1")


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Two targets, nearly linear in the features: a weight of some thousand grams, and a length without a unit."""
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(ROWS, 4)) * [1, 10, 0.1, 5]
    noise = rng.normal(size=(ROWS, 2))
    frame = pd.DataFrame(rows, columns=FEATURES)
    frame["weight"] = 3000 + 400 * frame.a - 30 * frame.b + 20 * noise[:, 0]
    frame["length"] = 0.5 + 0.2 * frame.c + 0.001 * noise[:, 1]
    path = tmp_path_factory.mktemp("regression") / "births.parquet"
    frame.to_parquet(path)
    return path


@pytest.fixture(scope="module")
def bundle(path, tmp_path_factory):
    return library.train(
        path, ["weight", "length"], tmp_path_factory.mktemp("regression") / "bundle", target_unit={"weight": "g"},
        architecture="mlp", set={"hidden": 8, "layers": 1}, epochs=40, learning_rate=0.02, loss="huber",
        validation_fraction=0.2, patience=20, explain_references=0,
    )  # fmt: skip


@pytest.fixture(scope="module")
def held_back(path):
    from whyport.exporter.data.split import SplitChoice

    split = SplitChoice(validation_fraction=0.2)
    return load_dataset(TableChoice(path, TargetChoice(("weight", "length")), split=split), seed=0).test


def test_the_sidecar_names_quantities_and_units(bundle):
    score = bundle.sidecar.score
    assert (score.task, score.kind, score.output, score.probabilities) == ("regression", "value", "value", None)
    assert [(target.name, target.unit) for target in score.targets] == [("weight", "g"), ("length", None)]
    settings = bundle.sidecar.provenance.settings
    assert (settings["target"], settings["loss"], settings["validation_fraction"]) == ("weight,length", "huber", 0.2)


def test_the_metrics_are_scikit_learns_in_the_units(bundle, held_back):
    values = library.Session(bundle, "cpu").predict(held_back.rows)["value"].astype(np.float64)
    got, measured = bundle.sidecar.provenance.metrics, held_back.labels
    assert got["test_r2.weight"] > 0.9
    for index, name in enumerate(("weight", "length")):
        one, true = values[:, index], measured[:, index]
        np.testing.assert_allclose(got[f"test_r2.{name}"], metrics.r2_score(true, one), rtol=1e-4)
        np.testing.assert_allclose(got[f"test_mae.{name}"], metrics.mean_absolute_error(true, one), rtol=1e-4)
        np.testing.assert_allclose(got[f"test_rmse.{name}"], metrics.root_mean_squared_error(true, one), rtol=1e-4)
    np.testing.assert_allclose(got["test_r2"], metrics.r2_score(measured, values), rtol=1e-4)
    np.testing.assert_allclose(values.mean(axis=0), measured.mean(axis=0), rtol=0.1)
    assert got["baseline_r2"] < 0.05


def test_the_figures_are_those_of_the_best_epoch(bundle):
    results = pd.read_csv(io.BytesIO(bundle.read_bytes("training/results.csv")))
    kept = results.iloc[results["validation_loss"].argmin()]
    got = bundle.sidecar.provenance.metrics
    for name in ("train_loss", "train_r2", "validation_loss", "validation_r2", "test_loss"):
        assert got[name] == pytest.approx(kept[name], rel=1e-12), name


def test_the_folder_has_scatter_and_residuals_in_place_of_classes(bundle, held_back):
    assert {name.removeprefix("training/") for name in bundle.sidecar.files if name.startswith("training/")} == {
        "checkpoint.pt",
        "results.csv",
        "metrics.json",
        *(
            f"{name}.{kind}"
            for name in ("curves", "measured_against_predicted", "residuals")
            for kind in ("eps", "png")
        ),
    }
    found = json.loads(bundle.read_bytes("training/metrics.json"))
    assert (found["targets"], found["units"]) == (["weight", "length"], ["g", None])
    assert (found["per_class"], found["calibration"]) == (None, None)
    np.testing.assert_array_equal(found["residuals"][0]["measured"], held_back.labels[:, 0])
    header = bundle.read_bytes("training/results.csv").decode().splitlines()[0]
    assert header == "epoch,train_loss,train_r2,validation_loss,validation_r2,test_loss,test_r2"
    text = bundle.read_bytes("training/metrics.json").decode()
    assert not any(word in text for word in ("class ", "logit", "probabilit"))


def test_one_quantity_by_the_command(whyport, path, tmp_path):
    output = whyport(
        "train", path, "--target", "weight", "--target-unit", "weight=g", "--features", ",".join(FEATURES),
        "--out", tmp_path / "one", "--epochs", 5, "--learning-rate", 0.02, "--explain-references", 3, *MLP,
    ).output  # fmt: skip
    table = {line.split()[0]: line.split()[1:] for line in output.splitlines() if line.startswith("test_")}
    assert list(table) == ["test_r2", "test_mae", "test_rmse"]
    assert table["test_mae"][-1] == "g"
    assert len(table["test_r2"]) == 2
    assert "always the mean" in output
    rows = pd.read_parquet(path)[FEATURES].iloc[:20]
    session = library.Session(library.Bundle.read(tmp_path / "one"), "cpu")
    values, reasons = session.predict(rows)["value"], session.explain(rows)
    total = reasons.base_value + reasons.values.sum(axis=1)
    np.testing.assert_allclose(total, values[:, 0], rtol=1e-5)


def test_a_target_of_large_numbers_keeps_its_reasons(tmp_path):
    rng = np.random.default_rng(1)
    frame = pd.DataFrame(rng.normal(size=(ROWS, 8)), columns=list("abcdefgh"))
    frame["price"] = 200_000 + 80_000 * (frame.a - frame.b / 2 + frame.c * frame.d / 5)
    frame.to_parquet(tmp_path / "houses.parquet")
    bundle = library.train(
        tmp_path / "houses.parquet", "price", tmp_path / "bundle", architecture="mlp", epochs=5, explain_references=4
    )
    for name in ("gradients", "deepshap", "explain-onnx", "gradient-onnx"):
        assert bundle.sidecar.capabilities[name].available, bundle.sidecar.capabilities[name].reason
    library.verify(bundle)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--target", "weight", "--classes", "no,yes"], "--classes: target 'weight' holds numbers that are no classes"),
        (
            ["--target", "weight", "--class-weights", "balanced"],
            "--class-weights: a regression has no classes to weigh",
        ),
        (["--target", "weight", "--loss", "cross-entropy"], "unknown loss of a regression 'cross-entropy'"),
        (["--target", "weight,length", "--task", "classification"], "expected one target with classes"),
        (["--target", "weight", "--target-unit", "g"], "expected TARGET=UNIT with a target of 'weight', got 'g'"),
    ],
)
def test_words_of_another_task_are_refused(whyport, path, tmp_path, options, message):
    features = ["--features", ",".join(FEATURES), *MLP]
    output = whyport("train", path, "--out", tmp_path / "bundle", *options, *features, exit_code=2).output
    assert message in output


def test_a_row_without_a_target_is_named(whyport, path, tmp_path):
    frame = pd.read_parquet(path)
    frame.loc[7, "weight"] = np.nan
    frame.to_csv(tmp_path / "gap.csv", index=False)
    output = whyport(
        "train", tmp_path / "gap.csv", "--target", "weight", "--out", tmp_path / "bundle", exit_code=1
    ).output
    assert "target 'weight', row 7: expected a finite number within float32, got a missing value" in output
