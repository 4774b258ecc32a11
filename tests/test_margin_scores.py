"""Margins as the scores: every command speaks of margins, and the shares of trees are those of enumeration."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from support.command import Whyport
from support.tree_bundles import NAMES, margin_trees, tree_rows, tree_table
from support.trees import enumerated
from whyport import Bundle, Session, predict, to_shap
from whyport.runtime import providers
from whyport.runtime.bundle.references import References

ROWS = tree_rows(np.random.default_rng(11), 40)
MARGINS = margin_trees().scores(ROWS)
PREDICTED = MARGINS.argmax(axis=1)
METHODS = ("treeshap", "shapley")


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("margins") / "rows.parquet"
    tree_table(ROWS).assign(truth=np.array(["no", "yes"])[PREDICTED]).to_parquet(path)
    return path


@pytest.fixture(scope="module")
def scored(tree_bundle: Path, table: Path, whyport: Whyport) -> Path:
    out = table.with_name("scored")
    methods = [word for name in METHODS for word in ("--explain", name)]
    printed = whyport("run", tree_bundle, table, "--out", out, "--keep", "truth", "--device", "cpu", *methods).output
    assert " margin, 99 % within" in printed
    return out


def test_a_run_has_margins_and_exact_shares(tree_bundle: Path, scored: Path) -> None:
    found = pd.read_parquet(scored)
    references = References.read(Bundle.read(tree_bundle))
    every = np.arange(len(ROWS))
    expected = enumerated(margin_trees(), ROWS, references)[every, PREDICTED]
    for method in METHODS:
        np.testing.assert_allclose(found[[f"{method}.attribution.{name}" for name in NAMES]], expected, atol=1e-5)
        assert found[f"{method}.converged"].all()
    portable = Session(tree_bundle, "cpu").explain(tree_table(ROWS))
    np.testing.assert_allclose(portable.values, found[[f"treeshap.attribution.{name}" for name in NAMES]], atol=1e-5)
    np.testing.assert_allclose(found["score"], MARGINS.max(axis=1), atol=1e-5)
    np.testing.assert_allclose(found["probability.yes"], 1 / (1 + np.exp(-MARGINS[:, 1])), atol=1e-6)
    assert list(found["prediction"]) == list(np.array(["no", "yes"])[PREDICTED])


def test_the_unit_is_named_wherever_a_score_is(scored: Path, whyport: Whyport) -> None:
    shown = whyport("show", scored, "--row", 3).output
    assert f"score {MARGINS[3].max():.4g}" in shown.replace("+", "")
    assert " margin, converged)" in shown
    assert " margin" in whyport("audit", scored).output
    page = scored.with_name("page.html")
    whyport("report", scored, "--out", page)
    text = page.read_text(encoding="utf-8")
    assert "(margin)" in text
    assert "share in margin" in text
    assert "In margin." in text
    assert "logit" not in text.lower()


def test_predictions_and_shap_objects_are_of_margins(tree_bundle: Path, table: Path, scored: Path) -> None:
    predicted = predict(tree_bundle, table).to_pandas()
    assert list(predicted["prediction"]) == list(np.array(["no", "yes"])[PREDICTED])
    outputs = Session(tree_bundle, "cpu").predict(tree_table(ROWS))
    np.testing.assert_allclose(outputs["margin"], MARGINS, atol=1e-5)
    sums = [each.values.sum(axis=1) + each.base_values for each in to_shap(scored).values()]
    expected = np.repeat(np.sort(MARGINS.max(axis=1)), len(METHODS))
    np.testing.assert_allclose(np.sort(np.concatenate(sums)), expected, atol=1e-5)


def test_a_bundle_of_trees_describes_itself(tree_bundle: Path, whyport: Whyport) -> None:
    lines = whyport("inspect", tree_bundle).output.splitlines()
    assert lines[0].startswith("trees  classification-by-margin, ")
    assert "score       output 'margin', of kind margin" in lines
    assert any(line.startswith("trees       trees.npz: trees 8, leaves ") for line in lines)
    verified = whyport("verify", tree_bundle, "--device", "cpu").output
    assert "trees.npz margin" in verified
    assert "explain.onnx attribution" in verified


@pytest.mark.parametrize("command", ["verify", "predict", "run"])
def test_trees_are_refused_on_a_card_by_name(
    command: str, tree_bundle: Path, table: Path, tmp_path: Path, whyport: Whyport
) -> None:
    given = [] if command == "verify" else [table, "--out", tmp_path / "out.parquet"]
    refused = whyport(command, tree_bundle, *given, "--device", "cuda", exit_code=1).output
    assert "bundle 'trees' is a model of TreeEnsembleRegressor, which ONNX Runtime computes on the CPU alone" in refused
    assert "expected 'cpu' or 'auto'" in refused
    assert not (tmp_path / "out.parquet").exists()


def test_the_default_device_of_trees_is_the_cpu(tree_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(providers, "candidates", lambda device, offered: asked.append(device) or (providers.CPU,))
    asked: list[str] = []
    assert Session(tree_bundle).provider == providers.CPU
    assert set(asked) == {"cpu"}
