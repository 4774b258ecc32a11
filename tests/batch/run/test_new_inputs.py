"""Runs that take new inputs alone: over the nights, every row is in one output, whatever happens to the files."""

import json
import multiprocessing
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from support.bundles import linear_bundle
from support.command import Whyport
from support.killed_runs import run_and_kill
from whyport.batch.run.job import Job
from whyport.batch.run.run import settings_of
from whyport.batch.run.shard import Shard
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import DataError, UsageError

OPTIONS: dict[str, Any] = {"keep": "id", "batch_rows": 4, "part_rows": 8}


class Nights:
    """Inputs that come and go, and the runs of one night after the other."""

    def __init__(self, bundle: Path, folder: Path) -> None:
        self.bundle = bundle
        self.incoming = folder / "incoming"
        self.scored = folder / "scored"
        self.incoming.mkdir()
        self._random = np.random.default_rng(0)
        self._ids = 0

    def come(self, name: str, rows: int = 6, *, nulls: int = 0, **options: Any) -> list[int]:
        """A file with rows that nobody has seen before; returns their numbers."""
        ids = list(range(self._ids, self._ids + rows))
        self._ids += rows
        columns: dict[str, Any] = dict(zip("abc", self._random.normal(size=(rows, 3)).T, strict=True))
        columns["a"] = pa.array([None] * nulls + list(columns["a"][nulls:]), pa.float64())
        path = self.incoming / name
        path.parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(pa.table({"id": pa.array(ids, pa.int64()), **columns}), path, **options)
        return ids

    def run(self, night: str, **options: Any) -> Any:
        return whyport.run(self.bundle, self.incoming, self.scored / night, **self.options(**options))

    def options(self, **options: Any) -> dict[str, Any]:
        return OPTIONS | {"new_since": self.scored} | options

    def ids(self, *nights: str) -> Counter[int]:
        """How often each row is in the finished outputs of these nights, or of all, scored or rejected."""
        folders = [self.scored / night for night in nights] or sorted(self.scored.iterdir())
        parts = [part for folder in folders if (folder / "_SUCCESS").exists() for part in folder.rglob("part-*")]
        return Counter(number for part in parts for number in pq.read_table(part, columns=["id"])["id"].to_pylist())


@pytest.fixture
def nights(bundle: Path, tmp_path: Path) -> Nights:
    return Nights(bundle, tmp_path)


def once(*ids: list[int]) -> Counter[int]:
    return Counter(number for each in ids for number in each)


def test_every_row_is_in_one_night(nights: Nights) -> None:
    first = [nights.come("a.parquet"), nights.come("b.parquet", 20, nulls=3), nights.come("deep/c.parquet", 0)]
    assert nights.run("1").rows_in == 26
    whyport.audit(nights.scored / "1")
    second = [nights.come("d.parquet", 9, nulls=9), nights.come("deep/e.parquet")]
    # Moved, renamed, linked: the content is what counts.
    (nights.incoming / "a.parquet").rename(nights.incoming / "deep" / "z.parquet")
    (nights.incoming / "again.parquet").symlink_to(nights.incoming.parent / "elsewhere.parquet")
    (nights.incoming / "b.parquet").rename(nights.incoming.parent / "elsewhere.parquet")
    report = nights.run("2")
    assert [file.source_file.removeprefix(f"{nights.incoming}/") for file in report.files] == [
        "d.parquet",
        "deep/e.parquet",
    ]
    assert (report.passed_over.scored, report.rows_rejected) == (3, 9)
    third = [nights.come("f.parquet")]
    nights.run("3")
    assert nights.ids() == once(*first, *second, *third)
    assert nights.ids("2") == once(*second)
    for night in ("2", "3"):
        whyport.audit(nights.scored / night)  # its own inputs alone: those of the first night have moved
    assert whyport.show(nights.scored / "3", 0)


