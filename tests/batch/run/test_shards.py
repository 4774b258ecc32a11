"""Shards of a job: the very same parts as one run makes, whoever made them, and in whatever order."""

import json
import multiprocessing
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.command import Whyport
from support.killed_runs import run_and_kill
from whyport.batch.output.parts import PartSpan, split
from whyport.batch.run.shard import Shard
from whyport.batch.store.lock import folder_lock
from whyport.runtime.errors import JobError, UsageError

Write = Callable[..., Path]
OPTIONS: dict[str, Any] = {"batch_rows": 4, "part_rows": 4, "explain": "gradient"}


@pytest.fixture
def inputs(table: pa.Table, tmp_path: Path) -> list[Path]:
    """Three files of different lengths, one of them empty."""
    paths = [tmp_path / f"{name}.parquet" for name in "abc"]
    for path, rows in zip(paths, (60, 0, 9), strict=True):
        pq.write_table(table.slice(0, rows), path)
    return paths


def contents(out: Path) -> dict[str, bytes]:
    """Every part by its name."""
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in sorted(out.rglob("part*.parquet"))}


@pytest.mark.parametrize("count", [1, 2, 3, 7, 40])
def test_every_part_is_in_one_shard(count: int) -> None:
    spans = {0: split(0, 50, 4), 2: split(2, 0, 4), 3: split(3, 9, 4)}
    shards = [Shard(number, count).of(spans) for number in range(1, count + 1)]
    together: list[PartSpan] = []
    for shard in shards:
        assert shard.keys() == spans.keys()
        together += [span for own in shard.values() for span in own]
    assert together == [span for parts in spans.values() for span in parts]
    sizes = [sum(map(len, shard.values())) for shard in shards]
    assert max(sizes) - min(sizes) <= 1


@pytest.mark.parametrize("text", ["0/3", "4/3", "3", "1/0", "a/b", "1/3/5", "-1/3", "1 / 3", "1/3\n", "\u0661/\u0663"])
def test_another_text_is_no_shard(text: str) -> None:
    with pytest.raises(UsageError, match="shard: expected NUMBER/COUNT, counted from 1, such as 3/8, got"):
        Shard.parse(text)


def test_shards_make_the_parts_of_one_run(bundle: Path, inputs: list[Path], tmp_path: Path) -> None:
    whole, out = tmp_path / "whole", tmp_path / "out"
    report = whyport.run(bundle, inputs, whole, **OPTIONS)
    made = 0
    for shard in ("2/3", "3/3", "1/3"):
        found = whyport.run_shard(bundle, inputs, out, shard, **OPTIONS)
        assert (found.shard, found.performance.resumed_parts, found.exit_code) == (shard, 0, 0)
        assert not (out / "_SUCCESS").exists()
        made += found.parts
        assert len(list(out.glob("part*.parquet"))) == made
    again = whyport.run_shard(bundle, inputs, out, "2/3", **OPTIONS)
    assert again.performance.resumed_parts == again.parts > 0
    finished = whyport.run(bundle, inputs, out, finish_only=True, **OPTIONS)
    assert contents(out) == contents(whole)
    assert finished.parts == report.parts
    assert finished.performance.resumed_parts == made
    assert {path.name for path in out.glob("_*")} == {path.name for path in whole.glob("_*")}
    whyport.audit(out)
    late = whyport.run_shard(bundle, inputs, out, "3/3", **OPTIONS)
    assert late.parts == late.performance.resumed_parts > 0
    assert {path.name for path in out.glob("_*")} == {path.name for path in whole.glob("_*")}


