"""Networks that are trained on sequences, from lists and from wide columns, alone and beside a table."""

import json
import logging
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import torch
from numpy.typing import NDArray

import whyport
from whyport.exporter.data.dataset import TableChoice, load_dataset
from whyport.exporter.data.input_choice import parse_inputs
from whyport.exporter.data.outcome import TargetChoice
from whyport.exporter.data.samples import Samples
from whyport.exporter.data.split import SplitChoice
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.graph import BESIDE
from whyport.exporter.kinds import pytorch
from whyport.exporter.kinds.pytorch import compile_network
from whyport.exporter.train.architectures import create, parse_settings
from whyport.exporter.train.checkpoint import Checkpoint
from whyport.exporter.train.loop import train
from whyport.exporter.train.settings import TrainSettings
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.errors import ColumnError, MissingValueError, TrainingError, UsageError, WhyportError
from whyport.runtime.session import Session

STEPS, WIDTH, ROWS = 8, 2, 60
RNG = np.random.default_rng(0)
VALUES = RNG.normal((50.0, -3.0), (5.0, 0.5), (ROWS, STEPS, WIDTH)).astype(np.float32)
DOSE = RNG.normal(10.0, 4.0, ROWS).astype(np.float32)
STATE = (VALUES[:, -3:, 0].mean(1) + DOSE > 60).astype(int)
LATER = VALUES[:20] * 1.5
"""Test rows whose statistics are others."""
MISFITS = {0: VALUES[0, :5].tolist(), 7: None, 11: [[1.0, np.nan], *VALUES[11, 1:].tolist()]}
FITTING = np.setdiff1d(np.arange(ROWS), list(MISFITS))
INPUTS = ("x=sequence:vitals:names=hr|temperature", "static=table:dose")
LSTM = {"lstm_hidden": 3, "bidirectional": True, "head": 4}


def lists(path: Path, values: list[object], rows: NDArray[np.int64]) -> Path:
    words = pa.array(["word"] * len(rows))
    columns = {"vitals": pa.array(values), "dose": DOSE[rows], "state": STATE[rows], "word": words}
    pq.write_table(pa.table(columns), path)
    return path


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    values = VALUES.tolist()
    for row, value in MISFITS.items():
        values[row] = value
    return lists(tmp_path_factory.mktemp("lists") / "rows.parquet", values, np.arange(ROWS))


@pytest.fixture(scope="module")
def later(data: Path) -> Path:
    return lists(data.parent / "later.parquet", [*LATER[:-1].tolist(), [[1.0, 2.0]]], np.arange(20))


@pytest.fixture(scope="module")
def bundle(data: Path, later: Path) -> Path:
    out = data.parent / "bundle"
    settings = {"architecture": "lstm", "set": LSTM, "epochs": 2, "background": 5, "explain_references": 2}
    whyport.train(data, "state", out, input=INPUTS, test=later, classes=("no", "yes"), **settings)
    return out


def standardised(values: NDArray[np.float32], training: NDArray[np.float32]) -> NDArray[np.float64]:
    axes = tuple(range(training.ndim - 1))
    precise = training.astype(np.float64)
    return (values - precise.mean(axes)) / precise.std(axes)


def test_the_bundle_is_the_network_behind_the_training_rows_statistics(bundle: Path) -> None:
    state = Checkpoint.load(bundle / "training" / "checkpoint.pt").kept
    settings = parse_settings("lstm", [f"{name}={value}" for name, value in LSTM.items()])
    network = create("lstm", STEPS * WIDTH + 1, 2, settings, [(STEPS, WIDTH), (1,)]).double().eval()
    network.load_state_dict({k.removeprefix("network."): v for k, v in state.items() if k.startswith("network.")})
    steps = standardised(LATER, VALUES[FITTING]).reshape(len(LATER), -1)
    rows = np.concatenate([steps, standardised(DOSE[:20, None], DOSE[FITTING, None])], axis=1)

    given = {"vitals": LATER, "dose": DOSE[:20]}
    expected = network(torch.from_numpy(rows)).detach().numpy()
    np.testing.assert_allclose(Session(bundle).predict(given)["logits"], expected, atol=1e-5)


