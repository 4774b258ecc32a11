"""The function `run`, as a notebook, a thread or a scheduler calls it."""

import json
import logging
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport as library
from support.bundles import WEIGHTS, logits_of
from support.command import Whyport
from whyport.batch.run.run import settings_of
from whyport.runtime.errors import ColumnError, UsageError

Write = Callable[..., Path]


def rows_of(out: Path) -> pa.Table:
    return pa.concat_tables([pq.read_table(path) for path in sorted(out.glob("part-*.parquet"))])


def test_a_run_gives_its_report_and_what_the_command_writes(
    whyport: Whyport, bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    source = write(table)
    report = library.run(
        bundle, source, tmp_path / "out", explain="input-x-gradient", keep="id", device="cpu", top_k=2, memory="64MB"
    )
    assert (report.rows_in, report.rows_out, report.explained) == (1000, 1000, {"input-x-gradient": 1000})
    assert report.exit_code(None) == 0
    command = ["run", bundle, source, "--out", tmp_path / "by_command", "--explain", "input-x-gradient", "--keep", "id"]
    whyport(*command, "--device", "cpu", "--top-k", 2, "--memory", "64MB")
    assert rows_of(tmp_path / "out").equals(rows_of(tmp_path / "by_command"))
    jobs = [json.loads((tmp_path / name / "_job.json").read_text()) for name in ("out", "by_command")]
    assert jobs[0] == jobs[1]


def test_several_inputs_and_methods_and_an_opened_bundle(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    inputs = [write(table.slice(0, 100), "one.parquet"), str(write(table.slice(100, 50), "two.parquet"))]
    opened = library.Bundle.read(bundle)
    report = library.run(opened, inputs, str(tmp_path / "out"), explain=("gradient", "input-x-gradient"), keep=["id"])
    assert [file.rows_in for file in report.files] == [100, 50]
    out = rows_of(tmp_path / "out")
    assert out["id"].to_pylist() == [f"r{i}" for i in range(150)]
    predicted = logits_of(np.column_stack([table[name][:150].to_numpy() for name in "abc"])).argmax(axis=1)
    np.testing.assert_allclose(out["gradient.attribution.a"], WEIGHTS[predicted, 0], atol=1e-6)


def test_progress_is_told_of_every_batch_and_of_what_was_done_before(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    source, out = write(table), tmp_path / "out"
    told: list[tuple[int, int]] = []

    def progress(done: int, rows: int) -> None:
        told.append((done, rows))
        if len(told) == 5:
            raise ConnectionError("the dashboard is gone")

    def run() -> None:
        library.run(bundle, source, out, batch_rows=100, part_rows=200, progress=progress)

    with pytest.raises(ConnectionError, match="the dashboard is gone"):
        run()
    assert told == [(done, 1000) for done in (0, 100, 200, 300, 400)]
    before = len(list(out.glob("part-*.parquet")))
    run()
    assert told[5:] == [(done, 1000) for done in range(200 * before, 1001, 100)]
    assert rows_of(out)["source_row"].to_pylist() == list(range(1000))


def test_a_run_shows_nothing_and_configures_nothing(
    bundle: Path,
    table: pa.Table,
    write: Write,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("sys.stderr.isatty", lambda: True, raising=False)
    handlers, level = list(logging.getLogger().handlers), logging.getLogger().level
    library.run(bundle, write(table), tmp_path / "out")
    assert capfd.readouterr() == ("", "")
    assert (logging.getLogger().handlers, logging.getLogger().level) == (handlers, level)


def test_a_run_in_a_thread_leaves_the_signals_alone(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    source, seen = write(table), []

    def look(done: int, rows: int) -> None:
        seen.append(signal.getsignal(signal.SIGINT))

    before = signal.getsignal(signal.SIGINT)
    thread = threading.Thread(target=library.run, args=(bundle, source, tmp_path / "out"), kwargs={"progress": look})
    thread.start()
    thread.join()
    assert (tmp_path / "out" / "_SUCCESS").exists()
    assert set(seen) == {before}
    library.run(bundle, source, tmp_path / "main", progress=look)
    assert seen[-1] is not before  # in the main thread they are watched, ...
    assert signal.getsignal(signal.SIGINT) is before  # ... while the run lasts


def test_the_first_signal_lets_the_part_finish(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    def interrupt(done: int, rows: int) -> None:
        if done == 100:
            signal.raise_signal(signal.SIGTERM)

    with pytest.raises(library.InterruptedJobError, match="the same command resumes") as caught:
        library.run(bundle, write(table), tmp_path / "out", batch_rows=100, part_rows=300, progress=interrupt)
    assert caught.value.exit_code == 128 + signal.SIGTERM
    assert rows_of(tmp_path / "out").num_rows == 300


def test_a_plan_is_what_the_dry_run_prints_and_writes_nothing(
    whyport: Whyport, bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    source, out = write(table), tmp_path / "out"
    lines = library.plan(bundle, source, out, keep="id", part_rows=300, batch_rows=100, progress=print)
    command = ["run", bundle, source, "--out", out, "--keep", "id", "--part-rows", 300, "--batch-rows", 100]
    printed = whyport(*command, "--dry-run").output.splitlines()
    assert [line for line in printed if not line.startswith("time ")] == [
        line for line in lines if not line.startswith("time ")
    ]
    assert not out.exists()
    with pytest.raises(UsageError, match=r"unknown option 'kep' \(did you mean 'keep'\?\)"):
        library.plan(bundle, source, out, kep="id")


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"explain": "deepshop"}, UsageError, "unknown explanation method 'deepshop'"),
        ({"keep": "id,a"}, ColumnError, '"id,a"'),
        ({"memory": "much"}, UsageError, "memory: expected a size such as"),
        ({"tolerance": 0.0}, UsageError, "tolerance: expected a number above 0"),
        ({"layout": "tall"}, UsageError, "unknown layout 'tall'"),
        ({"on_bad_row": "ignore"}, UsageError, "unknown policy"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    bundle: Path,
    table: pa.Table,
    write: Write,
    tmp_path: Path,
    options: dict[str, object],
    error: type[Exception],
    message: str,
) -> None:
    with pytest.raises(error, match=message):
        library.run(bundle, write(table), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_no_option_is_lost_on_the_way_to_the_settings() -> None:
    options = {"memory": "1kB", "explain": "integrated-gradients", "steps": 9, "threads": 2}
    settings = settings_of(["x"], Path("out"), options)
    assert (settings.explain.memory, settings.explain.options["steps"], settings.methods, settings.threads) == (
        1000,
        9,
        ("integrated-gradients",),
        2,
    )


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"explain": "shapley", "permutations": 4.5}, "permutations: expected a whole number or None, got 4.5"),
        ({"explain": "grad-cam", "grad_cam_map": "no"}, "grad_cam_map: expected True or False or None, got 'no'"),
        ({"explain": "smoothgrad", "samples": True}, "samples: expected a whole number or None, got True"),
        ({"tolerance": None}, "tolerance: expected a number, got None"),
        ({"layout": None}, "layout: expected a text, got None"),
        ({"explain_class": 0}, "explain_class: expected a text or None, got 0"),
        ({"max_rejected": 1.5}, "max_rejected: expected a whole number or a text or None, got 1.5"),
        ({"methods": ("gradient",)}, "unknown option 'methods'"),
    ],
)
def test_an_option_of_a_wrong_type_is_refused_before_anything_is_written(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UsageError, match=message):
        library.run(bundle, write(table), tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_numbers_of_numpy_are_options(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    options: dict[str, Any] = {
        "batch_rows": 100,
        "seed": 1,
        "tolerance": 0.5,
        "explain_fraction": 0.5,
        "permutations": 4,
    }
    source = write(table)
    library.run(bundle, source, tmp_path / "plain", explain="shapley", device="cpu", **options)
    same = {name: np.asarray(value)[()] for name, value in options.items()}
    report = library.run(bundle, source, tmp_path / "numpy", explain="shapley", device="cpu", **same)
    jobs = [(tmp_path / name / "_job.json").read_bytes() for name in ("plain", "numpy")]
    assert jobs[0] == jobs[1]
    assert report.exit_code(np.int64(10)) == report.exit_code(10) == report.exit_code("10") == 0  # type: ignore[arg-type]


def test_no_input_is_refused_and_the_result_before_it_stays(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    library.run(bundle, write(table), out, device="cpu")
    before = {path.name: path.read_bytes() for path in out.iterdir()}
    for function in (library.run, library.plan):
        with pytest.raises(UsageError, match="expected one or several inputs, got none"):
            function(bundle, [], out, device="cpu", overwrite=True)
    assert {path.name: path.read_bytes() for path in out.iterdir()} == before


def test_an_error_of_the_callback_is_no_bad_file(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    def callback(done: int, total: int) -> None:
        if done:
            raise ColumnError("the caller's own")

    source = write(table)
    with pytest.raises(ColumnError, match="^the caller's own$"):
        library.run(bundle, source, tmp_path / "out", on_bad_file="skip", device="cpu", progress=callback)
    assert not (tmp_path / "out" / "_SUCCESS").exists()
    assert library.run(bundle, source, tmp_path / "out", on_bad_file="skip", device="cpu").rows_out == 1000
