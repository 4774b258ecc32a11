"""Input folders: what is an input, what is passed over and told, and what is told to be wrong."""

import errno
import os
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.source.discovery import PassedOver, check_apart, discover
from whyport.batch.source.parquet import open_source
from whyport.runtime.errors import DataError, UsageError

Write = Callable[..., Path]


def numbers(rows: int) -> pa.Table:
    return pa.table({"n": range(rows)})


def found_below(folder: Path) -> list[str]:
    return [path.relative_to(folder).as_posix() for path in discover([str(folder)]).paths]


@pytest.fixture
def folder(write: Write) -> Path:
    """A folder with one input."""
    return write(numbers(1), "in/a.parquet").parent


def test_inputs_are_files_folders_and_globs_in_order(write: Write, tmp_path: Path) -> None:
    for name in ("b.parquet", "a/2.parquet", "a/1.parquet", "a/_part/0.parquet", "a/.hidden.parquet", "a/other.txt"):
        write(numbers(1), name)
    found = discover([str(tmp_path / "b.parquet"), str(tmp_path / "a")])
    assert found.paths == (
        tmp_path / "b.parquet",
        tmp_path / "a" / "1.parquet",
        tmp_path / "a" / "2.parquet",
    )
    assert found.passed_over == PassedOver(1, ("other.txt",), 2)
    assert found.passed_over.text == "1 other file passed over: other.txt; 2 passed over that begin with _ or ."
    found = discover([str(tmp_path / "a" / "[12].parquet")])
    assert found.paths == tuple(tmp_path / "a" / f"{i}.parquet" for i in (1, 2))
    assert found.passed_over.text == ""


def test_an_input_that_names_nothing_is_refused(tmp_path: Path) -> None:
    for name in ("nowhere.parquet", "*.parquet", "."):
        with pytest.raises(UsageError, match="expected Parquet files, .* which names none"):
            discover([str(tmp_path / name)])


def test_a_folder_of_csv_says_what_takes_csv(tmp_path: Path) -> None:
    (tmp_path / "day.csv").write_text("a,b\n1,2\n")
    with pytest.raises(UsageError, match=r"names none among 1 other files: 'day\.csv'; whyport predict takes a CSV"):
        discover([str(tmp_path)])
    with pytest.raises(DataError, match="expected a Parquet file, got a text file; whyport predict takes a CSV"):
        open_source(tmp_path / "day.csv")


def test_a_folder_that_cannot_be_looked_into_is_not_passed_over(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(numbers(1), "in/open/1.parquet")
    (tmp_path / "in" / "shut").mkdir()
    scandir = os.scandir

    def refuse(path: str) -> Any:  # as the system would, but for the tests of a superuser
        if Path(path).name == "shut":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    with pytest.raises(DataError, match=r"^cannot read: Permission denied, in .*/in/shut$"):
        discover([str(tmp_path / "in")])


def test_a_file_named_twice_is_refused(write: Write, tmp_path: Path) -> None:
    path = write(numbers(1))
    with pytest.raises(UsageError, match=r"inputs named twice: '.*input\.parquet'"):
        discover([str(path), str(tmp_path)])


def test_capitals_are_inputs_too(folder: Path, write: Write) -> None:
    write(numbers(1), "in/B.PARQUET")
    write(numbers(1), "in/c.Parquet")
    assert found_below(folder) == ["B.PARQUET", "a.parquet", "c.Parquet"]


def test_what_cannot_be_read_as_a_file_is_a_bad_input(folder: Path) -> None:
    os.mkfifo(folder / "pipe.parquet")
    os.symlink("nowhere", folder / "broken.parquet")
    os.symlink("loop.parquet", folder / "loop.parquet")
    os.symlink("pipe.parquet", folder / "to-pipe.parquet")
    os.symlink("/dev/null", folder / "null.parquet")
    (folder / "empty.parquet").mkdir()
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(folder / "s.PARQUET"))
    expected = {
        "pipe.parquet": "expected a Parquet file, got a pipe",
        "broken.parquet": "No such file",
        "loop.parquet": "Too many levels of symbolic links",
        "to-pipe.parquet": "expected a Parquet file, got a link to a pipe",
        "null.parquet": "expected a Parquet file, got a link to a device",
        "empty.parquet": "expected a Parquet file, got a folder",
        "s.PARQUET": "expected a Parquet file, got a socket",
    }
    (folder / "to-pipe.parquet").unlink()  # or the pipe would be named twice
    assert set(found_below(folder)) == {"a.parquet", *expected} - {"to-pipe.parquet"}
    os.symlink("pipe.parquet", folder / "to-pipe.parquet")
    for name, message in expected.items():
        with pytest.raises(DataError, match=message):
            open_source(folder / name)


