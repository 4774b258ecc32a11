"""whyport run as a scheduler sees it: exit codes, dry runs, logs for collectors."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from sklearn.datasets import load_breast_cancer

from support.command import Whyport

Write = Callable[..., Path]


@pytest.fixture
def source(table: pa.Table, write: Write) -> Path:
    """1000 rows, of which 10 are rejected."""
    values = [None if i % 100 == 0 else 1.0 for i in range(1000)]
    return write(table.set_column(1, "a", pa.array(values)))


@pytest.mark.parametrize(("limit", "exit_code"), [("10", 0), ("9", 3), ("1%", 0), ("0.9%", 3), ("0", 3), ("100%", 0)])
def test_too_many_rejected_rows_have_an_exit_code(
    whyport: Whyport, bundle: Path, source: Path, tmp_path: Path, limit: str, exit_code: int
) -> None:
    arguments = ["run", bundle, source, "--out", tmp_path / "out", "--device", "cpu", "--max-rejected", limit]
    output = whyport(*arguments, exit_code=exit_code).output
    assert "rows      1000 in = 990 out + 10 rejected" in output
    assert (tmp_path / "out" / "_SUCCESS").exists()
    # The limit is no part of the job: it says how the same output is looked at.
    whyport(*arguments[:-1], "10", exit_code=0)


@pytest.mark.parametrize(
    ("targets", "limit", "exit_code"),
    [
        ("predicted", "0", 3),
        ("predicted", "100%", 0),
        ("all", "{count}", 0),
        ("all", "{fewer}", 3),
        ("all", "{share}%", 0),
        ("all", "{less}%", 3),
    ],
)
def test_rows_that_have_not_converged_are_counted_as_rows(
    whyport: Whyport, reference_bundle: Path, tmp_path: Path, targets: str, limit: str, exit_code: int
) -> None:
    source, out = tmp_path / "patients.parquet", tmp_path / "out"
    load_breast_cancer(as_frame=True).data.head(60).to_parquet(source, index=False)
    arguments = ["run", reference_bundle, source, "--out", out, "--explain", "occlusion", "--explain-class", targets]
    arguments += ["--absolute-tolerance", 3.0]
    whyport(*arguments)
    (part,) = out.glob("part-*")
    table = pq.read_table(part)
    converged = [table[name].to_numpy() for name in table.column_names if "converged" in name]
    rows = int((~np.all(converged, axis=0)).sum())
    assert 0 < rows < 60
    text = limit.format(count=rows, fewer=rows - 1, share=rows / 0.6 + 1e-9, less=(rows - 0.5) / 0.6)
    output = whyport(*arguments, "--max-not-converged", text, exit_code=exit_code).output
    assert "explained 60 rows by occlusion\n" in output
    assert f", {rows} of 60 rows not converged\n" in output
    assert json.loads((out / "_report.json").read_text())["methods"]["occlusion"]["not_converged"] == rows


@pytest.mark.parametrize("options", [[], ["--explain", "shapley"]])
def test_only_a_run_that_explains_has_a_rate_of_explaining(
    whyport: Whyport, bundle: Path, source: Path, tmp_path: Path, options: list[str]
) -> None:
    output = whyport("run", bundle, source, "--out", tmp_path / "out", *options).output
    assert ("          explain " in output) == bool(options)
    seconds = json.loads((tmp_path / "out" / "_report.json").read_text())["performance"]["seconds"]
    assert ("explain" in seconds) == bool(options)


def test_a_limit_that_is_none_is_a_usage_error(whyport: Whyport, bundle: Path, source: Path, tmp_path: Path) -> None:
    arguments = ["run", bundle, source, "--out", tmp_path / "out", "--max-rejected", "few"]
    assert "error: max_rejected: expected a count" in whyport(*arguments, exit_code=2).output


def test_a_dry_run_prints_the_plan_and_writes_nothing(
    whyport: Whyport, bundle: Path, source: Path, tmp_path: Path
) -> None:
    out = tmp_path / "below" / "out"
    arguments = ["run", bundle, source, "--out", out, "--device", "cpu", "--part-rows", 300, "--batch-rows", 100]
    output = whyport(*arguments, "--dry-run").output
    assert "inputs    1 files, 1000 rows\n" in output
    assert "parts     4, of up to 300 rows in batches of 100\n" in output
    assert "columns   6: source_file (string), source_row (int64), prediction (string), probability.no" in output
    assert f"output    {out}, where 0 parts are finished" in output
    assert not out.parent.exists()
    whyport(*arguments)
    next(out.glob("part-*")).unlink()
    (out / "_SUCCESS").unlink()
    assert "where 3 parts are finished" in whyport(*arguments, "--dry-run").output
    assert len(list(out.glob("part-*"))) == 3


def test_a_dry_run_finds_what_a_run_would(whyport: Whyport, bundle: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["run", bundle, source, "--out", out, "--device", "cpu"]
    assert "missing kept columns: x (1 of 1); " in whyport(*arguments, "--dry-run", "--keep", "x", exit_code=1).output
    whyport(*arguments)
    other = [*arguments, "--keep", "id", "--dry-run"]
    assert 'settings.keep: [] there, ["id"] here' in whyport(*other, exit_code=2).output
    assert "0 parts are finished" in whyport(*other, "--overwrite").output
    assert (out / "_SUCCESS").exists()


def run(*arguments: object) -> subprocess.CompletedProcess[str]:
    program = "from whyport.cli import main; main()"
    command = [sys.executable, "-c", program, "run", *map(str, arguments), "--log-format", "json"]
    return subprocess.run(command, capture_output=True, text=True)


def test_logs_as_json_are_nothing_but_json(bundle: Path, source: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = run(bundle, source, "--out", out)
    assert done.returncode == 0
    assert json.loads(done.stdout) == json.loads((out / "_report.json").read_text())
    again = run(bundle, source, "--out", out)
    (entry,) = map(json.loads, again.stderr.splitlines())
    assert {key: entry[key] for key in ("level", "logger", "message")} == {
        "level": "info",
        "logger": "whyport.batch.run.job",
        "message": f"the run in {out} is finished already",
    }
    failed = run(bundle, source, "--out", out, "--keep", "x")
    (entry,) = map(json.loads, failed.stderr.splitlines())
    assert (failed.returncode, entry["level"], entry["exit_code"]) == (1, "error", 1)
    assert entry["message"].startswith("missing kept columns: x (1 of 1); ")


def test_a_folder_that_cannot_be_written_to_is_named(
    whyport: Whyport, bundle: Path, source: Path, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    arguments = ["run", bundle, source, "--device", "cpu", "--out", tmp_path / "file" / "out"]
    assert "error: cannot write: Not a directory, in " in whyport(*arguments, exit_code=1).output
