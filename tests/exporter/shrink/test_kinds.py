"""Smaller variants of every kind of input, against ONNX Runtime called directly."""

from pathlib import Path

import numpy as np
import onnxruntime
import pandas as pd
import pytest

import whyport
from whyport.exporter.shrink.shrink import vector_rows
from whyport.runtime.bundle.buckets import levels
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.precisions import bundle_in
from whyport.runtime.bundle.variants import precisions_of
from whyport.runtime.inputs.feeds import input_feeds
from whyport.runtime.session import Session

KINDS = (
    "sequence_bundle",
    "varying_bundle",
    "image_bundle",
    "image_and_table_bundle",
    "bag_bundle",
    "text_bundle",
    "text_and_table_bundle",
)


@pytest.mark.parametrize("kind", KINDS)
def test_variants_of_every_kind_of_input(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> None:
    source = Bundle.read(request.getfixturevalue(kind))
    made = whyport.shrink(source, out=tmp_path / "small", keep_slower=True, max_changed="100%", max_drift="100%")
    names = precisions_of(made.sidecar)
    assert {"int8", "dynamic-int8"} <= set(names)  # every one of these networks has a product that these change
    rows = vector_rows(made)
    for name in names:
        session = Session(bundle_in(made, name), "cpu")
        output = session.task.score
        direct = onnxruntime.InferenceSession(made.read_bytes(f"model.{name}.onnx"), providers=["CPUExecutionProvider"])
        feeds = [input_feeds(made.sidecar.inputs, row[None]) for row in rows]
        expected = np.concatenate([direct.run([output], each)[0] for each in feeds])
        got, full = session.run(rows)[output], Session(source, "cpu").run(rows)[output]
        longest = levels(made.sidecar.lengths, rows) == 0  # shorter rows have graphs of their own
        np.testing.assert_allclose(got[longest], expected[longest], rtol=1e-4, atol=1e-5)
        assert (np.abs(got - full) / np.maximum(1, np.abs(full))).max() <= made.sidecar.tolerances[f"{name}.outputs"]


def test_a_shorter_bucket_has_a_variant_of_its_own(varying_bundle: Path, tmp_path: Path) -> None:
    made = whyport.shrink(varying_bundle, out=tmp_path / "small", variants="int8", keep_slower=True, max_changed="100%")
    variants = {graph.variant for graph in made.sidecar.graphs if graph.kind == "predict"}
    assert variants == {None, "steps-2", "int8", "int8-steps-2"}
    session = Session(bundle_in(made, "int8"), "cpu")
    assert session.bucket(1).bundle.stored["model.onnx"] == "model.steps-2.int8.onnx"


def test_a_regression_counts_values_that_move(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    values = rng.normal(size=(200, 12)).astype(np.float32)
    names = [f"x{i}" for i in range(12)]
    table = dict(zip(names, values.T, strict=True)) | {"y": values[:, 0] * 30 + 5 * np.tanh(values[:, 1] * 3)}
    pd.DataFrame(table).to_csv(tmp_path / "rows.csv", index=False)
    options = {"task": "regression", "architecture": "mlp", "epochs": 5, "set": {"hidden": 64}}
    whyport.train(tmp_path / "rows.csv", "y", tmp_path / "bundle", **options)
    made = whyport.shrink(
        tmp_path / "bundle", rows=tmp_path / "rows.csv", variants="float16", keep_slower=True, max_changed="100%"
    )
    graph = next(graph for graph in made.sidecar.graphs if graph.variant == "float16" and graph.kind == "predict")
    full, small = (Session(each, "cpu").run(values)["value"][:, 0] for each in (made, bundle_in(made, "float16")))
    moved = np.abs(full - small) > np.ptp(full) / 100
    assert graph.figures["changed"] == moved.mean()
    assert graph.figures["rows"] == 200


def test_export_measures_with_rows_that_are_no_references(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pd.DataFrame(rng.normal(size=(150, 3)), columns=["a", "b", "c"]).to_csv(tmp_path / "rows.csv", index=False)
    made = whyport.export(
        "support.wide_network:make",
        tmp_path / "rows.csv",
        tmp_path / "bundle",
        background=100,
        variants=("float16", "int8"),
        max_changed="100%",
        keep_slower=True,
    )
    assert precisions_of(made.sidecar) == ("float16", "int8")
    models = [graph for graph in made.sidecar.graphs if graph.kind == "predict" and graph.variant is not None]
    assert [graph.figures["rows"] for graph in models] == [50, 50]


def test_no_row_depends_on_the_rows_beside_it(reference_bundle: Path, tmp_path: Path) -> None:
    """Dynamic quantisation takes its ranges from all rows of a call."""
    made = whyport.shrink(reference_bundle, out=tmp_path / "small", variants="dynamic-int8", keep_slower=True)
    session = Session(bundle_in(made, "dynamic-int8"), "cpu", batch_rows=64)
    rows = vector_rows(made)
    assert session.batch_rows == 1
    alone = np.concatenate([session.run(row[None])["logits"] for row in rows])
    np.testing.assert_array_equal(session.run(rows)["logits"], alone)
    graph = next(graph for graph in made.sidecar.graphs if graph.variant == "dynamic-int8" and graph.kind == "predict")
    assert graph.figures["rows_per_call"] == 1
