"""What is asked of a store, in memory and of a server: conditions are kept, and errors are Python's own."""

import pytest

from store_server import StoreServer
from whyport.runtime.store import client
from whyport.runtime.store.path import StorePath


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
