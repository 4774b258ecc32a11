"""Every write of a run fails once: nothing wrong is ever visible, and the same command comes to the same bytes."""

import dataclasses
import errno
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whyport.batch.run.job import Job
from whyport.batch.settings import JobSettings
from whyport.batch.store.local import Disk, WholeFile, write_whole
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import OutputError

Write = Callable[..., Path]


@dataclass
class FaultyDisk(Disk):
    """Counts its calls; the n-th fails, or with `is_full` it and all that need room after it."""

    fails_at: int = -1
    is_full: bool = False
    calls: int = 0

    def _call(self, needs_room: bool = True) -> None:
        self.calls += 1
        if self.calls == self.fails_at or (self.is_full and needs_room and self.calls > self.fails_at > 0):
            raise OSError(errno.ENOSPC, "No space left on device")

    def make_folder(self, path: Path) -> None:
        self._call()
        super().make_folder(path)

    def create(self, path: Path) -> int:
        self._call()
        return super().create(path)

    def write(self, descriptor: int, data: Any) -> int:
        self._call()
        return super().write(descriptor, data)

    def sync(self, descriptor: int) -> None:
        self._call()  # and no more: no power is cut here

    def close(self, descriptor: int) -> None:
        super().close(descriptor)
        self._call(needs_room=False)

    def rename(self, old: Path, new: Path) -> None:
        self._call()
        super().rename(old, new)

    def remove(self, path: Path) -> None:
        self._call(needs_room=False)
        super().remove(path)

    def sync_folder(self, path: Path) -> None:
        self._call(needs_room=False)


class ShortWrites(FaultyDisk):
    """Takes half of what it is given, and at last nothing but an error."""

    def write(self, descriptor: int, data: Any) -> int:
        self._call()
        return Disk.write(self, descriptor, bytes(data)[: max(1, len(data) // 2)])


@pytest.fixture
def settings(write: Write, tmp_path: Path) -> JobSettings:
    """Two files in three parts, one of them with rejected rows."""
    generator = np.random.default_rng(11)
    columns = {name: generator.normal(size=50) for name in "abc"}
    one = write(pa.table(columns), "one.parquet")
    columns["a"][3] = np.nan
    two = write(pa.table({name: values[:30] for name, values in columns.items()}), "two.parquet")
    return JobSettings(
        inputs=(str(one), str(two)), out=tmp_path / "out", batch_rows=15, part_rows=30, device="cpu", threads=1
    )


def parts(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("part-*.parquet")}


@pytest.mark.parametrize("disk_class", [FaultyDisk, ShortWrites])
@pytest.mark.parametrize("is_full", [False, True], ids=["one call fails", "all calls fail from one on"])
def test_whatever_write_fails_nothing_wrong_is_visible_and_the_run_can_be_resumed(
    bundle: Path, settings: JobSettings, disk_class: type[FaultyDisk], is_full: bool
) -> None:
    read, out = Bundle.read(bundle), settings.out
    counting = disk_class()
    Job(read, settings, counting).run()
    expected = parts(out)
    assert len(expected) == 4
    assert counting.calls > 40
    for n in range(1, counting.calls + 1):
        for path in sorted(out.rglob("*"), reverse=True):
            path.rmdir() if path.is_dir() else path.unlink()
        with pytest.raises(OutputError, match="^cannot write: No space left on device, in "):
            Job(read, settings, disk_class(fails_at=n, is_full=is_full)).run()
        assert parts(out).items() <= expected.items(), n
        beside = {f"_rejected/{name}" for name in parts(out)} & expected.keys()
        assert beside <= parts(out).keys(), n  # where a part is, its rejected part is
        assert not (out / "_SUCCESS").exists() or parts(out) == expected, n
        Job(read, settings).run()
        assert parts(out) == expected, n
        assert (out / "_SUCCESS").exists()
        assert not list(out.rglob(".*")), n


def test_replacing_another_job_can_be_interrupted_anywhere(bundle: Path, settings: JobSettings) -> None:
    read, out = Bundle.read(bundle), settings.out
    other = dataclasses.replace(settings, part_rows=15, overwrite=True)
    replacing = dataclasses.replace(settings, overwrite=True)
    Job(read, other).run()
    before = parts(out)
    counting = FaultyDisk()
    Job(read, replacing, counting).run()
    expected = parts(out)
    for n in range(1, counting.calls + 1):
        Job(read, other).run()
        with pytest.raises(OutputError, match="^cannot write: "):
            Job(read, replacing, FaultyDisk(fails_at=n)).run()
        # Either job may be there, but no _SUCCESS over a part of one.
        assert not (out / "_SUCCESS").exists() or parts(out) in (expected, before), n
        Job(read, replacing).run()
        assert parts(out) == expected, n


def test_the_error_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"^cannot write: No space left on device, in .*/report\.json$"):
        write_whole(FaultyDisk(fails_at=2), tmp_path / "report.json", b"{}")
    assert not list(tmp_path.iterdir())


def test_a_file_has_its_old_content_until_the_new_one_is_whole(tmp_path: Path) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with WholeFile(Disk(), path) as file:
        file.stream.write(b"new")
        file.finish()
        assert path.read_bytes() == b"old"
        file.publish()
    assert path.read_bytes() == b"new"
    assert list(tmp_path.iterdir()) == [path]
