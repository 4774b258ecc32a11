"""What becomes of a folder that a run was in before: resumed, refused, replaced, or left alone."""

import dataclasses
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from support.bundles import linear_bundle
from support.interruptions import StopAfter
from whyport.batch.output.folder import OutputFolder
from whyport.batch.run.job import Job
from whyport.batch.run.part import PartRunner
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import Disk
from whyport.batch.store.lock import folder_lock
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import DataError, InterruptedJobError, JobError, OutputError, UsageError

Write = Callable[..., Path]


@pytest.fixture
def settings(table: pa.Table, write: Write, tmp_path: Path) -> JobSettings:
    """Two inputs, four parts and one part."""
    one, two = write(table, "one.parquet"), write(table.slice(0, 10), "two.parquet")
    return JobSettings(
        inputs=(str(one), str(two)), out=tmp_path / "out", batch_rows=50, part_rows=250, device="cpu", keep=("id",)
    )


@pytest.fixture
def job(bundle: Path) -> Callable[..., Job]:
    def job(settings: JobSettings, **changes: Any) -> Job:
        return Job(Bundle.read(bundle), dataclasses.replace(settings, **changes))

    return job


def interrupt(job: Job, parts: int = 2) -> None:
    with pytest.raises(InterruptedJobError):
        job.run(StopAfter(parts))


def parts(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("part-*.parquet")}


def test_finished_parts_are_not_made_again(
    job: Callable[..., Job], settings: JobSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(job(settings))
    made = []
    run = PartRunner.run
    monkeypatch.setattr(
        PartRunner,
        "run",
        lambda self, source, span, *rest, **more: (made.append(span.name), run(self, source, span, *rest, **more)),
    )
    report = job(settings).run()
    assert made == [
        "part-00000-000000000500-000000000750.parquet",
        "part-00000-000000000750-000000001000.parquet",
        "part-00001-000000000000-000000000010.parquet",
    ]
    assert report.performance.resumed_parts == 2
    assert (report.rows_in, report.rows_out, sum(report.predictions.values())) == (1010, 1010, 1010)


def test_a_finished_run_is_left_alone(job: Callable[..., Job], settings: JobSettings) -> None:
    report = job(settings).run()
    times = {path: path.stat().st_mtime_ns for path in settings.out.rglob("*")}
    assert job(settings).run() == report
    assert {path: path.stat().st_mtime_ns for path in settings.out.rglob("*")} == times


def test_overwrite_makes_a_finished_run_again_but_resumes_an_unfinished_one(
    job: Callable[..., Job], settings: JobSettings
) -> None:
    interrupt(job(settings, overwrite=True))
    assert job(settings, overwrite=True).run().performance.resumed_parts == 2
    assert job(settings, overwrite=True).run().performance.resumed_parts == 0


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"batch_rows": 25}, "settings.batch_rows: 50 there, 25 here"),
        ({"part_rows": 100}, "settings.part_rows: 250 there, 100 here"),
        ({"keep": ()}, r'settings.keep: \["id"\] there, \[\] here'),
        ({"on_bad_row": "impute"}, 'settings.on_bad_row: "reject" there, "impute" here'),
        ({"methods": ("gradient",)}, r'settings.methods: \[\] there, \["gradient"\] here'),
    ],
)
def test_another_job_is_refused_with_the_difference(
    job: Callable[..., Job], settings: JobSettings, changes: dict[str, Any], line: str
) -> None:
    interrupt(job(settings))
    before = parts(settings.out)
    with pytest.raises(UsageError, match=f"holds another job; --overwrite replaces it, .*\n  {line}"):
        job(settings, **changes).run()
    assert parts(settings.out) == before
    job(settings, **changes, overwrite=True).run()
    assert (settings.out / "_SUCCESS").exists()


def test_another_bundle_is_refused(job: Callable[..., Job], settings: JobSettings, tmp_path: Path) -> None:
    interrupt(job(settings))
    other = Bundle.read(linear_bundle(tmp_path / "other", imputes=False))
    with pytest.raises(UsageError, match=r"bundle.digest: "):
        Job(other, settings).run()


