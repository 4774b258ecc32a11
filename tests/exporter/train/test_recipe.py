"""From a table to a bundle, end to end."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import onnx
import pandas as pd
import pytest
import torch

from whyport.exporter.bundle.target import Target
from whyport.exporter.data.dataset import TableChoice
from whyport.exporter.data.outcome import TargetChoice
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.exporter.graphs.row_values import row_values
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.exporter.kinds import pytorch
from whyport.exporter.train import recipe
from whyport.exporter.train.architectures import create, parse_settings
from whyport.exporter.train.checkpoint import Checkpoint
from whyport.exporter.train.network import CheckpointFolder
from whyport.exporter.train.recipe import train_bundle
from whyport.exporter.train.settings import TrainSettings
from whyport.runtime.errors import ParityError, UsageError
from whyport.runtime.session import Session

MLP = TrainSettings("mlp", parse_settings("mlp", ["hidden=4"]), epochs=1)


def choice(path, **options):
    return TableChoice(path, TargetChoice(("label",)), excluded=("id",), **options)


def test_every_engine_takes_raw_values_with_gaps(trained, frame):
    rows = frame[[f"f{i}" for i in range(9)]]
    assert rows.isna().to_numpy().any()
    expected = load_torchscript(trained.read_bytes("model.pt"))(torch.tensor(rows.to_numpy(np.float32)))
    got = Session(trained, "cpu").predict(rows)
    for one, name in zip(expected, ("logits", "probabilities", "attention"), strict=True):
        np.testing.assert_allclose(got[name], one, atol=1e-5)
    assert got["attention"].shape == (240, 2, 2)


def test_a_gap_is_the_training_median(trained, dataset):
    rows = dataset.test.rows
    filled = np.where(np.isnan(rows), np.nanmedian(dataset.train.rows.astype(np.float64), axis=0), rows)
    session = Session(trained, "cpu")
    got, expected = (session.predict(values.astype(np.float32))["logits"] for values in (rows, filled))
    np.testing.assert_allclose(got, expected, atol=1e-6)


def test_metrics_are_those_of_the_exported_model(trained, dataset):
    predicted = Session(trained, "cpu").predict(dataset.test.rows)["logits"].argmax(axis=1)
    metrics = trained.sidecar.provenance.metrics
    np.testing.assert_allclose(metrics["test_accuracy"], (predicted == dataset.test.labels).mean())
    results = pd.read_csv(io.BytesIO(trained.read_bytes("training/results.csv")))
    assert list(results) == ["epoch", "train_loss", "train_accuracy", "test_loss", "test_accuracy"]
    assert results["test_accuracy"].iloc[-1] == pytest.approx(metrics["test_accuracy"])
    report = trained.read_bytes("training/classification_report.txt").decode()
    assert f"{metrics['test_accuracy']:.4f}" in report


def test_sidecar(trained, dataset):
    sidecar = trained.sidecar
    assert sidecar.name == "hybrid"
    assert sidecar.targets == dataset.targets
    assert sidecar.columns == dataset.features
    assert {name: capability.available for name, capability in sidecar.capabilities.items()} == {
        "gradients": True,
        "treeshap": False,
        "deepshap": True,
        "grad-cam": True,
        "cam": False,
        "attention": True,
        "explain-onnx": True,
        "gradient-onnx": True,
    }
    assert (sidecar.opset, sidecar.ir_version) == (18, 10)
    provenance = sidecar.provenance
    assert provenance.source == "train hybrid"
    assert (provenance.seed, provenance.data_digest) == (0, dataset.digest)
    assert provenance.settings["channels"] == 2
    assert provenance.settings["epochs"] == 3
    assert set(sidecar.parity) == {
        "onnx_outputs",
        "torchscript_outputs",
        "torchscript_gradients",
        "explain_outputs",
        "explain_attributions",
        "explain_completeness",
        "gradient_outputs",
        "gradient_gradients",
    }
    for value in sidecar.parity.values():
        assert 0 <= value < 1e-4
    assert {name for name in sidecar.files if name.startswith("training/")} == {
        f"training/{name}"
        for name in (
            "checkpoint.pt",
            "results.csv",
            "curves.eps",
            "curves.png",
            "confusion_matrix.eps",
            "confusion_matrix.png",
            "metrics.json",
            "classification_report.txt",
        )
    }


def test_the_metadata_travels_inside_the_model(trained):
    model = onnx.load(trained.path / "model.onnx")
    properties = {entry.key: entry.value for entry in model.metadata_props}
    assert properties == {"whyport": trained.sidecar.embedded(), "whyport.row_values": str(row_values(model))}
    assert json.loads(properties["whyport"])["inputs"][0]["columns"][0]["name"] == "f0"


def test_the_bundle_knows_no_path_of_this_machine(trained, table_path):
    places = [str(Path(torch.__file__).parents[1]), str(Path(recipe.__file__).parents[2]), str(table_path.parent)]
    for name in ("bundle.json", *trained.sidecar.files):
        content = (trained.path / name).read_bytes()
        for place in [*places, "site-packages"]:
            assert place.encode() not in content, name


def test_the_checkpoint_gives_the_network_again(trained, dataset):
    last = Checkpoint.load(trained.path / "training" / "checkpoint.pt")
    settings = {name: last.run.settings[name] for name in parse_settings("hybrid", [])}
    network = load_network(last, settings)
    preprocess = build_preprocessing(dataset.features, standardise=True)
    rows = torch.from_numpy(dataset.test.rows)
    graph = build_graph(network, preprocess, rows)
    expected = Session(trained, "cpu").predict(dataset.test.rows)["logits"]
    np.testing.assert_allclose(graph.module(rows)[0], expected, atol=1e-5)


def load_network(checkpoint, settings):
    network = create(
        checkpoint.run.settings["architecture"], len(checkpoint.run.features), len(checkpoint.run.targets), settings
    )
    prefix = "network."
    network.load_state_dict({n.removeprefix(prefix): t for n, t in checkpoint.kept.items() if n.startswith(prefix)})
    return network


def test_the_same_training_gives_the_same_bundle(table_path, tmp_path):
    first, again = (train_bundle(choice(table_path), MLP, Target(tmp_path / n, name="mlp")) for n in ("a", "b"))
    for name in first.sidecar.files:
        if name not in ("model.pt", "deepshap.pt"):  # TorchScript writes the constants of a type in the order of a set
            assert first.read_bytes(name) == again.read_bytes(name), name
    assert first.sidecar.files.keys() == again.sidecar.files.keys()


def test_another_opset(table_path, tmp_path):
    bundle = train_bundle(choice(table_path), MLP, Target(tmp_path / "bundle"), opset=22)
    assert bundle.sidecar.opset == 22


def test_a_breach_writes_nothing(table_path, tmp_path, monkeypatch):
    compile_onnx = pytorch.compile_onnx

    def tampered(*arguments):
        model = compile_onnx(*arguments)
        weights = model.graph.initializer[0]
        weights.CopyFrom(onnx.numpy_helper.from_array(onnx.numpy_helper.to_array(weights) + 1, weights.name))
        return model

    monkeypatch.setattr(pytorch, "compile_onnx", tampered)
    with pytest.raises(ParityError, match="ONNX Runtime: expected a deviation of at most 0.0001"):
        train_bundle(choice(table_path), MLP, Target(tmp_path / "bundle"))
    assert os.listdir(tmp_path) == []


def test_checkpoints(table_path, tmp_path):
    folder = tmp_path / "state"
    with pytest.raises(UsageError, match="--resume needs --checkpoint"):
        CheckpointFolder(resume=True).start()
    train_bundle(choice(table_path), MLP, Target(tmp_path / "a"), folder=CheckpointFolder(folder))
    with pytest.raises(UsageError, match="holds a checkpoint: go on from it with --resume, or remove it"):
        train_bundle(choice(table_path), MLP, Target(tmp_path / "b"), folder=CheckpointFolder(folder))
    assert CheckpointFolder(folder, resume=True).start().results[-1].epoch == 1


@pytest.mark.slow
def test_killed_and_resumed_from_the_command_line(table_path, tmp_path):
    def command(out, *more):
        program = "from whyport.cli import main; main()"
        arguments = [table_path, "--target", "label", "--exclude", "id", "--epochs", 6, "--out", tmp_path / out]
        settings = ["--set", "channels=2", "--set", "lstm_hidden=4", "--set", "lstm_layers=1", "--set", "heads=2"]
        whole = [
            sys.executable,
            "-c",
            program,
            "train",
            *arguments,
            *settings,
            "--name",
            "same",
            "--explain-references",
            "0",
            *more,
        ]
        return [str(part) for part in whole]

    root = Path(recipe.__file__).parents[1]
    subprocess.run(command("whole"), check=True, cwd=root)
    state = tmp_path / "state"
    process = subprocess.Popen(command("cut", "--checkpoint", state), cwd=root)
    while not (state / "checkpoint.pt").exists():
        assert process.poll() is None
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not (tmp_path / "cut").exists()
    subprocess.run(command("cut", "--checkpoint", state, "--resume"), check=True, cwd=root)
    for name in ("training/checkpoint.pt", "training/results.csv", "conformance.parquet", "model.onnx"):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
