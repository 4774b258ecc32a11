"""Inputs in a store: the same names are found as on a disk, and the same rows are read, by few requests."""

import secrets
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from store_server import StoreServer
from whyport.batch.source import fetched
from whyport.batch.source.discovery import Found, check_apart, discover
from whyport.batch.source.parquet import open_source
from whyport.runtime.errors import DataError, JobError, UsageError
from whyport.runtime.store import client
from whyport.runtime.store.path import StorePath

Write = Callable[..., Path]
NAMES = (
    "in/b.parquet",
    "in/a/2.parquet",
    "in/a/1.parquet",
    "in/a-b/1.parquet",
    "in/a/_part/0.parquet",
    "in/a/_part/1.parquet",
    "in/a/.hidden.parquet",
    "in/a/other.txt",
    "in/UPPER.PARQUET",
    "in/year=2026/month=1/x.parquet",
    "in/year=2027/x.parquet",
    "in2/x.parquet",
)


@pytest.fixture
def root(tmp_path: Path) -> str:
    """A bucket with the same names as below `tmp_path`."""
    root = f"memory://{secrets.token_hex(4)}"
    for name in NAMES:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(name.encode())
        client.put(root, name, name.encode())
    return root


@pytest.mark.parametrize(
    "pattern",
    [
        "in",
        "in/",
        "in/b.parquet",
        "in/a",
        "in/*.parquet",
        "in/*",
        "in/[ab]",
        "in/a/?.parquet",
        "in/**/x.parquet",
        "in/year=*",
        "in/year=*/*.parquet",
        "in*/x.parquet",
    ],
)
def test_the_same_names_are_found_as_on_a_disk(pattern: str, root: str, tmp_path: Path) -> None:
    def names(found: Found, start: str) -> tuple[list[str], list[str]]:
        return [str(path).removeprefix(start) for path in found.paths], [
            str(path).removeprefix(start) for path in found.folders
        ]

    here, there = discover([f"{tmp_path}/{pattern}"]), discover([f"{root}/{pattern}"])
    assert names(there, f"{root}/") == names(here, f"{tmp_path}/")
    assert there.passed_over == here.passed_over


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["in/nowhere"], "expected Parquet files, .* which names none"),
        (["in/a/[78].parquet"], "which names none"),
        (["in/b.parquet", "in/*.parquet"], "inputs named twice: 'memory://.*/in/b.parquet'"),
    ],
)
def test_what_names_nothing_or_a_file_twice_is_refused(inputs: list[str], message: str, root: str) -> None:
    with pytest.raises(UsageError, match=message):
        discover([f"{root}/{each}" for each in inputs])


@pytest.mark.parametrize("name", ["in//x.parquet", "in/./x.parquet", "in/x?y=z.parquet"])
def test_a_name_that_no_path_can_have_is_refused(name: str, server: StoreServer) -> None:
    import boto3

    boto3.client("s3", endpoint_url=server.address).put_object(Bucket=server.root[5:], Key=name, Body=b"")
    with pytest.raises((UsageError, DataError)) as caught:
        discover([f"{server.root}/in"])
    assert name in str(caught.value)


@pytest.mark.parametrize(
    ("out", "inputs", "is_refused"),
    [
        ("in", ["in"], True),
        ("in/a", ["in"], True),
        ("in/out", ["in"], True),
        ("in/out", ["in/**/*.parquet"], True),
        ("in/_out", ["in"], False),
        ("out", ["in"], False),
        ("in3", ["in", "in2"], False),
    ],
)
def test_the_output_is_apart_from_the_inputs(out: str, inputs: list[str], is_refused: bool, root: str) -> None:
    given = [f"{root}/{each}" for each in inputs]
    found = discover(given)
    if not is_refused:
        check_apart(given, found, StorePath(f"{root}/{out}"))
        return
    with pytest.raises(UsageError, match="inputs are in the output folder|is among the inputs"):
        check_apart(given, found, StorePath(f"{root}/{out}"))


@pytest.fixture
def rows(write: Write) -> Path:
    """A file with row groups of 1 000 rows, in columns of several kinds."""
    rng = np.random.default_rng(0)
    table = pa.table(
        {
            "a": rng.normal(size=10_000),
            "a.b": rng.normal(size=10_000),
            "wide": [rng.bytes(300) for _ in range(10_000)],
            "list": [list(range(i % 5)) for i in range(10_000)],
            "nested": [{"x": i, "y": str(i)} for i in range(10_000)],
            "text": [f"r{i % 7}" for i in range(10_000)],
        }
    )
    return write(table, row_group_size=1000)


@pytest.mark.parametrize("at_once", [fetched.FETCHED_BYTES, 100_000])
@pytest.mark.parametrize(("start", "stop"), [(0, 10_000), (0, 1), (4_321, 7_100), (9_999, 10_000)])
def test_the_rows_are_those_of_the_file(
    rows: Path, start: int, stop: int, at_once: int, server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetched, "FETCHED_BYTES", at_once)
    client.put(server.root, "in.parquet", rows.read_bytes())
    here, there = open_source(rows), open_source(StorePath(f"{server.root}/in.parquet"))
    assert (there.rows, there.schema, there.row_group_ends) == (here.rows, here.schema, here.row_group_ends)
    assert there.fingerprint.footer_sha256 == here.fingerprint.footer_sha256
    for columns in (["a"], ["a.b", "list"], ["text", "nested", "a"], ["wide"]):
        assert list(there.batches(columns, 700, start, stop)) == list(here.batches(columns, 700, start, stop))


def test_rows_come_with_as_many_requests_as_ranges(rows: Path, server: StoreServer) -> None:
    client.put(server.root, "in.parquet", rows.read_bytes())
    source = open_source(StorePath(f"{server.root}/in.parquet"))
    assert [method for method, _ in server.requests[-2:]] == ["HEAD", "GET"]
    server.requests.clear()
    list(source.batches(["a", "text"], 5000))
    source.check_unchanged()
    # the footer, twice; the ranges, which are joined into one as the gaps are small; and whether it has changed
    assert len(server.requests) <= 4


def test_an_input_that_is_replaced_meanwhile_is_an_error(rows: Path, server: StoreServer) -> None:
    place = StorePath(f"{server.root}/in.parquet")
    client.put(server.root, place.key, rows.read_bytes())
    source = open_source(place)
    client.put(server.root, place.key, rows.read_bytes()[::-1])
    with pytest.raises(JobError, match="the file changed while the run read it, in s3://"):
        source.check_unchanged()
    with pytest.raises(JobError, match="the file changed while the run read it, in s3://"):
        list(source.batches(["a"], 5000))


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no Parquet file at all", b"\xff" * 90_000])
def test_what_is_no_parquet_file_is_said_as_of_a_disk(content: bytes, server: StoreServer, tmp_path: Path) -> None:
    (tmp_path / "x.parquet").write_bytes(content)
    client.put(server.root, "x.parquet", content)
    with pytest.raises(DataError) as here:
        open_source(tmp_path / "x.parquet")
    with pytest.raises(DataError) as there:
        open_source(StorePath(f"{server.root}/x.parquet"))
    assert str(there.value).partition("(")[0] == str(here.value).partition("(")[0]
