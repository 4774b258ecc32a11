"""Rows looked up by a condition, and set against another, compared with pandas on the output itself."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.command import Whyport
from whyport import run, show
from whyport.batch.methods.catalogue import METHODS
from whyport.batch.review.base_value import WORDS
from whyport.batch.review.pruning import Pruning
from whyport.batch.scoring.condition import Condition
from whyport.runtime.errors import JobError, UsageError

ROWS = 900


@pytest.fixture(scope="module")
def out(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two inputs in parts of a hundred rows, some of them rejected, with a column whose name has a blank."""
    folder = tmp_path_factory.mktemp("lookup")
    draws = np.random.default_rng(5).normal(size=(ROWS, 3))
    draws[7::50, 1] = np.nan
    names = [f"C{i % 300:05d}" for i in range(ROWS)]
    columns = {"customer_id": names, "due on": pa.array(np.arange(ROWS) % 60, pa.int32()).cast(pa.date32())}
    table = pa.table(columns | dict(zip("abc", draws.T, strict=True)))
    for name, part in (("one", table[:600]), ("two", table[600:])):
        pq.write_table(part, folder / f"{name}.parquet")
    run(
        bundle,
        [folder / "one.parquet", folder / "two.parquet"],
        folder / "out",
        explain=["deepshap", "gradient"],
        explain_where="a > -1",
        keep=["customer_id", "due on", "a"],
        part_rows=100,
        batch_rows=50,
        device="cpu",
    )
    return folder / "out"


@pytest.fixture(scope="module")
def frame(out: Path) -> pd.DataFrame:
    """The scored rows."""
    return pd.concat(map(pd.read_parquet, sorted(out.glob("part-*.parquet"))), ignore_index=True)


def asked(out: Path, *rows: int, **options: Any) -> dict[str, Any]:
    """What `show` says of rows, for a program."""
    document: dict[str, Any] = json.loads(*show(out, rows, format="json", **options))
    return document


CONDITIONS: dict[str, Callable[[pd.DataFrame], "pd.Series[bool]"]] = {
    "customer_id == 'C00021'": lambda f: f.customer_id == "C00021",
    "`due on` >= '1970-02-20' and prediction == 'yes'": lambda f: (
        (pd.to_datetime(f["due on"]) >= "1970-02-20") & (f.prediction == "yes")
    ),
    "0.4 < probability.yes <= 0.45 or source_row == 3": lambda f: (
        ((f["probability.yes"].astype(float) > 0.4) & (f["probability.yes"].astype(float) <= 0.45))
        | (f.source_row == 3)
    ),
    "deepshap.attribution.b < -2 and customer_id in ('C00000', 'C00001', 'C00002', 'C00003')": lambda f: (
        (f["deepshap.attribution.b"] < -2) & f.customer_id.isin(["C00000", "C00001", "C00002", "C00003"])
    ),
    "score is None and a > -1.2": lambda f: f.score.isna() & (f.a > -1.2),
    "source_row > 10000": lambda f: f.source_row > 10000,
}


@pytest.mark.parametrize("where", CONDITIONS)
def test_the_rows_of_a_condition_are_pandas_rows(out: Path, frame: pd.DataFrame, where: str) -> None:
    expected = frame[CONDITIONS[where](frame)]
    document = asked(out, where=where, limit=4)
    assert document["found"] - document["found_rejected"] == len(expected)
    found = [(row["source_file"], row["source_row"]) for row in document["rows"] if "rejected" not in row]
    first = expected[["source_file", "source_row"]].itertuples(index=False, name=None)
    assert found == list(first)[: len(found)]
    assert len(document["rows"]) == min(4, document["found"])


def test_rejected_rows_are_found_by_what_they_have_and_counted_otherwise(out: Path) -> None:
    document = asked(out, where="customer_id == 'C00007'")
    assert [(row["source_row"], "rejected" in row) for row in document["rows"]] == [(7, True), (307, True), (7, True)]
    assert document["rejected_not_asked"] == 0
    assert asked(out, where="prediction == 'yes'")["rejected_not_asked"] == 18
    (first, *_) = show(out, where="customer_id == 'C00007'", file="two.parquet")
    assert first == "rows        1 where customer_id == 'C00007', 1 of them rejected"


def test_the_numbers_of_json_are_the_outputs(out: Path, frame: pd.DataFrame) -> None:
    stored = frame[(frame.source_file.str.endswith("two.parquet")) & (frame.source_row == 3)].iloc[0]
    (row,) = asked(out, 3, file="two.parquet")["rows"]
    assert row["kept"] == {"customer_id": "C00003", "due on": "1970-01-04", "a": stored.a}
    assert row["probabilities"] == {"no": stored["probability.no"], "yes": stored["probability.yes"]}
    deepshap, gradient = row["explanations"]
    shares = {share["feature"]: share["share"] for share in deepshap["shares"]}
    assert shares == {name: stored[f"deepshap.attribution.{name}"] for name in "abc"}
    assert (deepshap["score"], deepshap["base_value"]) == (stored.score, stored["deepshap.base_value"])
    assert (gradient["base_value"], gradient["share_unit"]) == (None, "logits per unit of the feature")
    assert row["base_value_is"] == {"deepshap": "the mean score of the 4 weighted reference rows"}
    values = pd.read_parquet(out.parent / "two.parquet").loc[3, list("abc")]
    assert {share["feature"]: share["value"] for share in deepshap["shares"]} == values.to_dict()


