"""A regression through every command: its attributions equal shap's exact ones, and nothing speaks of classes."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

from support import example_networks as networks
from support.command import Whyport
from support.reference import exact_shapley
from whyport import Bundle, Session, export, to_shap
from whyport.batch.report.shap_package import load_shap

NAMES = ["a", "b", "c", "d"]
ROWS = np.random.default_rng(4).normal(size=(30, 4)).astype(np.float32)
SUMS = ("deepshap", "shapley", "expected-gradients", "integrated-gradients", "occlusion")
TARGETS = ("weight", "length")


def additive(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    """`networks.Additive` in float64: [N, 2]."""
    rows = rows.astype(np.float64)
    bent = np.tanh(rows) @ np.array(networks.BENT, dtype=np.float64).T
    return rows @ np.array(networks.STRAIGHT, dtype=np.float64).T + bent + np.array(networks.OFFSETS)


@pytest.fixture(scope="module")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("regression") / "sample.parquet"
    pd.DataFrame(ROWS, columns=NAMES).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def bundle(sample: Path, whyport: Whyport) -> Path:
    """An additive function of two quantities far from 0, one of which has a unit."""
    out = sample.with_name("bundle")
    whyport(
        "export", "support.example_networks:Additive", "--sample", sample, "--out", out, "--task", "regression",
        "--targets", "weight,length", "--target-unit", "weight=g", "--background", 6, "--explain-references", 2,
    )  # fmt: skip
    return out


def references(bundle: Path) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    table = pq.read_table(bundle / "background.parquet")
    return np.stack(table["features"].to_numpy()).astype(np.float64), table["weight"].to_numpy()


@pytest.fixture(scope="module")
def scored(bundle: Path, sample: Path, whyport: Whyport) -> tuple[Path, str]:
    out = sample.with_name("scored")
    methods = [word for name in (*SUMS, "gradient") for word in ("--explain", name)]
    printed = whyport(
        "run", bundle, sample, "--out", out, "--tolerance", 1e-6, "--absolute-tolerance", 1e-5, *methods
    ).output
    return out, printed


def test_predictions_are_in_their_units(bundle: Path, sample: Path, whyport: Whyport) -> None:
    whyport("verify", bundle)
    assert "targets     weight (g), length" in whyport("inspect", bundle).output
    np.testing.assert_allclose(Session(bundle, "cpu").predict(ROWS)["value"], additive(ROWS), rtol=1e-6)
    whyport("predict", bundle, sample, "--out", sample.with_name("predicted.parquet"))
    got = pq.read_table(sample.with_name("predicted.parquet"))
    assert got.column_names == ["prediction.weight", "prediction.length", "imputed_count"]
    np.testing.assert_allclose(got["prediction.length"], additive(ROWS)[:, 1], rtol=1e-6)


def test_every_target_is_explained_by_default(scored: tuple[Path, str], bundle: Path) -> None:
    """An additive model's Shapley values have a closed form, which shap confirms from every coalition."""
    table, (background, weights) = pd.read_parquet(scored[0]), references(bundle)
    base = weights @ additive(background)
    explainer = load_shap().KernelExplainer(additive, background)
    oracle = explainer.shap_values(ROWS[:5].astype(np.float64), silent=True, l1_reg=False)
    for k, target in enumerate(TARGETS):
        np.testing.assert_allclose(table[f"prediction.{target}"], additive(ROWS)[:, k], rtol=1e-6)
        np.testing.assert_allclose(table[f"score.{target}"], additive(ROWS)[:, k], rtol=1e-6)
        parts = np.stack([networks.part(ROWS, j, k) for j in range(4)], axis=1)
        means = np.stack([networks.part(background, j, k) for j in range(4)], axis=1)
        np.testing.assert_allclose((parts - weights @ means)[:5], oracle[:, :, k], rtol=1e-6, atol=1e-4)
        for name in ("deepshap", "shapley", "expected-gradients"):
            np.testing.assert_allclose(table[f"{name}.base_value.{target}"], base[k], rtol=1e-6)
            got = table[[f"{name}.attribution.{target}.{feature}" for feature in NAMES]].to_numpy()
            tolerance = 1e-3 if name == "expected-gradients" else 2e-5
            np.testing.assert_allclose(got, parts - weights @ means, rtol=0, atol=tolerance * 100)
            assert (table[f"{name}.completeness_error.{target}"] < tolerance * 100).all()
            assert table[f"{name}.converged.{target}"].all()
    assert "explained_class" not in table.columns
    assert "explained_target" not in table.columns