def test_nights_drawn_at_random(nights: Nights) -> None:
    """Files come, move, go to an archive, are cut off; runs are stopped: the rows that came are each in one night."""
    draw = np.random.default_rng(7)
    came: list[list[int]] = []
    for night in range(8):
        sizes = draw.integers(0, 20, size=draw.integers(0, 4))
        came += [nights.come(f"{night}-{number}.parquet", int(rows)) for number, rows in enumerate(sizes)]
        known = sorted(nights.incoming.glob("*.parquet"))
        for path in known[:: int(draw.integers(2, 5))]:
            path.rename(nights.incoming / f"moved-{night}-{path.name}")
        if night % 3 == 2:
            with pytest.raises(ZeroDivisionError):
                nights.run(f"{night:02}-stopped", progress=lambda done, total: 1 // (done == 0))
        nights.run(f"{night:02}")
    assert nights.ids() == once(*came)


def test_nothing_new_is_a_success_without_a_folder(nights: Nights, whyport: Whyport) -> None:
    nights.come("a.parquet")
    command = ["run", nights.bundle, nights.incoming, "--new-since", nights.scored, "--out"]
    rows = "rows      6 in = 6 out + 0 rejected"
    assert rows in whyport(*command, nights.scored / "1").stdout
    before = sorted(nights.scored.rglob("*"))
    said = "nothing new since 1 finished job: none of 1 inputs"
    for options in ([], ["--dry-run"], ["--overwrite"], ["--finish-only"]):
        assert said in whyport(*command, nights.scored / "2", *options).stdout
    assert "parts     0, of 0 rows" in whyport(*command, nights.scored / "2", "--shard", "2/3").stdout
    told = json.loads(whyport(*command, nights.scored / "2", "--log-format", "json").stdout)
    assert (told["files"], told["rows_in"], told["passed_over"]["scored"]) == ([], 0, 1)
    assert sorted(nights.scored.rglob("*")) == before
    assert rows in whyport(*command, nights.scored / "1").stdout
    assert "parts     0, of 0 rows" in whyport(*command, nights.scored / "1", "--shard", "2/3").stdout
    assert sorted(nights.scored.rglob("*")) == before


def test_a_finished_night_stays_finished_whatever_becomes_of_its_inputs(nights: Nights) -> None:
    ids = nights.come("a.parquet")
    nights.come("b.parquet")
    (nights.incoming / "broken.parquet").write_bytes(b"PAR1 and no more")
    (nights.incoming / "gone.parquet").symlink_to(nights.scored / "nowhere")
    report = nights.run("1", on_bad_file="skip")
    assert len(report.skipped) == 2
    assert nights.run("1", on_bad_file="skip") == report
    (nights.incoming / "a.parquet").rename(nights.incoming / "moved.parquet")
    (nights.incoming / "b.parquet").unlink()
    assert nights.run("1", on_bad_file="skip") == report
    for other in ({"explain": "gradient"}, {"keep": ()}, {"part_rows": 4}):
        with pytest.raises(UsageError, match="holds another job") as error:
            nights.run("1", **other)
        assert "inputs" not in str(error.value)
    nights.come("broken.parquet")
    with pytest.raises(UsageError, match=r"choose another folder for newer inputs: '[^']*broken\.parquet'$"):
        nights.run("1")
    assert nights.ids() == once(ids, list(range(6, 12)))


def test_an_empty_folder_has_nothing_new(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    (nights.incoming / "notes.csv").touch()
    caplog.set_level("INFO", "whyport")
    assert nights.run("1").files == ()
    assert caplog.messages == [
        "nothing new since 0 finished jobs: none of 0 inputs",
        "1 other file passed over: notes.csv",
    ]
    with pytest.raises(UsageError, match="which names none among 1 other files"):
        nights.run("1", new_since=())
    with pytest.raises(UsageError, match="which names none"):
        whyport.run(nights.bundle, nights.incoming / "*.parquet", nights.scored / "1", **nights.options())


@pytest.mark.parametrize("overwrite", [False, True])
def test_two_nights_at_once_do_not_both_finish(nights: Nights, overwrite: bool) -> None:
    """The later one would have the rows of the earlier one a second time."""
    first = nights.come("a.parquet", 40)

    def other(done: int, total: int) -> None:
        if done == 0:
            nights.come("b.parquet")
            nights.run("2")

    with pytest.raises(UsageError, match=r"other jobs have scored 1 of its inputs since: '[^']*a\.parquet'"):
        nights.run("1", progress=other, overwrite=overwrite)
    assert not (nights.scored / "1" / "_SUCCESS").exists()
    assert nights.ids() == once(first, list(range(40, 46)))


def test_the_plan_names_what_is_new(nights: Nights) -> None:
    nights.come("a.parquet")
    nights.come("b.parquet")
    nights.run("1")
    nights.come("a.parquet", 7)
    nights.come("c.parquet")
    lines = whyport.plan(nights.bundle, nights.incoming, nights.scored / "2", **nights.options())
    assert "          new since 1 finished job: 2 of 3 inputs" in lines
    assert f"          changed since a job scored them: '{nights.incoming / 'a.parquet'}'" in lines
    assert "          1 passed over that finished jobs have scored" in lines
    assert not (nights.scored / "2").exists()


def test_a_changed_file_is_new(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    old = nights.come("a.parquet")
    nights.run("1")
    new = nights.come("a.parquet")
    caplog.set_level("INFO", "whyport")
    nights.run("2")
    assert nights.ids() == once(old, new)
    assert f"changed since a job scored them: '{nights.incoming / 'a.parquet'}'" in caplog.messages


def test_a_copy_or_a_touched_file_is_not_new_and_is_named(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    nights.come("a.parquet")
    nights.come("b.parquet")
    nights.run("1")
    shutil.copy(nights.incoming / "a.parquet", nights.incoming / "copy.parquet")
    os.utime(nights.incoming / "b.parquet", ns=(1, 1))
    report = nights.run("2")
    assert (report.files, report.passed_over.scored) == ((), 3)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warning == (
        "passed over with a footer and size that were scored, but changed at another time: "
        f"'{nights.incoming / 'b.parquet'}', '{nights.incoming / 'copy.parquet'}'"
    )


def test_a_footer_without_statistics_does_not_stand_for_values(nights: Nights) -> None:
    """All such files of so many rows have one footer and one size, whatever is in them."""
    options: dict[str, Any] = {"write_statistics": False, "compression": "none", "use_dictionary": False}
    came = [nights.come("a.parquet", **options), nights.come("b.parquet", **options)]
    sizes = {path.stat().st_size for path in nights.incoming.iterdir()}
    assert len(sizes) == 1
    nights.run("1")
    came += [nights.come("c.parquet", **options), nights.come("a.parquet", **options)]
    (nights.incoming / "b.parquet").rename(nights.incoming / "moved.parquet")
    report = nights.run("2")
    assert report.passed_over.scored == 1
    assert nights.ids() == once(*came)
    assert nights.run("3").files == ()


def test_inputs_of_one_content_in_one_night_are_each_scored(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    ids = nights.come("a.parquet")
    shutil.copy(nights.incoming / "a.parquet", nights.incoming / "b.parquet")
    caplog.set_level("INFO", "whyport")
    nights.run("1")
    assert nights.ids() == once(ids, ids)
    both = ", ".join(f"'{nights.incoming / name}'" for name in ("a.parquet", "b.parquet"))
    assert f"alike in footer and size, and each scored: {both}" in caplog.messages
    assert nights.run("2").files == ()


def test_what_only_the_path_gives_tells_files_apart(tmp_path: Path) -> None:
    """One file in two Hive folders is two inputs where the folder's column is read, and one where it is not."""
    nights = Nights(linear_bundle(tmp_path / "bundle"), tmp_path)
    ids = nights.come("day=1/rows.parquet")
    nights.run("1", keep=["id", "day"])
    (nights.incoming / "day=2").mkdir()
    shutil.copy2(nights.incoming / "day=1" / "rows.parquet", nights.incoming / "day=2" / "rows.parquet")
    assert nights.run("other", keep=["id"]).files == ()
    nights.run("2", keep=["id", "day"])
    assert nights.ids() == once(ids, ids)
    assert nights.run("3", keep=["id", "day"]).files == ()


def test_a_column_of_the_path_that_the_file_has_itself_tells_nothing(nights: Nights) -> None:
    nights.come("id=7/rows.parquet")
    nights.run("1")
    (nights.incoming / "id=7" / "rows.parquet").rename(nights.incoming / "rows.parquet")
    assert nights.run("2").files == ()


def test_an_input_that_was_skipped_is_new(nights: Nights) -> None:
    first = nights.come("a.parquet")
    (nights.incoming / "broken.parquet").write_bytes(b"PAR1 and no more")
    late = nights.come("late.parquet", 9, nulls=1)
    options = {"on_bad_file": "skip", "on_bad_row": "fail"}
    assert len(nights.run("1", **options).skipped) == 2
    assert nights.ids() == once(first)
    ids = nights.come("broken.parquet")
    report = nights.run("2", on_bad_file="skip")
    assert (report.rows_in, report.rows_rejected, report.skipped) == (15, 1, ())
    assert nights.ids() == once(first, ids, late)


def test_a_bad_file_alone_is_an_error_as_ever(nights: Nights) -> None:
    nights.come("a.parquet")
    nights.run("1")
    (nights.incoming / "broken.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(DataError, match="expected a Parquet file"):
        nights.run("2", on_bad_file="skip")
    assert not (nights.scored / "2").exists()


def test_unfinished_jobs_do_not_count_and_are_named(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    ids = nights.come("a.parquet", 30)
    stop(nights, "1")
    assert nights.ids() == Counter()
    nights.run("2")
    assert f"not finished, and so not counted: '{nights.scored / '1'}'" in caplog.messages
    assert nights.ids() == once(ids)
    # Taken up again, the first night would score its rows a second time.
    with pytest.raises(
        UsageError, match=r"an unfinished job, and other jobs have scored 1 of its inputs since: .*a\.p"
    ):
        nights.run("1")
    assert nights.run("1", overwrite=True).files == ()


def stop(nights: Nights, night: str) -> None:
    """Kill a night's run in its middle."""
    options = nights.options() | {"new_since": str(nights.scored)}
    run_and_kill("run", 8, nights.bundle, nights.incoming, nights.scored / night, **options)
    assert list((nights.scored / night).glob("part-*"))


def test_a_stopped_night_goes_on_with_its_own_inputs(nights: Nights, caplog: pytest.LogCaptureFixture) -> None:
    first = nights.come("b.parquet")
    nights.run("1")
    second = [nights.come("a.parquet", 30), nights.come("d.parquet", 30)]
    stop(nights, "2")
    late = nights.come("c.parquet")
    caplog.set_level("INFO", "whyport")
    report = nights.run("2")
    assert report.performance.resumed_parts > 0
    assert f"not scored, and left for another run: '{nights.incoming / 'c.parquet'}'" in caplog.messages
    assert nights.ids("2") == once(*second)
    whole = nights.scored.parent / "whole"
    whyport.run(nights.bundle, [nights.incoming / name for name in ("a.parquet", "d.parquet")], whole, **OPTIONS)
    assert report.parts == json.loads((whole / "_report.json").read_text())["parts"]
    with pytest.raises(UsageError, match=r"holds a finished job; choose another folder for newer inputs: .*c\.parquet"):
        nights.run("2")
    nights.run("3")
    assert nights.run("2").rows_in == 60
    assert nights.ids() == once(first, *second, late)


def test_a_stopped_night_whose_input_has_changed_is_refused_as_ever(nights: Nights) -> None:
    nights.come("a.parquet", 30)
    stop(nights, "1")
    nights.come("a.parquet", 30)
    with pytest.raises(UsageError, match="another job") as error:
        nights.run("1")
    assert "1 of 1 inputs has changed" in str(error.value)
    (nights.incoming / "a.parquet").unlink()
    nights.come("b.parquet")
    with pytest.raises(UsageError, match="an unfinished job, and none of its inputs is there"):
        nights.run("1")


def test_shards_have_the_same_inputs(nights: Nights) -> None:
    first = nights.come("a.parquet", 20)
    nights.run("1")
    second = [nights.come("b.parquet", 40), nights.come("d.parquet", 40)]
    out = nights.scored / "2"
    parts = 0
    for number in (2, 1, 3):
        parts += whyport.run_shard(nights.bundle, nights.incoming, out, f"{number}/3", **nights.options()).parts
        nights.come(f"c{number}.parquet")
    assert parts == 10
    assert nights.run("2", finish_only=True).rows_in == 80
    assert nights.ids() == once(first, *second)
    whyport.audit(out)


def test_a_shard_that_chose_at_the_same_time_takes_the_inputs_of_the_first(nights: Nights) -> None:
    nights.come("a.parquet", 40)
    settings = settings_of([nights.incoming], nights.scored / "1", nights.options())
    first = Job(Bundle.read(nights.bundle), settings)
    nights.come("late.parquet", 40)
    second = Job(Bundle.read(nights.bundle), settings)
    first.run_shard(Shard(1, 2))
    assert second.run_shard(Shard(2, 2)).rows == 24
    assert nights.run("1", finish_only=True).rows_in == 40


def shard_of(bundle: Path, inputs: Path, out: Path, shard: str, options: dict[str, Any]) -> None:
    whyport.run_shard(bundle, inputs, out, shard, **options)


def test_shards_at_once(nights: Nights) -> None:
    ids = [nights.come(f"{number}.parquet", 20) for number in range(4)]
    context, out = multiprocessing.get_context("spawn"), nights.scored / "1"
    arguments = [(nights.bundle, nights.incoming, out, f"{number}/3", nights.options()) for number in (1, 2, 3)]
    jobs = [context.Process(target=shard_of, args=each) for each in arguments]
    for job in jobs:
        job.start()
    for job in jobs:
        job.join()
    assert [job.exitcode for job in jobs] == [0, 0, 0]
    nights.run("1", finish_only=True)
    assert nights.ids() == once(*ids)


def test_a_job_counts_whatever_its_bundle(nights: Nights, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    nights.come("a.parquet")
    nights.run("1")
    nights.bundle = linear_bundle(tmp_path / "other", maps=True)
    new = nights.come("b.parquet")
    caplog.set_level("INFO", "whyport")
    nights.run("2")
    assert nights.ids("2") == once(new)
    assert "scored by other bundles alone: 1 of the 1 passed over" in caplog.messages
    # The new model scores everything in a folder of its own.
    nights.run("again", new_since=nights.scored / "again")
    assert len(nights.ids("again")) == 12


def test_several_folders_and_single_jobs(nights: Nights) -> None:
    ids = [nights.come(f"{number}.parquet") for number in range(3)]
    for number in range(3):
        path = nights.incoming / f"{number}.parquet"
        whyport.run(nights.bundle, path, nights.scored / f"{number}", **OPTIONS)
    report = nights.run("3", new_since=[nights.scored / "0", str(nights.scored / "2")])
    assert report.rows_in == 6
    assert nights.ids("3") == once(ids[1])


def test_overwrite_chooses_anew(nights: Nights) -> None:
    nights.come("a.parquet")
    nights.run("1")
    nights.come("b.parquet")
    assert nights.run("1", overwrite=True).rows_in == 12
    assert set(nights.ids().values()) == {1}
    # Nothing is removed where there is nothing to put in its place.
    whyport.run(nights.bundle, nights.incoming, nights.scored / "2", **OPTIONS)
    assert nights.run("1", overwrite=True).files == ()
    assert len(nights.ids("1")) == 12


def test_a_job_that_is_being_replaced(nights: Nights) -> None:
    nights.come("a.parquet")
    nights.run("1")
    (nights.scored / "2").mkdir()
    (nights.scored / "2" / "_job.json").write_text("{}")
    with pytest.raises(UsageError, match="holds a run that was being replaced; --overwrite goes on with that"):
        nights.run("2")


def test_a_worker_elsewhere_has_the_same_inputs(nights: Nights) -> None:
    nights.come("a.parquet")
    nights.run("1")
    nights.come("b.parquet")
    settings = settings_of([nights.incoming], nights.scored / "2", nights.options())
    job = Job(Bundle.read(nights.bundle), settings)
    nights.come("late.parquet")
    setup = job._attempt.worker.setup
    assert [each.name for each in setup.build()._plan.sources.values()] == [str(nights.incoming / "b.parquet")]


def wrong(tmp_path: Path) -> Iterator[tuple[Any, str]]:
    yield tmp_path / "nothing", r"new_since: expected the folder of a job, or of several, got nothing, in .*/nothing$"
    (tmp_path / "file").touch()
    yield tmp_path / "file", r"got what is no folder, in .*/file$"
    yield "ftp://host/scored", "new_since: expected a path, or an address .*, got the URL 'ftp://host/scored'"
    yield "", "new_since: expected a path or an address, got ''"
    yield (
        ["scored", "ftp://host/scored"],
        "new_since: expected a path, or an address .*, got the URL 'ftp://host/scored'",
    )


def test_what_is_no_folder_of_jobs(nights: Nights, tmp_path: Path) -> None:
    nights.come("a.parquet")
    for folder, message in wrong(tmp_path):
        with pytest.raises(UsageError, match=message):
            nights.run("1", new_since=folder)
    assert not nights.scored.exists()
