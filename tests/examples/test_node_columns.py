"""Node.js reads tables as people have them, and quantities, as Python does."""

import logging
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from support.explained_bundles import NAMES, ONE_LOGIT, QUANTITIES, outputs_of
from support.programs import node
from support.visits import COLUMNS, visits
from whyport import Session
from whyport.runtime.bundle.score import Score
from whyport.runtime.tables import read_table, text_columns

ROWS = 150


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Rows with missing values, categories that training pooled or never saw, and a day that does not exist."""
    table = visits(ROWS, 1)
    table.loc[[5, 60], "ward"] = ["chapel", "01"]
    table.loc[[7, 149], "grade"] = [3, 11]
    table.loc[9, "admitted"] = "2023-02-30"
    table.loc[10, "admitted"] = "2023-06-30T18:00:00+02:00"
    table.loc[11, ["ward", "grade", "score", "admitted"]] = None
    path = tmp_path / "rows.csv"
    table.to_csv(path, index=False)
    return path


def test_a_raw_table_is_explained_as_by_the_session(
    category_bundle: Path, table: Path, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    out = tmp_path / "scored.csv"
    done = node("score", category_bundle, table, "--out", out)
    assert (done.returncode, done.stdout) == (0, "")
    scored = pd.read_csv(out)
    session = Session(category_bundle, "cpu")
    rows = read_table(table, texts=text_columns(session.bundle.sidecar.columns))
    with caplog.at_level(logging.WARNING):
        expected, outputs = session.explain(rows), session.predict(rows)
    assert_allclose(scored[[f"attribution.{name}" for name in COLUMNS]], expected.values, rtol=1e-5, atol=1e-5)
    for name, values in (("score", expected.output), ("base_value", expected.base_value)):
        assert_allclose(scored[name], values, rtol=1e-5, atol=1e-5)
    probabilities = scored[[f"probability.{name}" for name in ("home", "stays")]]
    assert_allclose(probabilities, outputs["probabilities"], atol=1e-5)
    assert set(scored["prediction"]) == {"home", "stays"}
    assert scored["converged"].all()
    # What training has not seen is told by both in the same words.
    told = {record.getMessage() for record in caplog.records}
    assert told == {done.stderr.rstrip("\n")}
    hospice = pd.read_csv(table)["ward"].eq("hospice").sum()
    for words in (f"column 'ward' {hospice + 2}", "column 'grade' 2", "column 'admitted' 1", f" of {ROWS} rows: "):
        assert words in done.stderr


def test_unseen_values_are_marked_in_their_row(category_bundle: Path, table: Path) -> None:
    lines = node("score", category_bundle, table, "--top-k", 1).stdout.splitlines()
    assert lines[5].endswith("  (unseen: ward)")
    assert lines[7].endswith("  (unseen: grade)")
    assert lines[9].endswith("  (unseen: admitted)")
    assert "unseen" not in lines[11]


def test_cells_of_another_type_are_unseen(category_bundle: Path, tmp_path: Path) -> None:
    """A cell is looked at alone: in Python, a column of a CSV file has one type."""
    table = visits(4, 2).astype(object)
    table["ward"], table["score"] = "surgery", 50.0
    table["smoker"] = ["TRUE", "0", "often", ""]
    table["grade"] = ["one", "1e1", "NA", "2.0"]
    path = tmp_path / "rows.csv"
    table.to_csv(path, index=False)
    done = node("score", category_bundle, path)
    assert done.returncode == 0
    unseen = "values that training has not seen, in 2 of 4 rows: column 'grade' 1, column 'smoker' 1\n"
    assert done.stderr == unseen


def test_texts_are_among_the_test_vectors(category_bundle: Path) -> None:
    done = node("verify", category_bundle)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.count("  ok") == 9
    assert "gradient.onnx" not in done.stdout


@pytest.mark.parametrize("score", [QUANTITIES, ONE_LOGIT], ids=["quantities", "one logit"])
def test_scores_have_their_closed_form(
    quantity_bundle: Path, one_logit_bundle: Path, tmp_path: Path, score: Score
) -> None:
    bundle = quantity_bundle if score is QUANTITIES else one_logit_bundle
    assert node("verify", bundle).returncode == 0
    rows = np.random.default_rng(3).normal(size=(5, 3)).astype(np.float32)
    table, out = tmp_path / "rows.csv", tmp_path / "out.csv"
    pd.DataFrame(rows, columns=NAMES).to_csv(table, index=False)
    for name, target in ((None, None), (score.names[1], 1)):
        asked = [] if name is None else ["--target", name]
        assert node("score", bundle, table, "--out", out, *asked).returncode == 0
        scored = pd.read_csv(out)
        z = outputs_of(score, rows, np.ones(5, dtype=np.int64))["score"]
        default = (z > 0).astype(int) if score is ONE_LOGIT else np.zeros(5, dtype=int)
        expected = outputs_of(score, rows, default if target is None else np.full(5, target))
        for column in ("score", "base_value"):
            assert_allclose(scored[column], expected[column], atol=1e-5)
        assert_allclose(scored[[f"attribution.{name}" for name in NAMES]], expected["attribution"], atol=1e-5)
        explained = np.array(score.names)[expected["explained_target"]]
        assert_array_equal(scored["explained_target"], explained)
        if score is ONE_LOGIT:
            assert_array_equal(scored["explained_class"], explained)
            assert_array_equal(scored["prediction"], np.where(z > 0, "yes", "no"))
            assert_allclose(scored["probability.yes"], 1 / (1 + np.exp(-z)), atol=1e-6)
        else:
            assert [name for name in scored.columns if "class" in name or "probability" in name] == []
            assert_allclose(scored[["prediction.stay", "prediction.cost"]], expected["value"], atol=1e-5)


def test_a_quantity_is_said_with_its_unit_and_without_classes(quantity_bundle: Path, tmp_path: Path) -> None:
    table = tmp_path / "rows.csv"
    pd.DataFrame([[1.0, 2.0, 3.0]], columns=NAMES).to_csv(table, index=False)
    said = node("score", quantity_bundle, table).stdout
    assert said.startswith("row 0  stay 1.5 days, cost 3.25  score +1.50 = base +1.75 + attributions -0.25 (off by ")
    assert said.endswith("): dose -2.25, age +1.00, weight +1.00\n")
    assert "class" not in said
    refused = node("score", quantity_bundle, table, "--class", "stay")
    assert refused.returncode == 2
    assert (
        refused.stderr == "error: --class: the bundle has no classes; --target takes one of its targets: stay, cost\n"
    )
    unknown = node("score", quantity_bundle, table, "--target", "length")
    assert unknown.stderr == "error: --target: unknown target 'length'; the bundle has the targets stay, cost\n"