def test_the_report_of_a_run_has_values_in_place_of_counts(scored: tuple[Path, str]) -> None:
    out, printed = scored
    report = json.loads((out / "_report.json").read_text())
    assert report["predictions"] == {}
    expected = pd.read_parquet(out)["prediction.weight"].to_numpy(np.float64)
    got = report["values"]["prediction.weight"]
    assert (got["minimum"], got["maximum"]) == (expected.min(), expected.max())
    assert got["mean"] == pytest.approx(expected.mean(), rel=1e-12)
    assert f"prediction.weight {expected.min():.6g} to {expected.max():.6g} g, mean {expected.mean():.6g} g" in printed
    assert "units of the target, 99 % within" in printed
    assert "class" not in printed.lower()


def test_it_is_audited_shown_and_given_to_shap(scored: tuple[Path, str], bundle: Path, whyport: Whyport) -> None:
    out = scored[0]
    assert "predictions within" in whyport("audit", out).output
    shown = whyport("show", out, "--row", 3).output
    assert f"prediction.weight {additive(ROWS)[3, 0]:.6g} g" in shown
    assert "deepshap, target weight: score" in shown
    assert " g, converged)" in shown
    assert " units of length, converged)" in shown
    assert "class" not in shown
    explanation = to_shap(out)["deepshap", "length"]
    sums = explanation.values.sum(axis=1) + explanation.base_values
    np.testing.assert_allclose(sums, additive(ROWS)[:, 1], rtol=1e-5)


def test_gradients_are_of_the_value(scored: tuple[Path, str]) -> None:
    table, step = pd.read_parquet(scored[0]), 1e-4
    for j, feature in enumerate(NAMES):
        moved = np.eye(4)[j] * step
        slope = (additive(ROWS + moved) - additive(ROWS - moved)) / (2 * step)
        got = table[[f"gradient.attribution.{target}.{feature}" for target in TARGETS]]
        np.testing.assert_allclose(got, slope, rtol=1e-4, atol=1e-3)


def test_the_portable_graph_explains_one_target(bundle: Path) -> None:
    session = Session(bundle, "cpu")
    first, second = session.explain(ROWS), session.explain(ROWS, targets="length")
    assert set(first.target) == {0}
    assert set(second.target) == {1}
    assert first.target_names == TARGETS
    for k, explained in enumerate((first, second)):
        np.testing.assert_allclose(explained.output, additive(ROWS)[:, k], rtol=1e-6)
        sums = explained.values.sum(axis=1) + explained.base_value
        np.testing.assert_allclose(sums, additive(ROWS)[:, k], rtol=1e-6)
        assert explained.converged is not None
        assert explained.converged.all()
    np.testing.assert_array_equal(session.explain(ROWS, classes="length").values, second.values)


def test_the_strongest_target_of_each_row(bundle: Path, sample: Path, whyport: Whyport) -> None:
    out = sample.with_name("top")
    whyport(
        "run", bundle, sample, "--out", out, "--explain", "shapley", "--explain-target", "top:1", "--engine", "onnx"
    )
    table = pd.read_parquet(out)
    largest = additive(ROWS).argmax(axis=1)
    assert table["explained_target.1"].tolist() == [TARGETS[k] for k in largest]
    np.testing.assert_allclose(table["score.1"], additive(ROWS).max(axis=1), rtol=1e-6)
    background, weights = references(bundle)
    exact = exact_shapley(additive, ROWS[2].astype(np.float64), background, weights)[:, largest[2]]
    got = table.loc[2, [f"attribution.1.{feature}" for feature in NAMES]].to_numpy(np.float64)
    np.testing.assert_allclose(got, exact, atol=1e-3)
    assert "attributions of" in whyport("audit", out).output
    assert f"shapley, target {TARGETS[largest[3]]}: score" in whyport("show", out, "--row", 3).output


def test_a_label_names_the_target_of_each_row(bundle: Path, sample: Path, whyport: Whyport) -> None:
    labelled, out = sample.with_name("labelled.parquet"), sample.with_name("by_label")
    labels = ["length", "weight"] * 14 + ["height", None]
    pd.DataFrame(ROWS, columns=NAMES).assign(which=labels).to_parquet(labelled)
    whyport("run", bundle, labelled, "--out", out, "--explain", "shapley", "--explain-target", "label:which")
    table = pd.read_parquet(out)
    assert table["explained_target"].tolist() == labels[:28]
    np.testing.assert_allclose(table["score"], additive(ROWS)[np.arange(28), [1, 0] * 14], rtol=1e-6)
    reasons = pq.read_table(out / "_rejected")["reason"].to_pylist()
    assert reasons[0] == "column 'which': expected one of the targets 'weight', 'length', got 'height'"


