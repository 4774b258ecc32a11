"""Columns kept by patterns, with what they leave out, compared with the names that fnmatch gives."""

import json
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport import ColumnError, audit, plan, run, run_shard, show
from whyport.runtime.errors import UsageError

Write = Callable[..., Path]


def table(rows: int = 40, **more: pa.Array) -> pa.Table:
    draws = np.random.default_rng(1).normal(size=(rows, 3))
    ids = {"credit_id": [f"r{i}" for i in range(rows)], "credit_limit": np.arange(rows), "x[0]": np.arange(rows) * 2}
    return pa.table(ids | dict(zip("abc", draws.T, strict=True)) | more)


def pinned(out: Path) -> list[str]:
    keep: list[str] = json.loads((out / "_job.json").read_text())["settings"]["keep"]
    return keep


def test_a_star_keeps_all_that_can_be_kept_and_says_what_not(
    bundle: Path, write: Write, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    nested = pa.array([["u"]] * 40, pa.list_(pa.string())).cast(pa.list_(pa.dictionary(pa.int32(), pa.string())))
    odd = {"prediction": pa.array([1] * 40), "reason": pa.array(["?"] * 40), "nested": nested}
    one, two = write(table(**odd), "one.parquet"), write(table(only_here=pa.array([1] * 40), **odd), "two.parquet")
    with caplog.at_level(logging.INFO):
        run(bundle, [one, two], tmp_path / "out", keep="*", device="cpu")
    assert pinned(tmp_path / "out") == ["credit_id", "credit_limit", "x[0]", "a", "b", "c"]
    told = "\n".join(caplog.messages)
    assert "not kept: 'prediction', 'reason': the output has a column of that name" in told
    assert "not kept: 'nested': its rows cannot be copied" in told
    assert f"not kept: 'only_here': it is not in '{one.as_posix()}'" in told
    kept = pd.read_parquet(next((tmp_path / "out").glob("part-00001*")))
    pd.testing.assert_frame_equal(
        kept[["credit_id", "credit_limit"]], table().to_pandas()[["credit_id", "credit_limit"]]
    )
    audit(tmp_path / "out")


def test_a_name_is_itself_before_it_is_a_pattern(bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(table(**{"credit_*": pa.array([1] * 40)}))
    run(bundle, source, tmp_path / "named", keep=["x[0]", "credit_*"], device="cpu")
    assert pinned(tmp_path / "named") == ["x[0]", "credit_*"]
    run(bundle, source, tmp_path / "matched", keep=["a", "*_?[id]*", "credit_id"], device="cpu")
    assert pinned(tmp_path / "matched") == ["a", "credit_id", "credit_limit"]


@pytest.mark.parametrize(
    ("keep", "message"),
    [
        ("nothing*", r"keep: expected a column that 'nothing\*' matches, got none of 'credit_id'"),
        ("CREDIT*", r"keep: expected a column that 'CREDIT\*' matches"),
        ("pred*", r"matches, got not kept: 'prediction': the output has a column of that name"),
    ],
)
def test_a_pattern_that_keeps_nothing_is_refused(bundle: Path, write: Write, keep: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        plan(bundle, write(table(prediction=pa.array([1] * 40))), "out", keep=keep)


@pytest.mark.parametrize("name", ["prediction", "reason", "source_row"])
def test_a_name_that_the_output_has_itself_is_refused(bundle: Path, write: Write, name: str) -> None:
    with pytest.raises(ColumnError, match=f"columns '{name}' would appear twice in the output"):
        plan(bundle, write(table(**{name: pa.array([1] * 40)})), "out", keep=name)


def test_a_bad_file_has_no_say_in_what_a_pattern_matches(bundle: Path, write: Write, tmp_path: Path) -> None:
    good, bad = write(table(), "good.parquet"), write(table().drop_columns(["a", "credit_limit"]), "bad.parquet")
    report = run(bundle, [good, bad], tmp_path / "out", keep="credit*", on_bad_file="skip", device="cpu")
    assert len(report.skipped) == 1
    assert pinned(tmp_path / "out") == ["credit_id", "credit_limit"]


def test_shards_and_resumed_runs_agree_on_a_pattern(bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(table())
    options = {"keep": "credit*", "keep_features": True, "part_rows": 10, "batch_rows": 10, "device": "cpu"}
    for shard in ("1/2", "2/2"):
        run_shard(bundle, source, tmp_path / "out", shard, **options)
    assert run(bundle, source, tmp_path / "out", **options, finish_only=True).rows_out == 40
    assert pinned(tmp_path / "out") == ["credit_id", "credit_limit", "a", "b", "c"]
    assert run(bundle, source, tmp_path / "out", **options).rows_out == 40


def test_new_inputs_alone_know_the_columns_of_paths_by_patterns(bundle: Path, write: Write, tmp_path: Path) -> None:
    write(table(), "in/day=1/x.parquet")
    options = {"keep": ["da*"], "new_since": tmp_path / "scored", "device": "cpu"}
    run(bundle, tmp_path / "in", tmp_path / "scored" / "one", **options)
    pq.write_table(table(), write(table(), "in/day=2/x.parquet"))
    (report,) = [run(bundle, tmp_path / "in", tmp_path / "scored" / "two", **options)]
    assert [file.source_file.split("/")[-2] for file in report.files] == ["day=2"]
    assert not run(bundle, tmp_path / "in", tmp_path / "scored" / "three", **options).files
    assert run(bundle, tmp_path / "in", tmp_path / "scored" / "two", **options).rows_out == 40


def test_what_is_kept_is_shown_without_the_input(bundle: Path, write: Write, tmp_path: Path) -> None:
    source = write(table())
    run(bundle, source, tmp_path / "out", explain="deepshap", keep_features=True, device="cpu")
    with_input = show(tmp_path / "out", 3)
    source.unlink()
    assert show(tmp_path / "out", 3) == with_input
    assert any(f"a = {table()['a'][3].as_py():.4g}" in line for line in with_input)


def test_a_report_of_what_was_kept_needs_no_input(bundle: Path, write: Write, tmp_path: Path) -> None:
    from whyport.batch.report.gather.columns import TableColumns
    from whyport.batch.report.gather.values import read_values
    from whyport.batch.review.finished_run import FinishedRun

    rows = table().set_column(3, "a", pa.array([None, *range(39)], pa.float64()))
    source = write(rows)
    run(bundle, source, tmp_path / "out", keep_features=True, part_rows=10, batch_rows=10, device="cpu")
    places = [{"source": np.array([0, 0, 0]), "row": np.array([0, 7, 39])}]
    finished, columns = FinishedRun.read(tmp_path / "out"), TableColumns.unknown(["a", "b", "c"])
    with_input = read_values(finished, columns, places)
    source.unlink()
    kept = read_values(finished, columns, places)
    assert not kept.gone
    np.testing.assert_array_equal(kept.rows(places[0]), with_input.rows(places[0]))
    np.testing.assert_array_equal(kept.rows(places[0])[:, 1], rows["b"].to_numpy()[[0, 7, 39]])
