"""Trees in Node.js and in a browser: the exact Shapley values, in margins."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.testing import assert_allclose, assert_array_equal
from numpy.typing import NDArray

from support.browser_page import LOADED, look
from support.programs import node, serving
from support.tree_bundles import NAMES, WARDS, margin_trees, tree_rows, tree_table
from support.trees import enumerated
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References

ROWS = 70


def shares_of(bundle: Path, rows: NDArray[np.float32]) -> NDArray[np.float64]:
    """Of rows the exact values by class, [N, 2, F]."""
    references = References.read(Bundle.read(bundle))
    return enumerated(margin_trees(), rows, references)


def test_node_gives_the_values_of_enumeration(tree_bundle: Path, tmp_path: Path) -> None:
    verified = node("verify", tree_bundle)
    assert (verified.returncode, verified.stderr) == (0, "")
    assert "explain.onnx  attribution" in verified.stdout
    assert "gradient.onnx" not in verified.stdout
    rows = tree_rows(np.random.default_rng(7), ROWS)
    table, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    tree_table(rows).to_csv(table, index=False)
    assert node("score", tree_bundle, table, "--out", out).returncode == 0
    scored, margins = pd.read_csv(out), margin_trees().scores(rows)
    target = margins.argmax(axis=1)
    assert_array_equal(scored["prediction"], np.array(["no", "yes"])[target])
    every = np.arange(ROWS)
    attributions = scored[[f"attribution.{name}" for name in NAMES]]
    assert_allclose(attributions, shares_of(tree_bundle, rows)[every, target], atol=1e-5)
    assert_allclose(scored["score"], margins[every, target], atol=1e-5)
    assert scored["converged"].all()


def test_a_browser_gives_them_too(tree_bundle: Path, tmp_path: Path) -> None:
    script = """
    const steps = [];
    for (const [name, text] of [["dose", "1.5"], ["dose", ""], ["ward", "stroke"], ["ward", "another value"]]) {
      await updated(() => {
        const option = [...(field(name).options ?? [])].find((each) => each.textContent === text);
        field(name).value = option?.value ?? text;
        field(name).dispatchEvent(new Event("input", { bubbles: true }));
      });
      steps.push(shown());
    }
    return { steps, failed: byId("conformance").dataset.failed };
    """
    with serving(tree_bundle) as address:
        result = look(address, tmp_path, script, *LOADED).result
    assert result["failed"] == "0"
    columns = Bundle.read(tree_bundle).sidecar.columns
    typical = [c.statistics.median if c.categories is None else np.argmax(c.categories.counts) for c in columns]
    rows = np.repeat(np.array([typical], dtype=np.float32), 4, axis=0)
    rows[:, 2] = [1.5, np.nan, np.nan, np.nan]
    rows[2:, 1] = [WARDS.index("stroke"), len(WARDS)]
    expected, target = shares_of(tree_bundle, rows), margin_trees().scores(rows).argmax(axis=1)
    for i, step in enumerate(result["steps"]):
        values = dict(step["reasons"])
        assert_allclose([values[name] for name in NAMES], expected[i, target[i]], atol=1e-5)
        assert step["heading"] == f"Reasons for {('no', 'yes')[target[i]]}"
        assert step["check"].endswith(" margin allowed")