def test_a_run_makes_what_shards_have_not(bundle: Path, inputs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    whyport.run_shard(bundle, inputs, out, "1/2", **OPTIONS)
    there = {path.name for path in out.glob("part*.parquet")}
    missing = [name for name in contents(other_run(bundle, inputs, tmp_path)) if name not in there]
    with pytest.raises(JobError) as error:
        whyport.run(bundle, inputs, out, finish_only=True, **OPTIONS)
    assert f"got none of {len(missing)}: " in str(error.value)
    assert all(name in str(error.value) for name in missing[:3])
    report = whyport.run(bundle, inputs, out, **OPTIONS)
    assert report.performance.resumed_parts == len(there)
    assert contents(out) == contents(tmp_path / "whole")


def other_run(bundle: Path, inputs: list[Path], folder: Path) -> Path:
    whyport.run(bundle, inputs, folder / "whole", **OPTIONS)
    return folder / "whole"


def test_more_shards_than_parts(bundle: Path, inputs: list[Path], tmp_path: Path) -> None:
    out, parts = tmp_path / "out", 0
    for number in range(1, 31):
        report = whyport.run_shard(bundle, inputs[2:], out, f"{number}/30", **OPTIONS)
        parts += report.parts
        assert report.rows <= 4
    assert parts == 3
    whyport.run(bundle, inputs[2:], out, finish_only=True, **OPTIONS)
    whyport.audit(out)


def shard_of(bundle: Path, inputs: list[Path], out: Path, shard: str) -> None:
    whyport.run_shard(bundle, inputs, out, shard, **OPTIONS)


def test_shards_run_at_once_also_the_same_twice(bundle: Path, inputs: list[Path], tmp_path: Path) -> None:
    out, context = tmp_path / "out", multiprocessing.get_context("spawn")
    jobs = [context.Process(target=shard_of, args=(bundle, inputs, out, f"{1 + i % 3}/3")) for i in range(6)]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0] * 6
    assert not list(out.rglob(".*.tmp"))
    whyport.run(bundle, inputs, out, finish_only=True, **OPTIONS)
    assert contents(out) == contents(other_run(bundle, inputs, tmp_path))