def test_a_condition_on_a_quantity(bundle: Path, sample: Path, whyport: Whyport) -> None:
    out = sample.with_name("heavy")
    whyport(
        "run", bundle, sample, "--out", out, "--explain", "shapley", "--explain-target", "weight",
        "--explain-where", "prediction.weight > 3100",
    )  # fmt: skip
    table = pd.read_parquet(out)
    assert table["score"].notna().tolist() == (additive(ROWS)[:, 0] > 3100).tolist()
    assert set(table["explained_target"].dropna()) == {"weight"}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--explain-target", "predicted"], "a regression predicts no target; expected 'weight' or 'length' or all"),
        (["--explain-class", "yes"], "unknown target 'yes'"),
        (["--explain-where", "probability.yes > 0.5"], "a regression has no classes"),
    ],
)
def test_words_of_classes_are_refused(
    options: list[str], message: str, bundle: Path, sample: Path, whyport: Whyport, tmp_path: Path
) -> None:
    printed = whyport("run", bundle, sample, "--out", tmp_path / "out", "--explain", "shapley", *options, exit_code=2)
    assert message in " ".join(printed.output.split())
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"task": "regression", "classes": ("no", "yes")}, "--classes: a regression has no classes; --targets names"),
        ({"task": "regression", "from_probabilities": True}, "--from-probabilities: a regression has no classes"),
        ({"targets": ("weight",)}, "--targets: is for --task regression; --classes names the classes"),
        ({"target_unit": {"value": "g"}}, "--target-unit: is for --task regression"),
        ({"task": "regression", "target_unit": ["height=cm"]}, "--target-unit: expected TARGET=UNIT with a target"),
        ({"task": "regression", "target_unit": {"height": "cm"}}, "--target-unit: unknown target 'height'"),
        ({"task": "regression", "targets": ("a", "a")}, "--targets: expected names that differ"),
        ({"task": "regression", "targets": ("a", "")}, "--targets: expected names that are not empty, got 'a', ''"),
        ({"classes": ("", "yes")}, "--classes: expected names that are not empty, got '', 'yes'"),
        (
            {"task": "regression", "targets": ("a", "b"), "target_unit": {"b": ""}},
            "--target-unit: expected the unit of 'b'",
        ),
        ({"task": "regresion"}, "unknown task 'regresion' .*did you mean 'regression'"),
        ({"task": "regression", "targets": ("a",)}, "expected a value for each of the 1 targets, got 2 a row"),
    ],
)
def test_options_that_do_not_fit_the_task(options: dict[str, Any], message: str, sample: Path, tmp_path: Path) -> None:
    with pytest.raises(Exception, match=message):
        export("support.example_networks:Additive", sample, tmp_path / "bundle", **options)


def test_one_quantity_is_linear(sample: Path, whyport: Whyport) -> None:
    """One output a row, without an axis: the columns have no target's name, and shap's linear explainer agrees."""
    folder = sample.parent
    export(
        "support.example_networks:OneQuantity", sample, folder / "one", task="regression", targets="price",
        target_unit={"price": "€"}, background=6, explain_references=0,
    )  # fmt: skip
    whyport("run", folder / "one", sample, "--out", folder / "prices", "--explain", "deepshap")
    table, (background, _) = pd.read_parquet(folder / "prices"), references(folder / "one")
    weights = np.array(networks.STRAIGHT[0])
    np.testing.assert_allclose(table["prediction"], ROWS @ weights + 7, rtol=1e-5)
    assert set(table["explained_target"]) == {"price"}
    expected = load_shap().LinearExplainer((weights, 7.0), background).shap_values(ROWS.astype(np.float64))
    np.testing.assert_allclose(table[[f"attribution.{name}" for name in NAMES]], expected, atol=1e-3)
    shown = whyport("show", folder / "prices", "--row", 0).output
    assert "deepshap, target price: score" in shown
    assert " €, converged)" in shown
    assert Bundle.read(folder / "one").sidecar.score.targets[0].unit == "€"