def test_another_number_of_rows_a_call_is_another_job(
    job: Callable[..., Job], settings: JobSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    interrupt(job(settings))
    monkeypatch.setattr("whyport.runtime.batching.CPU_ROWS", 256)
    with pytest.raises(UsageError, match=r"settings.call_rows: 512 there, 256 here"):
        job(settings).run()


def test_threads_and_policies_may_change_between_attempts(job: Callable[..., Job], settings: JobSettings) -> None:
    interrupt(job(settings))
    report = job(settings, threads=1, on_bad_file="skip", max_rejected="1%").run()
    assert report.performance.resumed_parts == 2


def test_an_input_that_changed_is_refused(
    job: Callable[..., Job], settings: JobSettings, table: pa.Table, write: Write
) -> None:
    interrupt(job(settings))
    path = write(table.slice(0, 11), "two.parquet")
    message = rf"\n  1 of 2 inputs has changed: '{path.as_posix()}' \(10 rows there, 11 here\)$"
    with pytest.raises(UsageError, match=message):
        job(settings).run()
    write(table.slice(0, 10), "two.parquet")
    with pytest.raises(UsageError, match=r"two.parquet' \(modified at another time\)$"):
        job(settings).run()
    write(table.slice(1, 10), "two.parquet")
    with pytest.raises(UsageError, match=r"two.parquet' \((\d+ bytes there, \d+ here|another footer)\)$"):
        job(settings).run()


def test_inputs_that_came_or_went_or_moved_are_refused(
    job: Callable[..., Job], settings: JobSettings, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    pattern = (str(tmp_path / "*.parquet"),)
    interrupt(job(settings, inputs=pattern))
    path = write(table.slice(0, 5), "three.parquet")
    with pytest.raises(UsageError, match=rf"\n  1 of 3 inputs has changed: '{path.as_posix()}' \(added\)$"):
        job(settings, inputs=pattern).run()
    path.unlink()
    (tmp_path / "two.parquet").unlink()
    with pytest.raises(UsageError, match=r"\n  1 of 2 inputs has changed: '.*two.parquet' \(gone\)$"):
        job(settings, inputs=pattern).run()
    write(table.slice(0, 10), "two.parquet")
    os.utime(tmp_path / "two.parquet", ns=(0, 0))
    with pytest.raises(UsageError, match=r"\n  1 of 2 inputs has changed"):
        job(settings, inputs=pattern).run()


def test_another_order_of_the_inputs_is_refused(job: Callable[..., Job], settings: JobSettings) -> None:
    interrupt(job(settings))
    with pytest.raises(UsageError, match=r"\n  the inputs are in another order: '.*one.*', '.*two.*' there, '.*two"):
        job(settings, inputs=settings.inputs[::-1]).run()


@pytest.mark.parametrize("changed", [2, 5, 9])
def test_many_changed_inputs_share_one_line(
    job: Callable[..., Job], settings: JobSettings, table: pa.Table, write: Write, changed: int
) -> None:
    inputs = tuple(str(write(table.slice(0, 3), f"{i}.parquet")) for i in range(12))
    interrupt(job(settings, inputs=inputs))
    for path in inputs[:changed]:
        write(table.slice(0, 4), path)
    with pytest.raises(UsageError) as raised:
        job(settings, inputs=inputs, batch_rows=25).run()
    lines = raised.value.lines()
    assert lines[1:-1] == ["settings.batch_rows: 50 there, 25 here"]
    assert lines[-1].startswith(f"{changed} of 12 inputs have changed: {inputs[0]!r} (3 rows there, 4 here), ")
    assert lines[-1].count("rows there") == min(changed, 5)
    assert lines[-1].endswith(f" and {changed - 5} more") == (changed > 5)
    assert str(raised.value) == "\n  ".join(lines)


def test_an_input_that_changes_during_the_run_is_an_error(
    job: Callable[..., Job], settings: JobSettings, table: pa.Table, write: Write
) -> None:
    running = job(settings)
    os.utime(settings.inputs[0], ns=(0, 0))
    with pytest.raises(JobError, match=r"the file changed while the run read it, in .*one\.parquet"):
        running.run()
    assert not list(settings.out.glob("*part-*"))


def test_an_input_that_vanishes_is_an_error(job: Callable[..., Job], settings: JobSettings) -> None:
    running = job(settings)
    Path(settings.inputs[1]).unlink()
    with pytest.raises(DataError, match=r"cannot read: .*, in .*two\.parquet, row group 0"):
        running.run()
    assert len(parts(settings.out)) == 4


def test_a_second_run_in_the_folder_is_refused(job: Callable[..., Job], settings: JobSettings) -> None:
    settings.out.mkdir()
    with (
        folder_lock(settings.out),
        pytest.raises(JobError, match=rf"another run writes to '.*out': process {os.getpid()} on "),
    ):
        job(settings).run()
    assert list(settings.out.iterdir()) == []
    job(settings).run()


def test_the_lock_of_a_dead_process_is_no_obstacle(job: Callable[..., Job], settings: JobSettings) -> None:
    settings.out.mkdir()
    (settings.out / "_lock").write_text("process 1 on elsewhere")
    job(settings).run()
    assert not (settings.out / "_lock").exists()


def link(path: Path, target: Path) -> None:
    path.symlink_to(target)


def link_to_nothing(path: Path, target: Path) -> None:
    path.symlink_to(target.with_name("nothing"))


def pipe(path: Path, target: Path) -> None:
    os.mkfifo(path)


def hard_link(path: Path, target: Path) -> None:
    path.hardlink_to(target)


@pytest.mark.parametrize("make", [link, link_to_nothing, pipe])
@pytest.mark.parametrize("name", ["_lock", "_job.json", "_report.json", "_skipped.json", "_SUCCESS", "_rejected"])
def test_no_link_or_pipe_in_the_folder_is_followed_or_waited_for(
    job: Callable[..., Job], settings: JobSettings, tmp_path: Path, name: str, make: Callable[[Path, Path], None]
) -> None:
    own = tmp_path / "own"
    own.write_text("somebody's own")
    interrupt(job(settings))
    (settings.out / name).unlink(missing_ok=True)
    make(settings.out / name, own)
    got = "a pipe" if make is pipe else "a link"
    for options in ({}, {"overwrite": True}):
        with pytest.raises(
            UsageError, match=f"expected only what a run has written, got {got}: remove it, in .*{name}"
        ):
            job(settings, **options).run()
    assert own.read_text() == "somebody's own"
    assert not own.with_name("nothing").exists()


@pytest.mark.parametrize("make", [link, link_to_nothing, pipe, hard_link])
def test_a_lock_that_is_no_file_of_the_runs_own_is_refused(tmp_path: Path, make: Callable[[Path, Path], None]) -> None:
    """The folder may change between the check and the lock."""
    own = tmp_path / "own"
    own.write_text("somebody's own")
    make(tmp_path / "_lock", own)
    with pytest.raises(OutputError, match="_lock"), folder_lock(tmp_path):
        pytest.fail("locked")
    assert own.read_text() == "somebody's own"
    assert not own.with_name("nothing").exists()


@pytest.mark.parametrize("make", [link, link_to_nothing, pipe, hard_link])
@pytest.mark.parametrize("name", ["_job.json", "part-00000-000000000000-000000000250.parquet", "_SUCCESS"])
def test_what_has_an_unfinished_files_name_is_replaced(
    job: Callable[..., Job], settings: JobSettings, tmp_path: Path, name: str, make: Callable[[Path, Path], None]
) -> None:
    own = tmp_path / "own"
    own.write_text("somebody's own")
    interrupt(job(settings))
    (settings.out / name).unlink(missing_ok=True)
    make(settings.out / f".{name}.tmp", own)
    if name == "_job.json":  # as a first start finds the folder
        for path in settings.out.glob("[!.]*"):
            path.unlink()
    assert job(settings).run().rows_out == 1010
    assert own.read_text() == "somebody's own"
    assert not own.with_name("nothing").exists()
    assert not list(settings.out.rglob(".*"))


def test_a_document_that_is_a_pipe_is_not_waited_for(job: Callable[..., Job], settings: JobSettings) -> None:
    job(settings).run()
    (settings.out / "_job.json").unlink()
    os.mkfifo(settings.out / "_job.json")
    with pytest.raises(JobError, match=r"got a pipe, in .*_job.json"):
        OutputFolder(settings.out, Disk()).read_json("_job.json")


def test_a_part_that_is_not_whole_is_made_again(
    job: Callable[..., Job], settings: JobSettings, caplog: pytest.LogCaptureFixture
) -> None:
    job(settings, out=settings.out.with_name("expected")).run()
    interrupt(job(settings))
    first, second = sorted(settings.out.glob("part-*"))
    first.write_bytes(first.read_bytes()[:-20])
    second.write_bytes(b"")
    assert job(settings).run().performance.resumed_parts == 0
    assert parts(settings.out) == parts(settings.out.with_name("expected"))
    assert "made anew: expected a part that a run has written, got" in caplog.text


def test_a_part_of_another_job_is_made_again(job: Callable[..., Job], settings: JobSettings) -> None:
    other = settings.out.with_name("other")
    job(settings, out=other, keep=()).run()
    interrupt(job(settings))
    name = "part-00001-000000000000-000000000010.parquet"
    (settings.out / name).write_bytes((other / name).read_bytes())
    report = job(settings).run()
    assert report.performance.resumed_parts == 2
    assert "id" in pq.read_schema(settings.out / name).names


def test_a_part_whose_rejected_rows_are_gone_is_made_again(
    job: Callable[..., Job], settings: JobSettings, write: Write, table: pa.Table
) -> None:
    write(table.set_column(1, "a", pa.array([None] * 1000, pa.float64())), "one.parquet")
    interrupt(job(settings))
    for path in (settings.out / "_rejected").glob("part-*"):
        path.unlink()
    report = job(settings).run()
    assert (report.rows_out, report.rows_rejected, report.performance.resumed_parts) == (10, 1000, 0)
    assert len(list((settings.out / "_rejected").glob("part-*"))) == 4


def test_parts_that_are_none_of_the_jobs_are_an_error(job: Callable[..., Job], settings: JobSettings) -> None:
    interrupt(job(settings))
    (settings.out / "part-99999-000000000000-000000000001.parquet").write_bytes(b"")
    with pytest.raises(JobError, match=r"expected parts of this job alone, got '.*part-99999"):
        job(settings).run()


def test_a_job_file_that_cannot_be_read_is_named(job: Callable[..., Job], settings: JobSettings) -> None:
    interrupt(job(settings))
    (settings.out / "_job.json").write_text("{")
    with pytest.raises(JobError, match=r"expected a document that a run has written, got .*_job\.json"):
        job(settings).run()


def test_a_copy_of_the_input_gives_the_same_bytes(
    job: Callable[..., Job], settings: JobSettings, table: pa.Table, write: Write
) -> None:
    job(settings).run()
    os.utime(settings.inputs[0], ns=(0, 0))
    again = settings.out.with_name("again")
    job(settings, out=again).run()
    assert parts(again) == parts(settings.out)


def test_the_report_on_disk_is_the_one_returned(job: Callable[..., Job], settings: JobSettings) -> None:
    report = job(settings).run()
    stored = json.loads((settings.out / "_report.json").read_text())
    assert stored == json.loads(json.dumps(dataclasses.asdict(report)))


def test_dictionaries_of_the_rows_before_leave_no_trace(
    job: Callable[..., Job], settings: JobSettings, table: pa.Table, tmp_path: Path
) -> None:
    path = tmp_path / "encoded.parquet"
    groups = [table.slice(start, 7) for start in range(0, 70, 7)]
    encoded = [group.set_column(0, "id", group["id"].combine_chunks().dictionary_encode()) for group in groups]
    with pq.ParquetWriter(path, encoded[0].schema) as writer:
        for group in encoded:
            writer.write_table(group)
    changes = {"inputs": (str(path),), "batch_rows": 5, "part_rows": 10}
    job(settings, **changes).run()
    whole = parts(settings.out)
    for stop_after in range(1, 7):
        resumed = settings.out.with_name(f"resumed-{stop_after}")
        interrupt(job(settings, **changes, out=resumed), stop_after)
        job(settings, **changes, out=resumed).run()
        assert parts(resumed) == whole


def test_a_damaged_page_of_a_kept_part_is_made_again(
    job: Callable[..., Job], settings: JobSettings, table: pa.Table, write: Write, caplog: pytest.LogCaptureFixture
) -> None:
    write(table.set_column(1, "a", pa.array([None, *table["a"].to_pylist()[1:]])), "one.parquet")
    expected = dataclasses.replace(settings, out=settings.out.with_name("expected"))
    job(expected).run()
    whole = parts(expected.out)
    interrupt(job(settings), parts=4)
    kept = sorted(settings.out.rglob("part-*.parquet"))
    assert len(kept) == 5
    for number, path in enumerate(kept):
        # The last byte of a page, in another column of each part.
        column = pq.read_metadata(path).row_group(0).column(number)
        first = min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset)
        content = bytearray(path.read_bytes())
        content[first + column.total_compressed_size - 1] ^= 0x10
        path.write_bytes(content)
    assert job(settings).run().performance.resumed_parts == 0
    assert parts(settings.out) == whole
    assert caplog.text.count("made anew: expected the pages that were written, got ") == 4


@pytest.mark.parametrize(("name", "other"), [(b"source_row", b"source_rov"), (b"id", b"ie"), (b"reason", b"reasom")])
def test_a_part_whose_footer_names_other_columns_is_made_again(
    job: Callable[..., Job],
    settings: JobSettings,
    table: pa.Table,
    write: Write,
    caplog: pytest.LogCaptureFixture,
    name: bytes,
    other: bytes,
) -> None:
    write(table.set_column(1, "a", pa.array([None, *table["a"].to_pylist()[1:]])), "one.parquet")
    interrupt(job(settings))
    whole = parts(settings.out)
    (first,) = (settings.out / "_rejected" if name == b"reason" else settings.out).glob("part-00000-000000000000-*")
    content = first.read_bytes()
    # The name's length and the name, as the schema of the footer has them.
    text = bytes([len(name)]) + name
    at = content.index(text, len(content) - 8 - int.from_bytes(content[-8:-4], "little"))
    first.write_bytes(content[: at + 1] + other + content[at + len(text) :])
    assert other.decode() in pq.read_schema(first).names
    assert job(settings).run().performance.resumed_parts == 1
    assert whole.items() <= parts(settings.out).items()
    assert f"made anew: expected the columns of this job, got others, in {first}" in caplog.text
