"""What is asked of a store, in memory and of a server: conditions are kept, and errors are Python's own."""

import secrets
from pathlib import Path
from unittest.mock import Mock

import pytest
from pyarrow.fs import LocalFileSystem, SubTreeFileSystem

from store_server import StoreServer
from whyport.runtime.errors import StoreError
from whyport.runtime.store import client
from whyport.runtime.store.hadoop import HadoopStore
from whyport.runtime.store.path import StorePath


@pytest.fixture(params=["memory", "s3", "hdfs"])
def root(request: pytest.FixtureRequest) -> str:
    """The address of an empty bucket, in memory, of a server, and of Hadoop."""
    if request.param == "s3":
        running: StoreServer = request.getfixturevalue("server")
        return running.root
    address: str = request.getfixturevalue("hadoop") if request.param == "hdfs" else f"memory://{secrets.token_hex(4)}"
    return address


def test_what_was_written_is_read(root: str) -> None:
    place = StorePath(f"{root}/folder/a b%20#ü.txt")
    assert (place.exists(), place.parent.exists(), place.parent.is_dir()) == (False, False, False)
    with pytest.raises(FileNotFoundError):
        place.stat()
    with pytest.raises(FileNotFoundError):
        place.read_bytes()
    client.put(root, place.key, b"content")
    assert place.read_bytes() == b"content"
    assert place.read_text() == "content"
    assert place.open().read() == b"content"
    assert place.stat().st_size == 7
    assert place.stat().st_mtime_ns == place.head().modified_ns
    assert (place.is_file(), place.is_dir(), place.parent.is_file(), place.parent.is_dir()) == (
        True,
        False,
        False,
        True,
    )
    assert list(place.parent.iterdir()) == [place]
    assert list(StorePath(root).iterdir()) == [place.parent]
    assert [path for path, _ in StorePath(root).walk_files()] == [place]
    client.put(root, "folder2/x", b"")
    assert list(place.parent.iterdir()) == [place]
    assert not StorePath(f"{root}/fold").exists()
    client.delete(root, place.key)
    client.delete(root, place.key)
    assert not place.parent.exists()


def test_an_object_is_created_once(root: str) -> None:
    client.put_new(root, "a", b"first")
    with pytest.raises(FileExistsError) as caught:
        client.put_new(root, "a", b"second")
    assert caught.value.filename == f"{root}/a"
    assert client.read(root, "a") == b"first"


def test_an_object_is_replaced_only_where_it_is_the_known_one(root: str) -> None:
    first = client.put_new(root, "a", b"first")
    second = client.put_over(root, "a", b"second", first)
    assert client.head(root, "a").tag == second != first
    with pytest.raises(client.ChangedError):
        client.put_over(root, "a", b"third", first)
    assert client.read(root, "a") == b"second"


def test_a_range_is_read_only_of_the_known_object(root: str) -> None:
    tag = client.put(root, "a", b"0123456789")
    assert client.read_range(root, "a", 3, 7, tag) == b"3456"
    client.put(root, "a", b"abcdefghij")
    with pytest.raises(client.ChangedError):
        client.read_range(root, "a", 3, 7, tag)


def test_what_the_server_refuses_is_an_error_with_its_reason(server: StoreServer) -> None:
    with pytest.raises(OSError, match="NoSuchBucket|not found|nothing has this name"):
        client.put("s3://another-bucket", "a", b"")


def test_many_names_are_listed_in_order(root: str) -> None:
    names = [f"folder/{i:04d}" for i in range(0, 1200, 7)]
    for name in reversed(names):
        client.put(root, name, b"")
    assert [name for name, _ in client.files(root, "folder/")] == names


def test_without_hadoops_libraries_its_addresses_are_refused_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("JAVA_HOME", "HADOOP_HOME"):
        monkeypatch.setenv(name, "/nowhere")
    with pytest.raises(StoreError, match=r"expected a Hadoop file system, by the libraries at JAVA_HOME.*, in hdfs://"):
        client.head("hdfs://127.0.0.1:1", "a")


def test_what_is_being_written_to_hadoop_is_seen_by_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    files = SubTreeFileSystem(str(tmp_path), LocalFileSystem())
    store = HadoopStore(files)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".part.0123456789abcdef.tmp").write_bytes(b"half")
    store.put("out/part", b"whole", mode="create")
    assert [entry["path"] for page in store.list("out/") for entry in page] == ["out/part"]
    assert [entry["path"] for entry in store.list_with_delimiter("out/")["objects"]] == ["out/part"]
    monkeypatch.setattr(HadoopStore, "_clear", Mock(side_effect=KeyboardInterrupt))
    with pytest.raises(KeyboardInterrupt):
        store.put("out/other", b"cut off")
    assert {path.name for path in (tmp_path / "out").iterdir()} == {".part.0123456789abcdef.tmp", "part"}