def test_a_pattern_leaves_out_no_pipe_and_no_folder(folder: Path, write: Write) -> None:
    os.mkfifo(folder / "pipe.parquet")
    write(numbers(1), "in/spark.parquet/part-0.parquet")
    found = discover([str(folder / "*.parquet")])
    assert [path.name for path in found.paths] == ["a.parquet", "pipe.parquet", "part-0.parquet"]
    recursive = discover([str(folder / "**" / "*.parquet")])
    assert sorted(path.name for path in recursive.paths) == ["a.parquet", "part-0.parquet", "pipe.parquet"]


def test_links_to_files_and_folders_are_followed(folder: Path, write: Write, tmp_path: Path) -> None:
    write(numbers(1), "far/deep/b.parquet")
    write(numbers(1), "far.parquet")
    os.symlink(tmp_path / "far", folder / "year=2026")
    os.symlink(tmp_path / "far.parquet", folder / "c.parquet")
    assert found_below(folder) == ["a.parquet", "c.parquet", "year=2026/deep/b.parquet"]


def test_links_that_lead_back_are_passed_over_or_bad(folder: Path, write: Write, tmp_path: Path) -> None:
    write(numbers(1), "in/day=1/b.parquet")
    write(numbers(1), "far/c.parquet")
    os.symlink("day=1", folder / "latest")
    os.symlink(".", folder / "self.parquet")
    os.symlink(folder, folder / "day=1" / "up")
    os.symlink(tmp_path / "far", folder / "far")
    os.symlink(folder, tmp_path / "far" / "back")
    found = discover([str(folder)])
    assert [path.relative_to(folder).as_posix() for path in found.paths] == [
        "a.parquet",
        "day=1/b.parquet",
        "far/c.parquet",
    ]
    assert set(found.passed_over.names) == {"latest", "self.parquet", "day=1/up", "far/back"}
    os.symlink(tmp_path, folder / "parent")
    assert folder / "parent" in discover([str(folder)]).paths
    with pytest.raises(DataError, match="expected a Parquet file, got a link to a folder"):
        open_source(folder / "parent")


def test_many_links_between_folders_end(folder: Path, write: Write) -> None:
    for i in range(12):
        write(numbers(1), f"in/{i}/x.parquet")
        for j in range(12):
            os.symlink(folder / str(j), folder / str(i) / f"to{j}")
    found = discover([str(folder)])
    assert len(found.paths) == 13
    assert found.passed_over.others == 144
    assert found.passed_over.text.endswith(", …")


@pytest.mark.parametrize("url", ["ftp://b/x", "file:///tmp/x.parquet", "https://host/*.parquet", "abfs://b"])
def test_an_address_of_no_store_is_refused(url: str) -> None:
    with pytest.raises(UsageError, match="expected a path, or an address that begins with .*, got the URL"):
        discover([url])


def test_names_that_look_like_addresses_are_names(
    write: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(numbers(3), "day:1.parquet")
    monkeypatch.chdir(tmp_path)
    (path,) = discover(["day:1.parquet"]).paths
    assert open_source(path).rows == 3


def test_names_that_are_shown_alike_are_refused(tmp_path: Path) -> None:
    for name in (b"caf\xe9.parquet", b"caf\\xe9.parquet"):
        pq.write_table(numbers(1), pa.OSFile(os.fsencode(tmp_path) + b"/" + name, "wb"))
    with pytest.raises(UsageError, match="inputs of the same name"):
        discover([str(tmp_path)])


@pytest.mark.parametrize(
    ("inputs", "out", "is_apart"),
    [
        ("in", "in/out", False),
        ("in", "in/deep/out", False),
        ("in", "in/_out", True),
        ("in", "out", True),
        ("in", "link/out", False),
        ("in/*.parquet", "in/out", True),
        ("in/*/*.parquet", "in/out", False),
        ("in/**/*.parquet", "in/a/b/out", False),
        ("in/**/*.parquet", "in/.out", True),
        ("in/**/a.parquet", "in/out", True),
        ("link/*/part*", "in/out", False),
        ("in/a.parquet", "out", True),
        ("in/*", "in/out", False),
        ("in/*", "in/new/out", False),
        ("in/*", "in/new/_out", True),
        ("in/**", "in/out", False),
        ("in", "far/out", False),
        ("in", "far/_out", True),
        ("in/*", "far/deep/out", False),
    ],
)
def test_an_output_that_its_own_inputs_would_find_is_refused(
    folder: Path, write: Write, tmp_path: Path, inputs: str, out: str, is_apart: bool
) -> None:
    write(numbers(1), "in/a/part.parquet")
    write(numbers(1), "far/far.parquet")
    os.symlink(folder, tmp_path / "link")
    os.symlink(tmp_path / "far", folder / "month=1")
    given = [str(tmp_path / inputs)]
    if is_apart:
        check_apart(given, discover(given), tmp_path / out)
        return
    with pytest.raises(UsageError, match="the output folder .* is among the inputs of"):
        check_apart(given, discover(given), tmp_path / out)
