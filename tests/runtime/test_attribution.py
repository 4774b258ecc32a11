"""Explanations by ONNX Runtime alone: the reference bundle's graphs, and what is asked of them."""

import dataclasses
import io
import json
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
import torch

from support.bundles import linear_bundle
from whyport.exporter.graphs.torchscript import load_torchscript
from whyport.runtime.attribution import Attribution, target_index, within_rounding
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.graphs import TARGET_INDEX, reasons_graphs
from whyport.runtime.bundle.sidecar import (
    CONFORMANCE,
    CONFORMANCE_JSON,
    EXPLAIN_MODEL,
    GRADIENT_MODEL,
    TORCHSCRIPT_MODEL,
)
from whyport.runtime.bundle.vectors import read_vectors
from whyport.runtime.errors import BundleError, UsageError, ValueRangeError
from whyport.runtime.session import Session
from whyport.runtime.task import Classification


@pytest.fixture(scope="module")
def session(reference_bundle: Path) -> Session:
    return Session(Bundle.read(reference_bundle), "cpu", threads=2)


@pytest.fixture(scope="module")
def rows(session: Session) -> np.ndarray:
    features = session.bundle.sidecar.row_spec
    return read_vectors(session.bundle.read_bytes(CONFORMANCE), (features,))["features"]


