"""A file that cannot be scored ends the run, or is left out whole."""

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from support.command import Whyport
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.job import Job
from whyport.batch.run.worker import Worker
from whyport.batch.settings import JobSettings
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import ColumnError, DataError, InterruptedJobError

Write = Callable[..., Path]


def break_in_the_middle(path: Path) -> None:
    """Overwrite pages in the middle of the file; the footer stays."""
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)


@pytest.fixture
def settings(table: pa.Table, write: Write, tmp_path: Path) -> JobSettings:
    """A good file, one that breaks in its fifth part, and a good one."""
    paths = [write(table, f"{i}.parquet", row_group_size=100) for i in range(3)]
    break_in_the_middle(paths[1])
    return JobSettings(inputs=tuple(map(str, paths)), out=tmp_path / "out", batch_rows=100, part_rows=100, device="cpu")


def names(out: Path) -> set[str]:
    return {path.name[:10] for path in out.glob("part-*.parquet")}


def test_a_file_that_breaks_in_its_middle_is_left_out_whole(bundle: Path, settings: JobSettings) -> None:
    report = Job(Bundle.read(bundle), dataclasses.replace(settings, on_bad_file="skip")).run()
    assert names(settings.out) == {"part-00000", "part-00002"}
    assert (report.rows_in, report.rows_out) == (2000, 2000)
    (skipped,) = report.skipped
    assert skipped.source_file == Path(settings.inputs[1]).as_posix()
    assert "cannot read: " in skipped.reason
    assert "1.parquet, row group " in skipped.reason
    assert report.exit_code(None) == 4
    assert (settings.out / "_SUCCESS").exists()


def test_a_failed_run_can_be_resumed_with_skip_and_a_skipped_one_tried_again(
    bundle: Path, settings: JobSettings
) -> None:
    read = Bundle.read(bundle)
    with pytest.raises(DataError, match=r"cannot read: .*1\.parquet, row group \d"):
        Job(read, settings).run()
    assert "part-00001" in names(settings.out)
    skipping = dataclasses.replace(settings, on_bad_file="skip")
    report = Job(read, skipping).run()
    assert report.performance.resumed_parts == 10
    assert names(settings.out) == {"part-00000", "part-00002"}
    assert Job(read, skipping).run() == report
    with pytest.raises(DataError, match=r"1\.parquet"):
        Job(read, settings).run()
    assert not (settings.out / "_SUCCESS").exists()


class AfterSkipping(Interruption):
    """Comes when the third file's turn has come."""

    def __init__(self, out: Path) -> None:
        super().__init__()
        self._out = out

    def check(self) -> None:
        if (self._out / "_skipped.json").exists():
            raise InterruptedJobError("stopped")


def test_what_was_skipped_is_not_read_again_by_the_next_attempt(
    bundle: Path, settings: JobSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, skipping = Bundle.read(bundle), dataclasses.replace(settings, on_bad_file="skip")
    with pytest.raises(InterruptedJobError):
        Job(read, skipping).run(AfterSkipping(settings.out))
    seen = []
    run = Worker.run
    monkeypatch.setattr(Worker, "run", lambda self, order, *rest: (seen.append(order.index), run(self, order, *rest)))
    report = Job(read, skipping).run()
    assert seen == [2]  # the first input is finished
    assert [skipped.source_file for skipped in report.skipped] == [settings.inputs[1]]


def test_files_without_a_footer_or_a_column_are_left_out(
    bundle: Path, table: pa.Table, write: Write, tmp_path: Path
) -> None:
    good, narrow = write(table, "good.parquet"), write(table.drop_columns(["b"]), "narrow.parquet")
    bad = tmp_path / "bad.parquet"
    bad.write_bytes(good.read_bytes()[:500])
    settings = JobSettings(
        inputs=(str(bad), str(good), str(narrow)), out=tmp_path / "out", on_bad_file="skip", device="cpu"
    )
    report = Job(Bundle.read(bundle), settings).run()
    assert [skipped.source_file for skipped in report.skipped] == [bad.as_posix(), narrow.as_posix()]
    assert "expected a Parquet file, got one that cannot be read" in report.skipped[0].reason
    assert "missing feature columns: b " in report.skipped[1].reason
    assert names(settings.out) == {"part-00001"}
    assert Job(Bundle.read(bundle), settings).run() == report
    with pytest.raises(DataError, match=r"bad\.parquet"):
        Job(Bundle.read(bundle), dataclasses.replace(settings, on_bad_file="fail"))


def test_a_run_of_nothing_but_bad_files_fails(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    path = write(table.drop_columns(["b"]))
    settings = JobSettings(inputs=(str(path),), out=tmp_path / "out", on_bad_file="skip")
    with pytest.raises(ColumnError, match="missing feature columns: b "):
        Job(Bundle.read(bundle), settings)


def test_a_bad_row_that_fails_leaves_its_file_out(bundle: Path, table: pa.Table, write: Write, tmp_path: Path) -> None:
    values = table["b"].to_numpy().copy()
    values[700] = np.nan
    good, bad = write(table, "good.parquet"), write(table.set_column(2, "b", pa.array(values)), "bad.parquet")
    settings = JobSettings(
        inputs=(str(bad), str(good)), out=tmp_path / "out", on_bad_file="skip", on_bad_row="fail", part_rows=100
    )
    report = Job(Bundle.read(bundle), dataclasses.replace(settings, batch_rows=100)).run()
    assert "column 'b': expected a finite number, got NaN, row 700" in report.skipped[0].reason
    assert names(settings.out) == {"part-00001"}


def test_the_command_says_so(whyport: Whyport, bundle: Path, settings: JobSettings) -> None:
    arguments = ["run", bundle, *settings.inputs, "--out", settings.out, "--device", "cpu", "--on-bad-file", "skip"]
    output = whyport(*arguments, exit_code=4).output
    assert "files     2, 1 skipped\n          skipped: cannot read: " in output
    report = json.loads((settings.out / "_report.json").read_text())
    assert len(report["skipped"]) == 1
