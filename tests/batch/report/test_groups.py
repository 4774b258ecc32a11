"""The report of a run whose columns are grouped: shares of groups, and values of columns alone."""

import html
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa

import whyport as library
from whyport.batch.methods.settings import ExplainSettings

Write = Callable[..., Path]
Score = Callable[..., Path]

GROUPS = ExplainSettings(players={"outer": ("c", "a")})


def test_the_page_has_groups_in_the_place_of_their_columns(
    score: Score, write: Write, table: pa.Table, tmp_path: Path
) -> None:
    out = score(write(table.slice(0, 200)), methods=("shapley",), explain=GROUPS)
    library.report(out, tmp_path / "page.html", device="cpu")
    page = html.unescape((tmp_path / "page.html").read_text("utf-8"))
    assert "Groups of columns have no colour." in page
    assert "Scatter plots of attribution against value for b." in page
    assert "Strongest first: b " in page
    assert ", outer " in page


def test_objects_of_shap_have_no_values_of_groups(score: Score, write: Write, table: pa.Table) -> None:
    out = score(write(table.slice(0, 200)), methods=("shapley",), explain=GROUPS)
    made = next(iter(library.to_shap(out).values()))
    assert made.feature_names == ["outer", "b"]
    assert np.isnan(made.data[:, 0]).all()
    assert np.isfinite(made.data[:, 1]).all()
