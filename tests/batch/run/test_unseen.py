"""A nightly file that is not as the training table was: new categories, changed types, dates that do not exist."""

import dataclasses
import datetime as dt
import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.command import Whyport
from support.interruptions import StopAfter
from support.mixed import IMPUTED, NAMES, PARTS, SLOPES, mixed_bundle, yes_of
from whyport.batch.output.folder import OutputFolder
from whyport.batch.output.result import read_report
from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import Disk
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import ColumnError, InterruptedJobError, UnseenValueError

ROWS = 100
REGIONS = ["north", "south", "west", None, ""]
"""A region of each row in turn; west is new."""

Write = Callable[..., Path]


def nightly(**changes: Any) -> pa.Table:
    rows = np.arange(ROWS)
    columns = {
        "age": rows + 0.5,
        "region": [REGIONS[i % 5] for i in rows],
        "since": [str(dt.date(2020, 1, 1) + dt.timedelta(days=int(i))) for i in rows],
        "grade": rows % 2 + 1,
        "member": [(True, False, None)[i % 3] for i in rows],
    }
    columns["since"][7] = "2020-02-30"
    return pa.table(columns | changes)


def codes() -> Any:
    region = np.array([0, 1, 2, 3, 3])[np.arange(ROWS) % 5]
    since = np.where(np.arange(ROWS) == 7, np.nan, 18262 + np.arange(ROWS))
    member = np.array([1, 0, 3])[np.arange(ROWS) % 3]
    return np.stack([np.arange(ROWS) + 0.5, region, since, np.arange(ROWS) % 2, member], axis=1)


@pytest.fixture(scope="module")
def mixed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mixed_bundle(tmp_path_factory.mktemp("mixed") / "bundle")


@pytest.fixture
def job(mixed: Path, write: Write, tmp_path: Path) -> Callable[..., Job]:
    """A job over one nightly file in four parts."""
    source = tmp_path / "night.parquet"

    def job(table: pa.Table, out: str = "out", **changes: Any) -> Job:
        if not source.exists():
            write(table, source.name)
        settings = JobSettings((str(source),), tmp_path / out, batch_rows=10, part_rows=30)
        return Job(Bundle.read(mixed), dataclasses.replace(settings, device="cpu", **changes))

    return job


def read(folder: Path) -> pa.Table:
    return pa.concat_tables(map(pq.read_table, sorted(folder.glob("part-*.parquet"))))


def test_new_categories_and_impossible_dates_are_scored_and_counted(job: Callable[..., Job], tmp_path: Path) -> None:
    report = job(nightly()).run()
    assert (report.rows_out, report.rows_rejected) == (ROWS, 0)
    assert (report.rows_unseen, report.unseen) == (20, {"region": 20, "since": 1})
    found = read(tmp_path / "out")
    expected = 1 / (1 + np.exp(-yes_of(codes())))
    np.testing.assert_allclose(found["probability.yes"].to_numpy(), expected, rtol=1e-5)
    assert found["imputed_count"].to_pylist() == [int(i == 7) for i in range(ROWS)]
    written = json.loads((tmp_path / "out" / "_report.json").read_text())
    assert (written["rows_unseen"], written["unseen"]) == (20, {"region": 20, "since": 1})
    lines = "\n".join(report.lines(job(nightly()).plan.task))
    assert "unseen    20 rows have values that training has not seen\n          20 x column 'region'\n" in lines
    assert [line for line in whyport.audit(tmp_path / "out", sample=ROWS, device="cpu") if "computed again" in line]


def test_shares_are_of_source_columns(job: Callable[..., Job], tmp_path: Path) -> None:
    """The model is a sum over columns: a column's share is its part of the score less the mean of the references'."""
    report = job(nightly(), methods=("shapley", "occlusion")).run()
    assert report.methods["shapley"].not_converged == 0
    found, rows = read(tmp_path / "out"), codes()
    references = np.array([[30, 0, 18262, 0, 1], [50, 1, 19000, 1, 0], [40, 0, 18500, 3, 3]])
    for j, name in enumerate(NAMES):

        def part(values: Any, name: str = name) -> Any:
            if name in PARTS:
                return np.array(PARTS[name])[values.astype(int)]
            return SLOPES[name] * np.where(np.isnan(values), IMPUTED[name], values)

        base = part(references[:, j]) @ [0.5, 0.25, 0.25]
        sign = np.where(np.array(found["prediction"].to_pylist()) == "yes", 1, 0)
        shares = found[f"shapley.attribution.{name}"].to_numpy()
        np.testing.assert_allclose(shares, sign * (part(rows[:, j]) - base), atol=2e-5)