def test_shards_and_a_run_exclude_each_other(bundle: Path, inputs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    whyport.run_shard(bundle, inputs, out, "1/2", **OPTIONS)
    with folder_lock(out, shared=True), folder_lock(out, shared=True):
        with pytest.raises(JobError, match="another run writes to"):
            whyport.run(bundle, inputs, out, **OPTIONS)
        whyport.run_shard(bundle, inputs, out, "2/2", **OPTIONS)
    with folder_lock(out), pytest.raises(JobError, match="another run writes to"):
        whyport.run_shard(bundle, inputs, out, "2/2", **OPTIONS)
    whyport.run(bundle, inputs, out, finish_only=True, **OPTIONS)


def test_a_killed_shard_loses_no_finished_part(bundle: Path, inputs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    run_and_kill("run_shard", 8, bundle, [str(each) for each in inputs], out, "1/2", **OPTIONS)
    left = list(out.glob("part*.parquet"))
    again = whyport.run_shard(bundle, inputs, out, "1/2", **OPTIONS)
    assert again.performance.resumed_parts == len(left) > 0
    whyport.run(bundle, inputs, out, **OPTIONS)
    assert contents(out) == contents(other_run(bundle, inputs, tmp_path))
    assert not list(out.rglob(".*.tmp"))


def test_a_shard_of_another_job_is_refused(bundle: Path, inputs: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "out"
    whyport.run_shard(bundle, inputs, out, "1/2", **OPTIONS)
    before = contents(out)
    for other in ({"part_rows": 8}, {"explain": "input-x-gradient"}):
        with pytest.raises(UsageError, match="another job|differ"):
            whyport.run_shard(bundle, inputs, out, "2/2", **OPTIONS | other)
    with pytest.raises(UsageError, match="shard: a shard removes nothing"):
        whyport.run_shard(bundle, inputs, out, "2/2", overwrite=True, **OPTIONS)
    with pytest.raises(UsageError, match="finish_only: expected no shard beside it"):
        whyport.run_shard(bundle, inputs, out, "2/2", finish_only=True, **OPTIONS)
    with pytest.raises(UsageError, match="finish_only: it makes nothing anew; expected no overwrite beside it"):
        whyport.run(bundle, inputs, out, finish_only=True, overwrite=True, **OPTIONS)
    with pytest.raises(JobError, match="expected the parts of a job to finish, got no job"):
        whyport.run(bundle, inputs, tmp_path / "other", finish_only=True, **OPTIONS)
    assert not (tmp_path / "other").exists()
    assert contents(out) == before


def test_a_shard_of_another_arithmetic_is_refused_unless_any_is_allowed(
    bundle: Path, inputs: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A machine that makes nothing may finish what others have made."""
    out = tmp_path / "out"
    whyport.run_shard(bundle, inputs, out, "1/2", **OPTIONS)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("whyport.batch.run.worker.arithmetic_of", lambda *_: {"predict": "0" * 64})
        with pytest.raises(UsageError, match="holds parts of another arithmetic"):
            whyport.run_shard(bundle, inputs, out, "2/2", **OPTIONS)
        whyport.run_shard(bundle, inputs, out, "2/2", any_arithmetic=True, **OPTIONS)
        with pytest.raises(UsageError, match="holds parts of another arithmetic"):
            whyport.run(bundle, inputs, out, finish_only=True, **OPTIONS)
        assert not (out / "_SUCCESS").exists()
        whyport.run(bundle, inputs, out, finish_only=True, any_arithmetic=True, **OPTIONS)
    assert len(json.loads((out / "_job.json").read_text())["arithmetic"]) == 2
    alone = tmp_path / "alone"
    whyport.run_shard(bundle, inputs, alone, "1/1", **OPTIONS)
    with monkeypatch.context() as elsewhere:
        elsewhere.setattr("whyport.batch.run.worker.arithmetic_of", lambda *_: {"predict": "0" * 64})
        whyport.run(bundle, inputs, alone, finish_only=True, **OPTIONS)
    whyport.audit(alone)


def test_a_bad_file_is_left_out_and_tried_again(
    bundle: Path, table: pa.Table, inputs: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    broken = table.slice(0, 9).set_column(1, "a", pa.array([None] * 9, pa.float64()))
    pq.write_table(broken, inputs[1])
    options = OPTIONS | {"on_bad_row": "fail", "on_bad_file": "skip"}
    reports = [whyport.run_shard(bundle, inputs, out, f"{number}/3", **options) for number in (1, 2, 3)]
    assert max(report.exit_code for report in reports) == 4
    assert {name for report in reports for name in report.bad_files} == {str(inputs[1])}
    report = whyport.run(bundle, inputs, out, **options)
    assert [skipped.source_file for skipped in report.skipped] == [str(inputs[1])]
    whyport.audit(out)


def test_the_command(bundle: Path, inputs: list[Path], tmp_path: Path, whyport: Whyport) -> None:
    out = tmp_path / "out"
    command = ["run", bundle, *inputs, "--out", out, "--part-rows", "4", "--batch-rows", "4"]
    for shard in ("1/2", "2/2"):
        result = whyport(*command, "--shard", shard)
        assert f"shard     {shard}" in result.stdout
        assert "next      the same command without --shard" in result.stdout
    told = whyport(*command, "--shard", "2/2", "--log-format", "json")
    assert json.loads(told.stdout)["shard"] == "2/2"
    assert whyport(*command, "--shard", "3/2", exit_code=2).stderr.startswith("error: shard: expected NUMBER/COUNT")
    assert "no --shard beside it" in whyport(*command, "--shard", "1/2", "--finish-only", exit_code=2).stderr
    assert "2 rows" not in whyport(*command, "--finish-only").stderr
    assert (out / "_SUCCESS").exists()
    (part, *_) = sorted(out.glob("part*.parquet"))
    (out / "_SUCCESS").unlink()
    part.unlink()
    missing = whyport(*command, "--finish-only", exit_code=1)
    assert f"got none of 1: {part.name!r}" in missing.stderr
