from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
from sklearn.metrics import confusion_matrix

from whyport.batch.report.gather.collect import Collected, Collector, Wanted, sample_rows
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.errors import JobError

Write = Callable[..., Path]
Score = Callable[..., Path]


def collect(out: Path, **wanted: Any) -> Collected:
    return Collector(FinishedRun.read(out), Wanted(**wanted)).collect()


def shares(frame: pd.DataFrame, prefix: str = "attribution.") -> np.ndarray[Any, Any]:
    return frame[[f"{prefix}{name}" for name in "abc"]].to_numpy(dtype=np.float64)


@pytest.mark.parametrize("layout", [{}, {"layout": "list"}, {"top_k": 3}])
def test_means_are_those_of_pandas(score: Score, write: Write, table: pa.Table, layout: dict[str, Any]) -> None:
    source = write(table)
    frame = pd.read_parquet(score(source, methods=("deepshap",), name="wide"))
    out = score(source, methods=("deepshap",), batch_rows=64, part_rows=256, **layout)
    found = {each.target: each for each in collect(out, sample_rows=50).attributions}
    assert set(found) == {"no", "yes"}
    for name, each in found.items():
        of_class = frame[frame["explained_class"] == name]
        assert (each.method, each.rows, each.left_out) == ("deepshap", len(of_class), 0)
        np.testing.assert_allclose(each.mean_magnitude, np.abs(shares(of_class)).mean(axis=0), rtol=1e-6)
        assert len(each.sample["row"]) == 50
        stored = of_class.set_index("source_row").loc[each.sample["row"]]
        np.testing.assert_allclose(each.sample["values"], shares(stored), rtol=1e-6)
        np.testing.assert_allclose(each.sample["score"], stored["score"])
        np.testing.assert_allclose(each.sample["base_value"], stored["base_value"])


def test_the_sample_does_not_depend_on_parts_and_batches(score: Score, write: Write, table: pa.Table) -> None:
    source = write(table)
    small = score(source, methods=("gradient",), batch_rows=64, part_rows=128, name="small")
    large = score(source, methods=("gradient",), name="large")
    one, other = (collect(out, sample_rows=20).attributions for out in (small, large))
    for mine, theirs in zip(one, other, strict=True):
        np.testing.assert_array_equal(mine.sample["row"], theirs.sample["row"])


def test_every_class_and_method_stands_alone(score: Score, write: Write, table: pa.Table) -> None:
    out = score(write(table), methods=("gradient", "deepshap"), explain_target="all")
    frame = pd.read_parquet(out)
    found = collect(out).attributions
    assert [(each.method, each.target) for each in found] == [
        (method, name) for method in ("gradient", "deepshap") for name in ("no", "yes")
    ]
    for each in found:
        magnitudes = np.abs(shares(frame, f"{each.method}.attribution.{each.target}."))
        np.testing.assert_allclose(each.mean_magnitude, magnitudes.mean(axis=0), rtol=1e-6)
        assert np.isfinite(each.sample["base_value"]).all() == (each.method == "deepshap")


def test_rows_that_were_not_explained_are_left_out(score: Score, write: Write, table: pa.Table) -> None:
    out = score(write(table), methods=("deepshap",), explain_where="probability.yes > 0.9", explain_fraction=0.5)
    frame = pd.read_parquet(out)
    found = collect(out)
    (only,) = found.attributions
    assert only.rows == frame["score"].notna().sum() > 0
    assert set(found.candidates["most certain"]["row"]) <= set(frame["source_row"][frame["score"].notna()])


def test_what_was_not_kept_counts_as_zero(score: Score, write: Write, table: pa.Table) -> None:
    source = write(table)
    whole = shares(pd.read_parquet(score(source, methods=("deepshap",), name="wide")))
    strongest = np.where(np.abs(whole) == np.abs(whole).max(axis=1, keepdims=True), whole, 0)
    found = collect(score(source, methods=("deepshap",), top_k=1)).attributions
    total = sum(each.rows * each.mean_magnitude for each in found)
    np.testing.assert_allclose(total, np.abs(strongest).sum(axis=0), rtol=1e-5)


def test_labels_are_counted_and_rows_that_stand_out_found(score: Score, write: Write, labelled: pa.Table) -> None:
    out = score(write(labelled), keep=("truth",), batch_rows=64)
    frame = pd.read_parquet(out)
    found = collect(out, label="truth")
    expected = confusion_matrix(frame["truth"], frame["prediction"], labels=["no", "yes", "maybe"])[:, :2]
    np.testing.assert_array_equal(found.confusion, expected)
    certainty = frame[["probability.no", "probability.yes"]].max(axis=1)
    wrong = (frame["truth"] != frame["prediction"]) & (frame["truth"] != "maybe")
    order = certainty.sort_values(ascending=False, kind="stable").index
    np.testing.assert_array_equal(found.candidates["most certain"]["row"], order[:10])
    least = certainty.sort_values(kind="stable").index[:10]
    np.testing.assert_array_equal(found.candidates["least certain"]["row"], least)
    np.testing.assert_array_equal(found.candidates["wrong"]["row"], [row for row in order if wrong[row]][:10])


def test_batches_are_as_small_as_is_asked(score: Score, write: Write, table: pa.Table) -> None:
    run = FinishedRun.read(score(write(table), methods=("gradient",), layout="list"))
    batches = list(run.batches(["source_row", "attribution"], values_at_once=400))
    assert {batch.table.num_rows for batch in batches} == {100}
    assert [batch.first for batch in batches] == list(range(0, 1000, 100))


def test_a_run_that_is_not_finished_is_refused(score: Score, write: Write, table: pa.Table) -> None:
    out = score(write(table))
    (out / "_SUCCESS").unlink()
    with pytest.raises(JobError, match="expected a finished run"):
        FinishedRun.read(out)


def test_samples_of_wide_tables_are_smaller() -> None:
    assert (sample_rows(30, 2), sample_rows(5000, 2), sample_rows(5000, 1000)) == (1000, 400, 20)