def test_attributions_add_up_to_the_score_of_the_predicted_class(session: Session, rows: np.ndarray) -> None:
    got = session.explain(rows)
    assert isinstance(got, Attribution)
    logits = session.predict(rows, ["logits"])["logits"]
    np.testing.assert_array_equal(got.target, logits.argmax(axis=1))
    np.testing.assert_allclose(got.output, logits.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(got.values.sum(axis=1), got.output - got.base_value, rtol=1e-4, atol=1e-4)
    assert got.error.max() < 1e-4
    assert got.converged is not None
    assert got.converged.all()
    assert (got.evaluations == 1).all()


def test_attributions_carry_the_names_and_are_short_to_look_at(session: Session, rows: np.ndarray) -> None:
    got = session.explain(rows[:3], "benign")
    assert got.feature_names == session.bundle.sidecar.column_names
    assert [got.target_names[index] for index in got.target] == ["benign"] * 3
    worst = f"{got.error.max():.2g}"
    assert repr(got) == f"<Attribution of 3 rows and 30 features: largest error {worst}, 3 rows converged>"
    assert repr(session.explain(rows[:0])) == "<Attribution of 0 rows and 30 features>"
    claims_nothing = dataclasses.replace(got, converged=None)
    assert repr(claims_nothing) == "<Attribution of 3 rows and 30 features>"


def test_the_base_value_is_the_mean_score_of_the_summary(session: Session, rows: np.ndarray) -> None:
    sidecar = session.bundle.sidecar
    summary = sidecar.baseline("summary")
    assert summary is not None
    content = session.bundle.read_bytes(summary.file)
    references = read_vectors(content, (sidecar.row_spec,))["features"]
    weights = pq.read_table(io.BytesIO(content))["weight"].to_numpy()
    np.testing.assert_allclose(weights.sum(), 1)
    assert len(references) == summary.rows <= 10
    means = weights @ session.predict(references)["logits"]
    got = session.explain(rows[:1].repeat(2, axis=0), [0, 1])
    np.testing.assert_allclose(got.base_value, means, atol=1e-5)


def test_one_class_for_all_rows_by_name_or_index_or_one_for_each(session: Session, rows: np.ndarray) -> None:
    names = session.bundle.sidecar.targets
    by_name = session.explain(rows, names[1])
    np.testing.assert_array_equal(by_name.values, session.explain(rows, 1).values)
    mixed = session.explain(rows, np.arange(len(rows)) % 2)
    np.testing.assert_allclose(mixed.values[1::2], by_name.values[1::2], atol=1e-6)
    np.testing.assert_array_equal(session.explain(rows[:2], list(names)).target, [0, 1])


def test_an_imputed_row_is_explained(session: Session, rows: np.ndarray) -> None:
    holes = rows.copy()
    holes[:, 3] = np.nan
    imputation = session.bundle.sidecar.imputation
    filled = np.where(np.isnan(holes), np.float32(imputation), holes)
    got = session.explain(holes)
    np.testing.assert_allclose(got.values, session.explain(filled).values, atol=1e-6)
    assert np.isfinite(got.values).all()


@pytest.mark.parametrize("count", [0, 1, 2, 65])
def test_any_number_of_rows(count: int, session: Session, rows: np.ndarray) -> None:
    many = np.resize(rows, (count, rows.shape[1]))
    got = session.explain(many)
    assert got.values.shape == many.shape
    if count:
        np.testing.assert_allclose(got.values[-1], session.explain(many[-1:]).values[0], atol=1e-6)


@pytest.mark.parametrize(
    ("classes", "message"),
    [
        ("maligant", r"unknown class 'maligant' \(did you mean 'malignant'\?\)"),
        (2, "expected a class index from 0 to 1, got 2"),
        ([0, -1], "expected a class index from 0 to 1, got -1"),
        ([0, 1, 0], r"expected one class, or one for each of 2 rows, got shape \[3\]"),
        (0.5, "expected classes by name or index, got float64"),
    ],
)
def test_classes_that_are_none_are_refused(classes: object, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        target_index(classes, Classification(("benign", "malignant")), 2)


def test_rows_that_do_not_fit_are_refused_as_in_predict(session: Session) -> None:
    rows = np.zeros((2, 30))
    rows[1, 4] = np.inf
    with pytest.raises(ValueRangeError, match="row 1: expected a finite value"):
        session.explain(rows)


def test_a_bundle_without_the_graph_says_why(tmp_path: Path) -> None:
    bundle = Bundle.read(linear_bundle(tmp_path / "linear"))
    with pytest.raises(BundleError, match=r"bundle 'linear' has no explain\.onnx: made by hand"):
        Session(bundle, "cpu").explain(np.zeros((1, 3)))


def test_the_gradient_is_that_of_automatic_differentiation(session: Session, rows: np.ndarray) -> None:
    module = load_torchscript(session.bundle.read_bytes(TORCHSCRIPT_MODEL))
    leaf = torch.from_numpy(rows.copy()).requires_grad_()
    index = np.arange(len(rows)) % 2
    scores = module(leaf)[0].gather(1, torch.from_numpy(index)[:, None])[:, 0]
    (expected,) = torch.autograd.grad(scores.sum(), leaf)
    got = session.run_graph(GRADIENT_MODEL, rows, index)
    np.testing.assert_allclose(got["score"], scores.detach(), atol=1e-5)
    spread = np.array([column.spread for column in session.bundle.sidecar.columns])
    np.testing.assert_allclose(got["gradient"] * spread, expected.numpy() * spread, rtol=1e-4, atol=1e-5)


def test_the_json_vectors_are_those_of_the_parquet_file(session: Session, rows: np.ndarray) -> None:
    document = json.loads(session.bundle.read_bytes(CONFORMANCE_JSON))
    signature = session.bundle.sidecar.signature
    specs = [*signature.inputs, TARGET_INDEX, *signature.outputs]
    specs += [spec for graph in reasons_graphs(session.bundle.sidecar).values() for spec in graph.outputs]
    vectors = read_vectors(session.bundle.read_bytes(CONFORMANCE), tuple({spec.name: spec for spec in specs}.values()))
    assert set(document["tensors"]) == set(vectors)
    for name, values in vectors.items():
        got = np.array(document["tensors"][name], dtype=values.dtype)
        np.testing.assert_array_equal(got, values[: len(got)], err_msg=name)
    assert np.isnan(vectors["features"][:16]).any()
    assert set(document["graphs"]) == {"model.onnx", EXPLAIN_MODEL, GRADIENT_MODEL}
    assert document["graphs"][EXPLAIN_MODEL]["inputs"] == ["features", "target_index"]


def test_rounding_is_relative_to_the_score_where_that_is_large() -> None:
    """A difference of float32 numbers near 3000 is off by 0.0001 however small it is."""
    score = np.array([3000.25, 2.0, 500.0, np.nan])
    base = np.array([3000.0, 1.5, 100.0, 0.0])
    np.testing.assert_allclose(within_rounding(1e-4, score, base), [0.00300025, 1e-4, 0.04, np.nan])
    assert abs(np.float32(3000.0001) - 3000.0001) < within_rounding(1e-4, score, base)[0] / 20
