"""Every path argument of every command: other URLs than of stores are refused, and a name with a colon is a name."""

from pathlib import Path

import click
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport as library
from support.bundles import linear_bundle
from support.command import Whyport
from whyport.cli import COMMANDS, main
from whyport.runtime.errors import UsageError
from whyport.runtime.paths import LocalPath, PlacePath
from whyport.runtime.store.path import StorePath

PATHS = [
    (name, param)
    for name in COMMANDS
    if (command := main.get_command(click.Context(main), name)) is not None
    for param in command.params
    if isinstance(param.type, click.Path | click.File)
]


@pytest.mark.parametrize(("name", "param"), PATHS, ids=lambda value: getattr(value, "name", value))
def test_every_path_is_of_this_machine_or_of_a_store(name: str, param: click.Parameter) -> None:
    assert isinstance(param.type, LocalPath)
    may_be_in_a_store = isinstance(param.type, PlacePath)
    expected = "expected a path, or an address" if may_be_in_a_store else r"expected a path, got the URL '.*': copy"
    for url in (
        "file:///x",
        "https://host/x.csv",
        "ftp://host/x",
        *(() if may_be_in_a_store else ("s3://b/x", "hdfs://host:80/x")),
    ):
        with pytest.raises(UsageError, match=expected):
            param.type.convert(url, param, None)
    if may_be_in_a_store:
        assert param.type.convert("s3://b/x", param, None) == StorePath("s3://b/x")
    with pytest.raises(UsageError, match="expected a path( or an address)?, got ''$"):
        param.type.convert("", param, None)  # the option of an unset variable
    with pytest.raises(UsageError, match=r"expected a path in UTF-8, got caf\\xe9"):
        param.type.convert("caf\udce9", param, None)
    assert param.type.convert("day:1", param, None) == Path("day:1")


def test_the_commands_have_paths() -> None:
    assert {name for name, _ in PATHS} == COMMANDS.keys() - {"methods"}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working folder with a bundle and a table, whose names have colons."""
    monkeypatch.chdir(tmp_path)
    linear_bundle(tmp_path / "model:1")
    pq.write_table(pa.table({name: np.arange(4.0) for name in "abc"}), tmp_path / "day:1.parquet")
    return tmp_path


def test_names_with_colons_go_through_every_command(whyport: Whyport, folder: Path) -> None:
    whyport("run", "model:1", "day:1.parquet", "--out", "run:1", "--device", "cpu", "--explain", "gradient")
    whyport("audit", "run:1")
    whyport("show", "run:1", "--row", 1)
    whyport("predict", "model:1", "day:1.parquet", "--out", "out:1.parquet")
    assert pq.read_table(folder / "out:1.parquet").num_rows == 4
    whyport("predict", "model:1", "day:1.parquet", "--out", "out:1.csv")
    whyport("predict", "model:1", "out:1.csv", exit_code=1)


def test_nothing_is_left_behind(whyport: Whyport, folder: Path) -> None:
    before = sorted(folder.rglob("*"))
    for command in (
        ["run", "model:1", "day:1.parquet", "--out", "ftp://b/x"],
        ["run", "model:1", "ftp://b/x", "--out", "out"],
        ["run", "file:///x", "day:1.parquet", "--out", "out"],
        ["predict", "model:1", "day:1.parquet", "--out", "file:///x.csv"],
        ["predict", "model:1", "file:///x.csv"],
        ["train", "https://host/x.csv", "--target", "c", "--out", "bundle"],
        ["audit", "ftp://b/x"],
    ):
        assert "got the URL" in whyport(*command, exit_code=2).output
    for call in (
        lambda: library.run("model:1", "day:1.parquet", "file:///x"),
        lambda: library.run("model:1", ["ftp://b/x"], "out"),
        lambda: library.predict("model:1", "s3://b/x.csv"),
        lambda: library.audit("file:///x"),
    ):
        with pytest.raises(UsageError, match="got the URL"):
            call()
    assert sorted(folder.rglob("*")) == before
