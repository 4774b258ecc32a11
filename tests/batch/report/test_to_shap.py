from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest

from whyport import to_shap
from whyport.runtime.errors import UsageError

Write = Callable[..., Path]
Score = Callable[..., Path]


def test_the_objects_are_what_shap_takes(score: Score, write: Write, table: pa.Table) -> None:
    source = write(table)
    out = score(source, methods=("deepshap",))
    frame, inputs = pd.read_parquet(out), pd.read_parquet(source)
    explanations = to_shap(out, rows=None)
    assert set(explanations) == {("deepshap", "no"), ("deepshap", "yes")}
    made = explanations["deepshap", "yes"]
    of_class = frame[frame["explained_class"] == "yes"]
    assert type(made).__name__ == "Explanation"
    assert (made.feature_names, made.output_names) == (["a", "b", "c"], "yes")
    np.testing.assert_array_equal(made.values, of_class[[f"attribution.{name}" for name in "abc"]])
    np.testing.assert_array_equal(made.data, inputs.loc[of_class["source_row"], ["a", "b", "c"]])
    np.testing.assert_allclose(made.base_values + made.values.sum(axis=1), of_class["score"], atol=1e-5)
    np.testing.assert_allclose(made.abs.mean(0).values, np.abs(made.values).mean(axis=0))
    assert made[:, "b"].shape == (len(of_class),)


def test_rows_are_limited_and_the_same_each_time(score: Score, write: Write, table: pa.Table) -> None:
    out = score(write(table), methods=("deepshap",), layout="list")
    one, other = (to_shap(out, rows=10)["deepshap", "no"] for _ in range(2))
    assert one.shape == (10, 3)
    np.testing.assert_array_equal(one.data, other.data)


def test_values_that_are_missing_or_gone_are_not_made_up(score: Score, write: Write, table: pa.Table) -> None:
    holed = table.set_column(1, "a", pa.array([None, *table["a"].to_pylist()[1:]], pa.float64()))
    one, two = write(holed, "one.parquet"), write(table, "two.parquet")
    out = score(one, two, methods=("gradient",), on_bad_row="impute", explain_target="yes")
    two.unlink()
    made = to_shap(out, rows=None)["gradient", "yes"]
    assert np.isnan(made.base_values).all()
    assert np.isnan(made.data[0, 0])
    assert np.isfinite(made.data[1:1000]).all()
    assert np.isnan(made.data[1000:]).all()
    one.unlink()
    assert to_shap(out)["gradient", "yes"].data is None


def test_ranks_of_a_row_are_told_apart(score: Score, write: Write, table: pa.Table) -> None:
    """Of two classes, each is the first of some rows and the second of the others."""
    source = write(table)
    ranked = to_shap(score(source, methods=("deepshap",), explain_target="top:2", name="ranked"), rows=None)
    every = to_shap(score(source, methods=("deepshap",), explain_target="all", name="all"), rows=None)
    for key, expected in every.items():
        np.testing.assert_array_equal(ranked[key].values, expected.values)
        np.testing.assert_array_equal(ranked[key].data, expected.data)


@pytest.mark.parametrize("settings", [{}, {"methods": ("deepshap",), "explain_where": "source_row < 0"}])
def test_without_explanations_there_is_nothing(
    score: Score, write: Write, table: pa.Table, settings: dict[str, Any]
) -> None:
    out = score(write(table), **settings)
    if settings:
        assert to_shap(out) == {}
    else:
        message = (
            "got one that explained nothing: run it again into another folder, with --explain and a method such as "
        )
        with pytest.raises(UsageError, match=rf"{message}.*'deepshap'.*, in .*{out.name}$"):
            to_shap(out)
    with pytest.raises(UsageError):
        to_shap(out, rows=0)
