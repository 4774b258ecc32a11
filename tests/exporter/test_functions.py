"""The functions `train` and `export` ask for what the commands ask for."""

from pathlib import Path

import pytest
import torch

import whyport as library
from whyport.exporter.threads import operator_threads


class AskedError(Exception):
    """Carries what would be made, in place of making it."""


@pytest.fixture
def asked(monkeypatch):
    """Calls something that makes a bundle, and returns what it asks the exporter for, with PyTorch's threads."""

    def refuse(*args, **kwargs):
        raise AskedError(
            args, {key: value for key, value in kwargs.items() if value is not None}, torch.get_num_threads()
        )

    monkeypatch.setattr("whyport.exporter.export.export_bundle", refuse)
    monkeypatch.setattr("whyport.exporter.train.recipe.train_bundle", refuse)

    def call(function, *args, **kwargs):
        with pytest.raises(AskedError) as caught:
            function(*args, **kwargs)
        return caught.value.args

    return call


@pytest.fixture
def table(tmp_path):
    """A table whose columns are looked at before anything is asked for."""
    path = tmp_path / "rows.csv"
    path.write_text("id,a,b,label\n1,0.5,1.5,no\n")
    return path


@pytest.fixture(autouse=True)
def one_thread():
    """The command leaves the threads as it sets them."""
    yield
    torch.set_num_threads(1)


def test_train_asks_for_what_the_command_does(whyport, asked, table, tmp_path):
    data, out, state = table, tmp_path / "bundle", tmp_path / "state"
    by_library = asked(
        library.train, str(data), "label", str(out), test=str(data), test_fraction=0.3, features=["a", "b"],
        exclude="id", architecture="mlp", set={"hidden": 4, "dropout": 0.25}, epochs=3, batch_rows=16,
        learning_rate=0.01, background=30, explain_references=4, seed=5, device="cpu", threads=2,
        checkpoint=str(state), resume=True, name="same", overwrite=True, opset=20,
    )  # fmt: skip
    assert torch.get_num_threads() == 1
    by_command = asked(
        whyport, "train", data, "--target", "label", "--out", out, "--test", data, "--test-fraction", 0.3,
        "--features", "a,b", "--exclude", "id", "--architecture", "mlp", "--set", "hidden=4", "--set", "dropout=0.25",
        "--epochs", 3, "--batch-rows", 16, "--learning-rate", 0.01, "--background", 30, "--explain-references", 4,
        "--seed", 5, "--device", "cpu", "--threads", 2, "--checkpoint", state, "--resume", "--name", "same",
        "--overwrite", "--opset", 20,
    )  # fmt: skip
    assert by_library == by_command
    plain = asked(library.train, data, "label", out)
    assert plain == asked(whyport, "train", data, "--target", "label", "--out", out)


def test_train_asks_for_classes_and_quantities_as_the_command_does(whyport, asked, table, tmp_path):
    out = tmp_path / "bundle"
    classes = asked(
        library.train, table, "label", out, task="classification", classes=["no", "yes"], class_weights="balanced",
        validation_fraction=0.1, split_by="id", patience=4, loss="cross-entropy", features=["a", "b"],
    )  # fmt: skip
    assert classes == asked(
        whyport, "train", table, "--target", "label", "--out", out, "--task", "classification", "--classes", "no,yes",
        "--class-weights", "balanced", "--validation-fraction", 0.1, "--split-by", "id", "--patience", 4,
        "--loss", "cross-entropy", "--features", "a,b",
    )  # fmt: skip
    quantities = asked(
        library.train, table, ["a", "b"], out, target_unit={"a": "g"}, validation=table, loss="mae", features="id"
    )
    assert quantities == asked(
        whyport, "train", table, "--target", "a,b", "--out", out, "--target-unit", "a=g", "--validation", table,
        "--loss", "mae", "--features", "id",
    )  # fmt: skip


def test_export_asks_for_what_the_command_does(whyport, asked, table, tmp_path):
    sample, out, weights = table, tmp_path / "bundle", tmp_path / "weights.pt"
    by_library = asked(
        library.export, "m:f", str(sample), str(out), weights=str(weights), features=("b", "a"), exclude=["id"],
        classes=["no", "yes"], impute=True, standardise=True, background=sample, explain_references=0, threads=2,
        seed=5, name="same", overwrite=True, opset=20,
    )  # fmt: skip
    by_command = asked(
        whyport, "export", "m:f", "--sample", sample, "--out", out, "--weights", weights, "--features", "b,a",
        "--exclude", "id", "--classes", "no,yes", "--impute", "--standardise", "--background", sample,
        "--explain-references", 0, "--threads", 2, "--seed", 5, "--name", "same", "--overwrite", "--opset", 20,
    )  # fmt: skip
    assert by_library == by_command
    onnx = Path("model.onnx")
    assert asked(library.export, onnx, sample, out) == asked(whyport, "export", onnx, "--sample", sample, "--out", out)


def test_export_gives_the_bundle(sample_path, tmp_path):
    bundle = library.export(
        "example_networks:linear", sample_path, tmp_path / "bundle", classes=["a", "b, c", "d"], impute=True,
        explain_references=0,
    )  # fmt: skip
    assert bundle == library.Bundle.read(tmp_path / "bundle")
    assert bundle.sidecar.targets == ("a", "b, c", "d")


def test_threads_are_as_before_afterwards():
    before = torch.get_num_threads()
    with pytest.raises(library.UsageError, match="from inside"), operator_threads(before + 1):
        raise library.UsageError(f"from inside: {torch.get_num_threads()}")
    assert torch.get_num_threads() == before
    with pytest.raises(library.UsageError, match="threads: expected at least 1, got 0"), operator_threads(0):
        pytest.fail("not reached")