def test_a_resumed_run_counts_the_same_and_writes_the_same(job: Callable[..., Job], tmp_path: Path) -> None:
    whole = job(nightly(), "whole", on_unseen="reject").run()
    with pytest.raises(InterruptedJobError):
        job(nightly(), on_unseen="reject").run(StopAfter(2))
    resumed = job(nightly(), on_unseen="reject").run()
    assert resumed.performance.resumed_parts == 2
    assert (
        (resumed.rows_unseen, resumed.unseen) == (whole.rows_unseen, whole.unseen) == (20, {"region": 20, "since": 1})
    )
    assert (resumed.rejected, resumed.parts) == (whole.rejected, whole.parts)
    for name in whole.parts:
        assert (tmp_path / "out" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_unseen_rows_are_rejected_or_refused_where_asked(job: Callable[..., Job], tmp_path: Path) -> None:
    report = job(nightly(), on_unseen="reject").run()
    assert report.rejected == {
        "column 'region': expected a value that training has seen, got 'west'": 20,
    }
    assert (report.rows_out, report.rows_unseen) == (80, 20)
    assert whyport.audit(tmp_path / "out", sample=80, device="cpu")[-1].startswith("sample")
    with pytest.raises(UnseenValueError, match=r"column 'region': .* got 'west', row 2, in .*night\.parquet"):
        job(nightly(), "failed", on_unseen="fail").run()


def test_a_changed_type_is_told_at_the_start(job: Callable[..., Job], caplog: pytest.LogCaptureFixture) -> None:
    changed = job(nightly(region=np.arange(ROWS)))
    line = "column 'region': expected text, got int64: training has seen none of its values, in "
    assert any(text.startswith(f"unseen    {line}") for text in changed.lines())
    with caplog.at_level(logging.WARNING):
        report = changed.run()
    assert any(message.startswith(line) for message in caplog.messages)
    assert report.unseen == {"region": ROWS, "since": 1}


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (nightly().drop_columns("region"), r"missing feature columns: region \(1 of 5\)"),
        (nightly(age=["x"] * ROWS), r"not numeric or boolean: age \(1 of 5; string\)"),
        (nightly(since=np.arange(ROWS)), r"not dates, times or text: since \(1 of 5; int64\)"),
    ],
)
def test_a_missing_column_and_types_that_no_model_can_take_are_refused_before_a_row_is_read(
    job: Callable[..., Job], table: pa.Table, message: str
) -> None:
    with pytest.raises(ColumnError, match=message):
        job(table)


@pytest.mark.parametrize(("limit", "code"), [("20", 0), ("19", 3), ("20%", 0), ("19%", 3), ("0", 3)])
def test_too_many_unseen_rows_are_an_alarm(
    whyport: Whyport, mixed: Path, write: Write, tmp_path: Path, limit: str, code: int
) -> None:
    source = write(nightly())
    whyport("run", mixed, source, "--out", tmp_path / "out", "--max-unseen", limit, "--device", "cpu", exit_code=code)
    assert read_report(OutputFolder(tmp_path / "out", Disk())).rows_unseen == 20


def test_texts_that_are_not_utf8_end_the_run(job: Callable[..., Job]) -> None:
    raw = pa.Array.from_buffers(pa.string(), 1, pa.array([b"\xff\xfe"], pa.binary()).buffers())
    bad = pa.chunked_array([raw] * ROWS)
    with pytest.raises(Exception, match="column 'region': expected text in UTF-8"):
        job(nightly(region=bad)).run()


def test_runs_of_earlier_versions_have_counted_none(job: Callable[..., Job], tmp_path: Path) -> None:
    job(nightly()).run()
    report, description = (tmp_path / "out" / name for name in ("_report.json", "_job.json"))
    written = json.loads(report.read_text())
    report.write_text(json.dumps({key: written[key] for key in written if "unseen" not in key}))
    assert read_report(OutputFolder(tmp_path / "out", Disk())).unseen == {}
    older = json.loads(description.read_text())
    del older["settings"]["on_unseen"]
    description.write_text(json.dumps(older | {"format_version": 3}))
    assert any("computed again" in line for line in whyport.audit(tmp_path / "out", sample=5, device="cpu"))
