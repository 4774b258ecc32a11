"""Layouts of a run's attributions, and rows that are not explained: always against the same run, wide and whole."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray

import whyport
from support.command import Whyport
from support.engines import OF_NETWORKS
from whyport.batch.methods.explainer import explainer_class
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.job import Job
from whyport.batch.scoring.selection import uniform
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import InterruptedJobError, UsageError

FEATURES = ("a", "b", "c")
ROWS = 200

Run = Callable[..., pa.Table]


@pytest.fixture
def source(rows: NDArray[np.float64], write: Callable[..., Path]) -> Path:
    rows = rows[:ROWS].copy()
    rows[::40, 0] = np.nan
    columns = dict(zip(FEATURES, rows.T, strict=True))
    kept = {"age": [None if i % 7 == 0 else i % 90 for i in range(ROWS)], "mean size": np.arange(ROWS) / ROWS}
    truth = {"truth": ["yes", "no"] * (ROWS // 2)}
    return write(pa.table(columns | kept | truth))


@pytest.fixture
def run(bundle: Path, source: Path, tmp_path: Path) -> Run:
    """Run over the table above into a folder of that name, audit it, and read the parts."""

    def run(name: str, audited: bool = True, **settings: Any) -> pa.Table:
        settings = {"methods": ("deepshap",), "device": "cpu", "batch_rows": 30, "part_rows": 60} | settings
        out = tmp_path / name
        Job(Bundle.read(bundle), JobSettings(inputs=(str(source),), out=out, **settings)).run()
        if audited:
            assert whyport.audit(out, sample=ROWS, device="cpu")[-1].startswith("sample")
        return pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("part-*"))])

    return run


def without_attributions(table: pa.Table) -> pa.Table:
    starts = ("attribution", "top_feature", "top_attribution")
    names = [name for name in table.column_names if not name.removeprefix("deepshap.").startswith(starts)]
    return table.select([name for name in names if not name.removeprefix("gradient.").startswith(starts)])


CHOICES: list[dict[str, Any]] = [
    {},
    {"explain_target": "all"},
    {"methods": ("deepshap", "gradient")},
    {"methods": ("deepshap", "gradient"), "explain_target": "all"},
]


def groups_of(choice: dict[str, Any]) -> list[tuple[str, str]]:
    """The prefix and suffix of every method's and class's columns."""
    prefixes = [f"{name}." for name in choice.get("methods", ())] or [""]
    suffixes = [".no", ".yes"] if choice.get("explain_target") == "all" else [""]
    return [(prefix, suffix) for prefix in prefixes for suffix in suffixes]


def matrix_of(wide: pa.Table, prefix: str, suffix: str) -> NDArray[np.float32]:
    columns = [wide[f"{prefix}attribution{suffix}.{feature}"] for feature in FEATURES]
    return np.stack([column.to_numpy() for column in columns], axis=1)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
def test_a_list_holds_what_the_columns_do(run: Run, choice: dict[str, Any]) -> None:
    wide, lists = run("wide", **choice), run("lists", layout="list", **choice)
    assert without_attributions(lists).equals(without_attributions(wide))
    for prefix, suffix in groups_of(choice):
        column = lists[f"{prefix}attribution{suffix}"]
        assert column.type == pa.list_(pa.float32(), 3)
        np.testing.assert_array_equal(np.array(column.to_pylist()), matrix_of(wide, prefix, suffix))
    assert json.loads(lists.schema.metadata[b"whyport.features"]) == list(FEATURES)


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("top_k", [1, 2, 3, 7])
def test_the_strongest_are_those_of_the_columns(run: Run, choice: dict[str, Any], top_k: int) -> None:
    wide, strongest = run("wide", audited=False, **choice), run("top", top_k=top_k, **choice)
    # The completeness error among them: it is that of all attributions.
    assert without_attributions(strongest).equals(without_attributions(wide))
    for prefix, suffix in groups_of(choice):
        values = matrix_of(wide, prefix, suffix)
        order = np.argsort(-np.abs(values), axis=1, kind="stable")[:, :top_k]
        names = np.array(strongest[f"{prefix}top_feature{suffix}"].to_pylist())
        np.testing.assert_array_equal(names, np.array(FEATURES)[order])
        got = np.array(strongest[f"{prefix}top_attribution{suffix}"].to_pylist())
        np.testing.assert_array_equal(got, np.take_along_axis(values, order, axis=1))


SELECTIONS: dict[str, dict[str, Any]] = {
    "probability": {"explain_where": "probability.yes > 0.5"},
    "score": {"explain_where": "score > 1"},
    "kept": {"explain_where": "`mean size` < 0.25 or age > 50", "keep": ("mean size", "age")},
    "row": {"explain_where": "source_row >= 100 and imputed_count == 0"},
    "fraction": {"explain_fraction": 0.3},
    "both": {"explain_where": "prediction == 'yes'", "explain_fraction": 0.5},
    "none": {"explain_where": "probability.yes > 2"},
    "whole batches": {"explain_where": "source_row >= 60"},
}


def expected(name: str, table: pa.Table, source: Path) -> NDArray[np.bool_]:
    rows = table["source_row"].to_numpy()
    yes, predicted = table["probability.yes"].to_numpy(), np.array(table["prediction"].to_pylist())
    match name:
        case "probability":
            return yes > 0.5
        case "score":
            return table["score"].to_numpy() > 1
        case "kept":
            return (rows / ROWS < 0.25) | ((rows % 7 != 0) & (rows % 90 > 50))
        case "row":
            return (rows >= 100) & (table["imputed_count"].to_numpy() == 0)
        case "fraction":
            return uniform(source.as_posix(), rows) < 0.3
        case "both":
            return (predicted == "yes") & (uniform(source.as_posix(), rows) < 0.5)
        case "none":
            return rows < 0
    return rows >= 60


LAYOUTS: list[dict[str, Any]] = [{}, {"layout": "list"}, {"top_k": 2}]


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
@pytest.mark.parametrize("name", SELECTIONS)
def test_rows_that_are_not_explained_have_nulls_and_the_others_what_they_had(
    run: Run, source: Path, name: str, layout: dict[str, Any]
) -> None:
    settings = SELECTIONS[name] | layout
    some = run("some", on_bad_row="impute", **settings)
    whole = run("whole", audited=False, on_bad_row="impute", keep=settings.get("keep", ()), **layout)
    is_explained = expected(name, whole, source)
    assert whole.schema.equals(some.schema)
    start, end = whole.column_names.index("explained_target"), whole.column_names.index("imputed_count")
    assert whole.num_rows == some.num_rows == ROWS
    for i, column in enumerate(whole.column_names):
        one, other = some[column], whole[column]
        if start <= i < end:
            assert one.is_null().to_pylist() == (~is_explained).tolist(), column
            one, other = one.filter(pa.array(is_explained)), other.filter(pa.array(is_explained))
        assert str(one.to_pylist()) == str(other.to_pylist()), column


@pytest.mark.parametrize("choice", CHOICES, ids=str)
@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_some_rows_by_every_method_and_class(
    run: Run, tmp_path: Path, choice: dict[str, Any], layout: dict[str, Any]
) -> None:
    table = run("some", explain_where="source_row < 50", **choice, **layout)
    for prefix, suffix in groups_of(choice):
        explained = table[f"{prefix}evaluations{suffix}"].is_valid().to_numpy()
        np.testing.assert_array_equal(explained, table["source_row"].to_numpy() < 50)
    report = json.loads((tmp_path / "some" / "_report.json").read_text())
    # Two of the fifty are rejected.
    assert report["explained"] == dict.fromkeys(choice.get("methods", ("deepshap",)), 48)


def test_the_explainers_see_no_other_row(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int] = []
    for name in OF_NETWORKS:
        kind = explainer_class(name)
        explain = kind.explain

        def counted(self: Any, request: Any, explain: Any = explain) -> Any:
            seen.append(len(request.rows))
            return explain(self, request)

        monkeypatch.setattr(kind, "explain", counted)
    # What is explained before the first row is of the bundle's own rows.
    monkeypatch.setattr("whyport.batch.run.worker.arithmetic_of", lambda *_: {})
    run("some", audited=False, methods=("gradient",), explain_where="source_row == 1 or source_row == 35")
    assert sum(seen) == 2


def test_the_same_rows_are_drawn_however_the_rows_are_cut(run: Run) -> None:
    one = run("one", audited=False, methods=("gradient",), explain_fraction=0.2)
    other = run("other", audited=False, methods=("gradient",), explain_fraction=0.2, batch_rows=7, part_rows=21)
    assert one["score"].is_null().equals(other["score"].is_null())
    assert 0 < one["score"].null_count < one.num_rows


class StopAfterOne(Interruption):
    """Comes before the second part."""

    def check(self) -> None:
        if self.seen:
            raise InterruptedJobError("stopped")
        self.seen = True

    seen = False


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_a_resumed_run_gives_the_same_bytes(
    run: Run, bundle: Path, source: Path, tmp_path: Path, layout: dict[str, Any]
) -> None:
    settings: dict[str, Any] = {
        "methods": ("deepshap",),
        "device": "cpu",
        "batch_rows": 30,
        "part_rows": 60,
        "explain_where": "probability.yes > 0.2",
        "explain_fraction": 0.5,
    }
    run("whole", audited=False, **settings, **layout)
    job = JobSettings(inputs=(str(source),), out=tmp_path / "resumed", **settings, **layout)
    with pytest.raises(InterruptedJobError):
        Job(Bundle.read(bundle), job).run(StopAfterOne())
    report = Job(Bundle.read(bundle), job).run()
    assert report.performance.resumed_parts == 1
    for path in (tmp_path / "whole").glob("part-*"):
        assert (job.out / path.name).read_bytes() == path.read_bytes()


@pytest.mark.parametrize(
    "change",
    [{"layout": "list"}, {"top_k": 2}, {"explain_where": "probability.yes > 0.5"}, {"explain_fraction": 0.5}],
    ids=str,
)
def test_another_layout_or_selection_is_another_job(run: Run, change: dict[str, Any]) -> None:
    run("out", audited=False, methods=("gradient",))
    (name,) = change
    with pytest.raises(UsageError, match=rf"holds another job; .*\n  settings\.{name}: .* there, "):
        run("out", methods=("gradient",), **change)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"explain_where": "probability.no2 > 0.5"}, r"unknown column 'probability\.no2' .*known: 'source_file'"),
        ({"explain_where": "age > 0.5"}, r"unknown column 'age'; known: .*; others need --keep, in .*input\.parquet"),
        ({"explain_where": "prediction > 0.5"}, r"cannot compute 'prediction > 0\.5': .*, in .*input\.parquet"),
        ({"explain_where": "score > 0", "explain_target": "all"}, r"unknown column 'score' \(did you mean 'score\.no'"),
        ({"explain_where": "probability.yes >"}, "expected a condition such as"),
        ({"explain_fraction": 0.0}, "explain_fraction: expected above 0 and at most 1, got 0.0"),
        ({"explain_fraction": 1.5}, "explain_fraction: expected above 0 and at most 1, got 1.5"),
        ({"explain_fraction": float("nan")}, "explain_fraction: expected above 0 and at most 1, got nan"),
        ({"top_k": 0}, "top_k: expected at least 1, got 0"),
        ({"layout": "long"}, "unknown layout 'long'; known: 'auto', 'wide', 'list', 'tensor'"),
        ({"top_k": 1, "methods": ()}, "top_k: expected an explanation method beside it, got none"),
        ({"explain_where": "score > 0", "methods": ()}, "explain_where: expected an explanation method"),
    ],
)
def test_what_cannot_be_done_is_refused_before_a_row_is_read(
    run: Run, tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        run("out", **settings)
    assert not (tmp_path / "out").exists()


def test_scores_of_all_classes_can_decide(run: Run) -> None:
    table = run("out", explain_target="all", explain_where="score.yes > score.no + 1")
    chance = table["probability.yes"].to_numpy()
    np.testing.assert_array_equal(table["score.no"].is_valid().to_numpy(), chance > 1 / (1 + np.exp(-1)))


def test_a_kept_column_may_have_a_name_that_means_something_elsewhere(
    bundle: Path, write: Callable[..., Path], table: pa.Table, tmp_path: Path
) -> None:
    source = write(table.append_column("score", pa.array(np.arange(1000))))
    settings: dict[str, Any] = {"methods": ("gradient",), "explain_target": "all", "keep": ("score",), "device": "cpu"}
    job = JobSettings(inputs=(str(source),), out=tmp_path / "out", explain_where="score < 10", **settings)
    assert Job(Bundle.read(bundle), job).run().explained == {"gradient": 10}


@pytest.mark.parametrize("layout", LAYOUTS, ids=str)
def test_floats_in_lists_are_split_by_byte(run: Run, tmp_path: Path, layout: dict[str, Any]) -> None:
    run("out", audited=False, **layout)
    group = pq.read_metadata(next((tmp_path / "out").glob("part-*"))).row_group(0)
    floats = [group.column(i) for i in range(group.num_columns) if group.column(i).physical_type in ("FLOAT", "DOUBLE")]
    assert any("attribution" in column.path_in_schema for column in floats)
    for column in floats:
        assert "BYTE_STREAM_SPLIT" in column.encodings
        assert "RLE_DICTIONARY" not in column.encodings


def test_pandas_and_polars_read_lists_as_the_documentation_says(run: Run, tmp_path: Path) -> None:
    wide = run("wide", audited=False, explain_where="source_row < 100")
    run("lists", audited=False, layout="list", explain_where="source_row < 100")
    run("top", audited=False, top_k=2, explain_where="source_row < 100")
    part = str(next(iter(sorted((tmp_path / "lists").glob("part-*")))))
    features = json.loads(pq.read_schema(part).metadata[b"whyport.features"])
    explained = wide.filter(wide["score"].is_valid())

    frame = pd.read_parquet(tmp_path / "lists").dropna(subset="attribution")
    shares = pd.DataFrame(np.stack(frame["attribution"]), columns=features, index=frame["source_row"])
    np.testing.assert_array_equal(shares["b"], explained["attribution.b"])

    long = pd.read_parquet(tmp_path / "top").explode(["top_feature", "top_attribution"])
    assert len(long.dropna(subset="top_feature")) == 2 * explained.num_rows

    lists = pl.read_parquet(tmp_path / "lists" / "part-*.parquet").drop_nulls("attribution")
    named = lists.with_columns(pl.col("attribution").arr.to_struct(features).struct.unnest())
    np.testing.assert_array_equal(named["b"].to_numpy(), explained["attribution.b"])

    top = pl.read_parquet(tmp_path / "top" / "part-*.parquet").drop_nulls("top_feature")
    assert top.explode("top_feature", "top_attribution").height == 2 * explained.num_rows


def test_the_command_takes_the_options(whyport: Whyport, bundle: Path, source: Path, tmp_path: Path) -> None:
    arguments = ["run", bundle, source, "--out", tmp_path / "out", "--explain", "deepshap", "--device", "cpu"]
    arguments += ["--explain-where", "probability.yes > 0.5", "--explain-fraction", "0.5", "--top-k", "2"]
    output = whyport(*arguments, "--dry-run").output
    assert "\nexplained a share of 0.5 of the rows where probability.yes > 0.5\n" in output
    assert "top_feature (fixed_size_list<item: string>[2])" in output
    assert whyport("run", bundle, source, "--out", tmp_path / "no", "--layout", "x", exit_code=2)
    output = whyport(*arguments).output
    table = pa.concat_tables(pq.read_table(path) for path in (tmp_path / "out").glob("part-*"))
    assert f"explained {table['score'].is_valid().to_pylist().count(True)} rows by deepshap\n" in output
    bad = whyport(*arguments[:-4], "--explain-where", "x > 1", "--dry-run", "--overwrite", exit_code=2).output
    assert bad.startswith("error: explain_where: unknown column 'x'; known: ")
