"""treeshap against enumeration, ONNX Runtime and shap: players, weights, missing values, classes, both games."""

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import whyport as library
from support.bundles import refresh_digests
from support.forest_bundles import NO_GRADIENTS, tree_bundle
from support.forests import enumerated, path_dependent, random_trees
from whyport.batch.methods.alone import explain
from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.methods.treeshap.treeshap import TreeShap
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.score import CLASSIFICATION, REGRESSION
from whyport.runtime.bundle.sidecar import TREES_FILE
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import BundleError, BundleFormatError, ParityError
from whyport.runtime.session import Session

NAMES = tuple("abcdefgh")
COLUMNS = np.array([0, 1, 1, 2, 3, 4, 4, 4, 5, 6, 7])
GROUPS = {"last": ("g", "h")}
OF_COLUMN = np.array([0, 1, 2, 3, 4, 5, 6, 6])
MIXED = np.array([[1.0, -0.5, 0.25], [0.5, 0.0, -1.0]])
BINARY = np.array([[-1.0], [1.0]])


def references(rng: np.random.Generator, count: int = 24) -> References:
    weights = rng.random(count)
    return References(rng.normal(size=(count, 8)).astype(np.float32), weights / weights.sum())


def make(path: Path, **given: Any) -> tuple[Bundle, Trees, References]:
    """A bundle of random trees over eight columns, of which two have several cells."""
    rng = np.random.default_rng(3)
    options = {"trees": 5, "depth": 8, "columns": COLUMNS} | given
    weights = options.get("weights")
    trees, background = random_trees(rng, **options), references(rng)
    targets = tuple(f"t{i}" for i in range(len(weights if weights is not None else trees.offset)))
    task = CLASSIFICATION if weights is BINARY else REGRESSION
    return Bundle.read(tree_bundle(path / "bundle", trees, background, NAMES, targets, task)), trees, background


def create(bundle: Bundle, **settings: Any) -> TreeShap:
    chosen = ExplainSettings.of(**settings).of_method("treeshap")
    explainer = explainer_class("treeshap")(OnnxModel(Session(bundle, "cpu")), References.read(bundle), chosen)
    assert isinstance(explainer, TreeShap)
    return explainer


def rows_beside(background: References, count: int = 40) -> NDArray[np.float32]:
    """Rows with missing values, of which some are references."""
    rng = np.random.default_rng(5)
    rows = rng.normal(size=(count, 8)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.15] = np.nan
    rows[:6] = background.rows[:6]
    return rows


@pytest.mark.parametrize(
    "given",
    [{}, {"raw": 3}, {"raw": 3, "weights": MIXED}, {"weights": BINARY}],
    ids=("one", "several", "mixed", "binary"),
)
def test_it_is_the_enumeration_over_players(given: dict[str, Any], tmp_path: Path) -> None:
    bundle, trees, background = make(tmp_path, **given)
    rows = rows_beside(background)
    got = explain(create(bundle, players=GROUPS), rows)
    want = enumerated(trees, rows, background, OF_COLUMN)
    values = got.values.reshape(want.shape)
    np.testing.assert_allclose(values, want, rtol=0, atol=2e-7 * np.abs(want).max())  # float32 of the output
    assert got.converged is not None
    assert got.converged.all()
    assert (got.error <= 1e-5 * np.maximum(1, np.abs(got.output - got.base_value))).all()
    assert (got.evaluations == 1).all()
    np.testing.assert_allclose(got.output, trees.scores(rows).reshape(-1), atol=1e-5)


@pytest.mark.parametrize("given", [{}, {"raw": 3, "weights": MIXED}], ids=("one", "mixed"))
def test_path_dependent_values_are_the_enumeration_by_cover(given: dict[str, Any], tmp_path: Path) -> None:
    bundle, trees, background = make(tmp_path, **given)
    rows = rows_beside(background, 10)
    got = explain(create(bundle, players=GROUPS, path_dependent=True), rows)
    want = path_dependent(trees, rows, OF_COLUMN)
    np.testing.assert_allclose(got.values.reshape(want.shape), want, rtol=0, atol=2e-7 * np.abs(want).max())
    assert got.converged is not None
    assert got.converged.all()


def test_some_targets_of_some_rows_are_the_same_as_all(tmp_path: Path) -> None:
    bundle, _, background = make(tmp_path, raw=3)
    rows = rows_beside(background)
    every = explain(create(bundle), rows)
    targets = np.arange(len(rows)) % 3
    some = explain(create(bundle), rows, targets)
    np.testing.assert_allclose(some.values, every.values.reshape(len(rows), 3, -1)[np.arange(len(rows)), targets])