def test_rows_whose_lists_do_not_fit_are_left_out_and_counted(
    data: Path, later: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        dataset = load_dataset(choice(data, test=later), seed=0)

    assert [len(part.rows) for part in (dataset.train, dataset.test)] == [ROWS - 3, 19]
    np.testing.assert_array_equal(dataset.train.labels, STATE[FITTING])
    wanted = "column 'vitals', row {}: expected a list of 8 steps of 2 numbers, got {}, in "
    assert "3 of 60 rows are left out; the first: " + wanted.format(0, "5 steps") in caplog.text
    assert "1 of 20 rows are left out; the first: " + wanted.format(19, "1 steps") in caplog.text


def choice(data: Path, inputs: tuple[str, ...] = INPUTS, **split: object) -> TableChoice:
    return TableChoice(data, TargetChoice(("state",)), split=SplitChoice(**split), inputs=parse_inputs(inputs))


def test_the_evaluation_knows_the_rows_that_were_used(bundle: Path) -> None:
    metrics = json.loads((bundle / "training" / "metrics.json").read_text())

    assert metrics["rows"] == {"train": ROWS - 3, "validation": 0, "test": 19}


def test_the_bundle_is_verified_run_and_audited(bundle: Path, later: Path, tmp_path: Path) -> None:
    whyport.verify(bundle)
    whyport.run(bundle, later, tmp_path / "out", explain="deepshap", layout="list")

    table = pq.read_table(tmp_path / "out")
    shares = np.array(table["attribution"].to_pylist())
    assert shares.shape == (19, STEPS * WIDTH + 1)
    difference = table["score"].to_numpy() - table["base_value"].to_numpy()
    np.testing.assert_allclose(shares.sum(1), difference, atol=1e-5)
    whyport.audit(tmp_path / "out")


def test_a_training_that_goes_on_ends_with_the_same_weights(data: Path) -> None:
    dataset = load_dataset(choice(data, validation_fraction=0.2), seed=1)
    settings = TrainSettings("lstm", parse_settings("lstm", ["lstm_hidden=2"]), epochs=2)
    states: list[Checkpoint] = []
    train(dataset, settings, device="cpu", after_epoch=states.append)

    _, resumed = train(dataset, settings, device="cpu", start=states[0])

    for name, tensor in states[1].model.items():
        torch.testing.assert_close(resumed.model[name], tensor, rtol=0, atol=0, equal_nan=True)


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("wide") / "rows.csv"
    names = [f"{name}_{step}" for step in range(STEPS) for name in ("hr", "temperature")]
    columns = dict(zip(names, VALUES.reshape(ROWS, -1).T, strict=True))
    weight = VALUES.astype(np.float64).sum((1, 2)) / 3 + 0.5
    pd.DataFrame(columns | {"weight": weight}).to_csv(path, index=False)
    return path


@pytest.fixture(scope="module")
def regression(wide: Path) -> Path:
    out = wide.parent / "bundle"
    settings = ("channels=2", "lstm_hidden=2", "lstm_layers=1", "heads=1")
    whyport.train(
        wide, "weight", out, input="x=sequence:hr_*,temperature_*", set=settings, epochs=1, explain_references=0
    )
    return out


@pytest.mark.parametrize("method", ["grad-cam", "attention"])
def test_maps_of_the_steps_give_every_feature_of_a_step_its_value(
    regression: Path, wide: Path, tmp_path: Path, method: str
) -> None:
    pd.read_csv(wide).to_parquet(tmp_path / "rows.parquet")
    whyport.run(regression, tmp_path / "rows.parquet", tmp_path / "out", explain=method, layout="list")

    values = np.array(pq.read_table(tmp_path / "out")["attribution"].to_pylist()).reshape(ROWS, STEPS, WIDTH)
    np.testing.assert_array_equal(values[..., 0], values[..., 1])
    assert (values.std(axis=1) > 0).any()


def test_wide_columns_of_a_csv_file_train_a_regression(regression: Path) -> None:
    sidecar = whyport.Bundle.read(regression).sidecar

    assert sidecar.score.task == "regression"
    assert [axis.length for axis in sidecar.inputs[0].axes] == [STEPS, WIDTH]
    assert sidecar.inputs[0].axes[1].labels == ("hr", "temperature")


def test_the_columns_of_a_table_beside_a_sequence_have_no_positions(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for graph in ("compile_onnx", "compile_torchscript", "take_inputs"):
        monkeypatch.setattr(pytorch, graph, lambda *_: b"")
    dataset = load_dataset(choice(data), seed=0)
    shapes = [row_shape(each) for each in dataset.inputs]
    network = create("hybrid", len(dataset.features), 2, parse_settings("hybrid", []), shapes)
    samples = Samples(dataset.train.rows, 0, missing=False)
    given = {"provenance": None, "references": None, "samples": samples, "given": dataset.inputs}
    draft = Draft("bundle", dataset.targets, dataset.features, standardise=True, **given)

    capabilities = compile_network(network, draft).capabilities

    assert {capabilities[method].reason for method in ("grad-cam", "attention")} == {BESIDE}
    only = replace(
        draft,
        given=dataset.inputs[:1],
        features=dataset.features[:-1],
        samples=Samples(samples.rows[:, :-1], 0, missing=False),
    )
    network = create("hybrid", len(only.features), 2, parse_settings("hybrid", []), shapes[:1])
    assert all(each.available for each in compile_network(network, only).capabilities.values())


def test_a_missing_cell_of_a_wide_column_leaves_its_row_out(
    wide: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    frame = pd.read_csv(wide)
    frame.loc[5, "hr_2"] = np.nan
    frame.to_parquet(tmp_path / "rows.parquet")
    inputs = parse_inputs(["x=sequence:hr_*,temperature_*"])

    with caplog.at_level(logging.WARNING):
        dataset = load_dataset(TableChoice(tmp_path / "rows.parquet", TargetChoice(("weight",)), inputs=inputs), seed=0)

    assert len(dataset.train.rows) + len(dataset.test.rows) == ROWS - 1
    assert "1 of 60 rows are left out; the first: column 'hr_2', row 5: expected a number" in caplog.text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"input": ()}, ColumnError, "lists of numbers are sequences: --input NAME=sequence:vitals"),
        ({"input": (INPUTS[0], "a=table:word")}, ColumnError, "word.*choose columns of numbers with --input"),
        ({"architecture": "forest"}, UsageError, "'forest': trees take the columns of one table.*choose hybrid, lstm"),
        ({"features": "dose"}, UsageError, "--features is for a model of one table; --input names"),
        ({"rare": 3}, UsageError, "--rare is for a model of one table"),
        ({"input": "a=table:dose"}, UsageError, "expected a sequence among them; the columns of one table are"),
        ({"input": (INPUTS[0], "a=table:state")}, ColumnError, "'state' is the target and cannot be a feature"),
        ({"input": "x=sequence:vital"}, ColumnError, "--input x: unknown column 'vital'.*'vitals'"),
        ({"input": "x=sequence:vitals:steps=9"}, UsageError, "steps=9: the sample's rows have 8"),
    ],
)
def test_what_cannot_be_trained_is_refused(
    data: Path, tmp_path: Path, options: dict[str, object], error: type[WhyportError], message: str
) -> None:
    with pytest.raises(error, match=message):
        whyport.train(data, "state", tmp_path / "bundle", **{"architecture": "lstm", "input": INPUTS, **options})
    assert not (tmp_path / "bundle").exists()


def test_sequences_of_different_lengths_are_refused(tmp_path: Path) -> None:
    columns = {"a": VALUES[:, :, 0].tolist(), "b": VALUES[:, :5, 1].tolist(), "state": STATE}
    pq.write_table(pa.table(columns), tmp_path / "rows.parquet")
    inputs = ("x=sequence:a", "y=sequence:b")

    with pytest.raises(TrainingError, match="expected sequences of as many steps, got 8 and 5"):
        whyport.train(tmp_path / "rows.parquet", "state", tmp_path / "bundle", architecture="lstm", input=inputs)


def test_a_table_without_a_row_that_fits_is_refused(later: Path, data: Path, tmp_path: Path) -> None:
    short = lists(tmp_path / "short.parquet", VALUES[:20, :3].tolist(), np.arange(20))

    with pytest.raises(
        MissingValueError, match=r"every row lacks a value; the first: column 'vitals', row 0.*got 3 steps"
    ):
        load_dataset(choice(data, test=short), seed=0)