def test_differences_of_shares_add_up_to_that_of_scores(out: Path, frame: pd.DataFrame) -> None:
    rows = frame[frame.score.notna() & frame.source_file.str.endswith("one.parquet")]
    rows = rows[rows.prediction == "yes"].set_index("source_row")
    one, other = rows.index[:2]
    (row,) = asked(out, int(one), file="one.parquet", against=int(other))["rows"]
    against = row["against"][0]
    apart = {each["feature"]: each["difference"] for each in against["differences"]}
    wanted = {
        name: rows.loc[one, f"deepshap.attribution.{name}"] - rows.loc[other, f"deepshap.attribution.{name}"]
        for name in "abc"
    }
    assert apart == pytest.approx(wanted, rel=1e-12)
    assert sum(apart.values()) == pytest.approx(against["difference_of_scores"], abs=1e-5)
    assert against["difference_of_base_values"] == 0
    (few,) = asked(out, int(one), file="one.parquet", against=int(other), top=1)["rows"]
    few = few["against"][0]
    assert few["differences"][0]["difference"] + few["difference_of_others"] == pytest.approx(
        against["difference_of_scores"], abs=1e-5
    )
    text = show(out, int(one), file="one.parquet", against=int(other))
    assert any(
        line.startswith(f"deepshap, class yes, against {out.parent.as_posix()}/one.parquet, row {other}: scores ")
        for line in text
    )


def test_rows_that_do_not_compare_say_why(out: Path, frame: pd.DataFrame) -> None:
    rows = frame[frame.source_file.str.endswith("one.parquet")].set_index("source_row")
    yes, no = (int(rows[(rows.prediction == name) & rows.score.notna()].index[0]) for name in ("yes", "no"))
    plain = int(rows[rows.score.isna()].index[0])
    assert "explained for yes here, and for no there" in " ".join(show(out, yes, file="one.parquet", against=no))
    lacking = show(out, yes, file="one.parquet", against=plain)
    assert any(
        line.endswith(f"not compared: {out.parent.as_posix()}/one.parquet, row {plain} is not explained")
        for line in lacking
    )
    with pytest.raises(UsageError, match="against: expected rows with a prediction, got a rejected one"):
        show(out, yes, file="one.parquet", against=7)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({}, "row: expected a row's number, or a condition by where, got neither"),
        ({"row": 1, "where": "a > 1"}, "row: expected rows by number, or a condition by where, got both"),
        ({"where": "nothing > 1"}, "where: unknown column 'nothing'"),
        ({"where": "a >"}, "where: expected a condition such as"),
        ({"where": "a > 1", "against_file": "one.parquet"}, "against_file: expected a row's number by against"),
        ({"where": "a > 1", "against": 3}, "the run has 2 inputs: choose one with --file"),
        ({"where": "a > 1", "limit": 0}, "limit: expected at least 1, got 0"),
        ({"row": [1, -1]}, "row: expected at least 0, got -1"),
        ({"where": "a > 1", "format": "html"}, "unknown format 'html'"),
    ],
)
def test_a_question_that_makes_no_sense_is_refused(out: Path, options: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        show(out, **options)


def test_the_command_prints_each_format(whyport: Whyport, out: Path) -> None:
    where = ("show", out, "--where", "customer_id == 'C00003'", "--limit", 1, "--top", 1)
    text = whyport(*where).stdout
    assert text.startswith("rows        3 where customer_id == 'C00003', the first 1 below: --limit\n\n")
    assert json.loads(whyport(*where, "--format", "json").stdout)["found"] == 3
    page = whyport(*where, "--format", "markdown").stdout
    assert "| share (logits) | standard error | feature | value | unit |" in page
    assert "# " + out.parent.as_posix().replace("_", r"\_") + "/one.parquet, row 3" in page
    assert "error: row: expected a row's number" in whyport("show", out, exit_code=2).output


def test_row_groups_that_a_condition_rules_out_are_not_read(tmp_path: Path) -> None:
    table = pa.table(
        {"n": np.arange(100), "x": np.arange(100) / 10, "t": [f"{i:03d}" for i in range(100)], "a.b": [1] * 100}
    )
    pq.write_table(table, tmp_path / "f.parquet", row_group_size=10)
    file = pq.ParquetFile(tmp_path / "f.parquet")
    places = {file.schema.column(i).path: i for i in range(len(file.schema))}
    for where, groups in {
        "n == 42": [4],
        "n in (3, 99) and x >= 0": [0, 9],
        "20 <= n < 40.5": [2, 3, 4],
        "-1 > n": [],
        "t == '055'": [5],
        "not n == 42": [*range(10)],
        "n == 42 or x > 9": [*range(10)],
        "n + 1 == 42": [*range(10)],
        "n != 42 and t > '080'": [8, 9],
        "'080' < t": [8, 9],
    }.items():
        pruning = Pruning.of(Condition.parse(where), table.schema)
        assert [i for i in range(10) if pruning.may_hold(file.metadata.row_group(i), places)] == groups, where


def test_every_method_that_adds_up_says_what_its_base_value_is() -> None:
    assert WORDS.keys() == {name for name, method in METHODS.items() if method.adds_up}


def test_an_unfinished_run_without_parts_is_told(bundle: Path, out: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "_job.json").write_bytes((out / "_job.json").read_bytes())
    with pytest.raises(JobError, match="expected a run with parts to look into, got none"):
        show(tmp_path / "out", where="a > 1")