def test_threads_and_memory_change_nothing(tmp_path: Path) -> None:
    bundle, _, background = make(tmp_path, raw=2, depth=10)
    rows = rows_beside(background, 700)
    chosen = ExplainSettings().of_method("treeshap")
    model = OnnxModel(Session(bundle, "cpu", threads=3))
    expected = explain(create(bundle), rows).values
    np.testing.assert_array_equal(explain(TreeShap(model, References.read(bundle), chosen), rows).values, expected)
    tiny = explain(create(bundle, memory=10_000), rows[:50]).values
    np.testing.assert_allclose(tiny, expected[:100], rtol=0, atol=1e-6)


def test_a_run_is_audited_and_its_base_value_is_the_mean_over_training_rows(tmp_path: Path) -> None:
    bundle, trees, background = make(tmp_path, weights=BINARY)
    rows = np.nan_to_num(rows_beside(background))
    pq.write_table(pa.table(dict(zip(NAMES, rows.T, strict=True))), tmp_path / "rows.parquet")
    for name, given in (("background", {}), ("cover", {"path_dependent": True})):
        out = tmp_path / name
        library.run(
            bundle,
            tmp_path / "rows.parquet",
            out,
            explain="treeshap",
            explain_target="all",
            device="cpu",
            **given,
        )
        table = pq.read_table(out)
        base = table["base_value.t1"].to_numpy()
        mean = background.weights @ trees.scores(background.rows)[:, 1]
        if given:
            share = np.ones(len(trees.cell))
            assert trees.cover is not None
            for node in np.flatnonzero(trees.left >= 0):
                for child in (trees.left[node], trees.right[node]):
                    share[child] = share[node] * trees.cover[child] / trees.cover[node]
            mean = (share[:, None] * trees.value).sum() * trees.weights[1, 0] + trees.offset[1]
        np.testing.assert_allclose(base, mean, rtol=1e-5)
        assert table["converged.t1"].to_pylist() == [True] * len(rows)
        assert list(library.audit(out, device="cpu"))[-1].startswith("sample ")


def test_trees_that_do_not_give_the_models_scores_are_refused(tmp_path: Path) -> None:
    bundle, trees, background = make(tmp_path)
    (bundle.path / TREES_FILE).write_bytes(dataclasses.replace(trees, value=2 * trees.value).write())
    with pytest.raises(BundleError, match="has changed: expected sha256"):
        create(bundle)
    refresh_digests(bundle.path, bundle.sidecar)
    pq.write_table(pa.table(dict(zip(NAMES, background.rows.T, strict=True))), tmp_path / "rows.parquet")
    with pytest.raises(ParityError, match="method 'treeshap': trees.npz's scores differ from"):
        library.run(bundle.path, tmp_path / "rows.parquet", tmp_path / "out", explain="treeshap", device="cpu")


def test_trees_of_another_table_are_refused(tmp_path: Path) -> None:
    bundle, trees, _ = make(tmp_path)
    (bundle.path / TREES_FILE).write_bytes(dataclasses.replace(trees, columns=trees.columns + 5).write())
    refresh_digests(bundle.path, bundle.sidecar)
    with pytest.raises(
        BundleFormatError, match=r"expected trees over 8 columns, got a cell of column 12, in .*trees.npz"
    ):
        create(Bundle.read(bundle.path))


def test_training_rows_that_were_not_counted_are_no_measure(tmp_path: Path) -> None:
    bundle, trees, _ = make(tmp_path)
    (bundle.path / TREES_FILE).write_bytes(dataclasses.replace(trees, cover=None).write())
    refresh_digests(bundle.path, bundle.sidecar)
    bundle = Bundle.read(bundle.path)
    create(bundle)
    with pytest.raises(BundleError, match="do not say how many training rows came by; without it, treeshap measures"):
        create(bundle, path_dependent=True)


@pytest.mark.parametrize("method", ["gradient", "deepshap", "integrated-gradients"])
def test_methods_by_gradients_name_the_one_that_works(method: str, tmp_path: Path) -> None:
    bundle, _, background = make(tmp_path)
    pq.write_table(pa.table(dict(zip(NAMES, background.rows.T, strict=True))), tmp_path / "rows.parquet")
    with pytest.raises(BundleError, match=f"cannot serve '{method}': {NO_GRADIENTS}"):
        library.run(bundle, tmp_path / "rows.parquet", tmp_path / "out", explain=method, device="cpu")
