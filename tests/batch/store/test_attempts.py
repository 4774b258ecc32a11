"""Several attempts at one file: whatever their order, the file is whole and one attempt's alone."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import permutations
from pathlib import Path

import pytest

from whyport.batch.output.folder import OutputFolder
from whyport.batch.store.local import Disk, WholeFile, leftovers, remove_leftover


def attempt(path: Path, content: bytes) -> Iterator[str]:
    """One attempt at a file, a step at a time; the content is written in two pieces."""
    with WholeFile(Disk(), path) as file:
        yield "open"
        file.stream.write(content[: len(content) // 2])
        file.stream.flush()
        yield "write"
        file.stream.write(content[len(content) // 2 :])
        file.finish()
        yield "finish"
        file.publish()
        yield "publish"


@pytest.mark.parametrize("order", sorted(set(permutations("aaaabbbb"))), ids="".join)
def test_interleaved_attempts_publish_whole_files(tmp_path: Path, order: tuple[str, ...]) -> None:
    path = tmp_path / "part"
    contents = {"a": b"one attempt " * 400, "b": b"another, of another length " * 700}
    attempts = {name: attempt(path, content) for name, content in contents.items()}
    for name in order:
        done = next(attempts[name])
        if path.exists():
            assert path.read_bytes() in contents.values()
        if done == "publish":
            assert path.read_bytes() == contents[name]
    for each in attempts.values():
        assert next(each, None) is None
    assert list(tmp_path.iterdir()) == [path]


def test_a_failed_attempt_removes_its_own_file_alone(tmp_path: Path) -> None:
    path = tmp_path / "part"
    with WholeFile(Disk(), path) as good:
        good.stream.write(b"good")
        with WholeFile(Disk(), path) as bad:
            bad.stream.write(b"bad, and longer")
        good.finish()
        good.publish()
    assert path.read_bytes() == b"good"
    assert list(tmp_path.iterdir()) == [path]


HOLD = """
import sys
from pathlib import Path
from whyport.batch.store.local import Disk, WholeFile
file = WholeFile(Disk(), Path(sys.argv[1]))
file.stream.write(b"theirs")
print("open", flush=True)
sys.stdin.read()
file.finish()
file.publish()
"""


@pytest.fixture
def elsewhere(tmp_path: Path) -> Iterator[Callable[[], "subprocess.Popen[str]"]]:
    """Starts another process at the part, which waits with its file half written."""
    started = []

    def start() -> "subprocess.Popen[str]":
        path = tmp_path / "part-00000-000000000000-000000000001.parquet"
        process = subprocess.Popen(
            [sys.executable, "-c", HOLD, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def test_a_sweep_removes_what_dead_attempts_left_and_spares_a_stopped_one(
    tmp_path: Path, elsewhere: Callable[[], "subprocess.Popen[str]"]
) -> None:
    folder = OutputFolder(tmp_path, Disk())
    stopped, killed = elsewhere(), elsewhere()
    stopped.send_signal(signal.SIGSTOP)
    killed.kill()
    killed.wait()
    (tmp_path / ".part-00000-000000000000-000000000001.parquet.tmp").write_bytes(b"of an earlier version")
    (tmp_path / "._job.json.a-1-2.tmp").write_bytes(b"")
    other = tmp_path / "notes.txt"
    other.write_text("not ours")
    (tmp_path / "._report.json.a-1-3.tmp").symlink_to(other)
    assert len(leftovers(tmp_path, "part-*.parquet")) == 3
    folder.sweep()
    (left,) = leftovers(tmp_path, "*")
    assert str(stopped.pid) in left.name
    # Meanwhile this process makes the part. The other one wakes up, and publishes the same.
    path = tmp_path / "part-00000-000000000000-000000000001.parquet"
    with WholeFile(Disk(), path) as ours:
        ours.stream.write(b"theirs")
        ours.finish()
        ours.publish()
    stopped.send_signal(signal.SIGCONT)
    stopped.communicate("")
    assert stopped.returncode == 0
    assert path.read_bytes() == b"theirs"
    assert sorted(tmp_path.iterdir()) == [other, path]
    assert other.read_text() == "not ours"


def test_a_name_that_is_taken_is_never_written_to(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.write_bytes(b"kept")
    link = tmp_path / "link"
    link.symlink_to(target)
    for path in (link, target):
        with pytest.raises(FileExistsError):
            os.close(Disk().create(path))
    remove_leftover(Disk(), link)
    assert target.read_bytes() == b"kept"
    remove_leftover(Disk(), tmp_path / "gone")
