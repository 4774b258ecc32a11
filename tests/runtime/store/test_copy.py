"""Copies of objects: every byte is that of the object, by few requests, and of one version."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from store_server import StoreServer
from whyport.runtime.store import client
from whyport.runtime.store.copy import BLOCK_BYTES, END_BYTES, REQUEST_BYTES, ObjectCopy, cut, joined
from whyport.runtime.store.path import StorePath

CONTENT = np.random.default_rng(0).bytes(9_000_000)


@pytest.fixture
def place(server: StoreServer) -> StorePath:
    client.put(server.root, "content", CONTENT)
    server.requests.clear()
    return StorePath(f"{server.root}/content")


@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)).map(lambda each: (each[0], sum(each)))), st.integers(0, 5)
)
def test_joined_ranges_hold_the_same_bytes_and_small_gaps(ranges: list[tuple[int, int]], gap: int) -> None:
    found = list(joined(ranges, gap))
    wanted = {byte for start, stop in ranges for byte in range(start, stop)}
    held = {byte for start, stop in found for byte in range(start, stop)}
    assert wanted <= held
    assert all(after[0] - before[1] > gap for before, after in itertools.pairwise(found))
    bounds = {bound for each in ranges for bound in each}
    assert {bound for each in found for bound in each} <= bounds


def test_long_ranges_are_cut() -> None:
    pieces = list(cut([(5, 5 + 2 * REQUEST_BYTES + 1)]))
    assert pieces == [
        (5, 5 + REQUEST_BYTES),
        (5 + REQUEST_BYTES, 5 + 2 * REQUEST_BYTES),
        (5 + 2 * REQUEST_BYTES, 6 + 2 * REQUEST_BYTES),
    ]


def test_any_bytes_are_those_of_the_object(place: StorePath) -> None:
    rng = np.random.default_rng(1)
    with ObjectCopy(place) as copy:
        for _ in range(40):
            start, count = int(rng.integers(0, len(CONTENT) + 10)), int(rng.integers(0, 300_000))
            copy.seek(start)
            assert copy.read(count) == CONTENT[start : start + count]
        copy.seek(-5, 2)
        assert (copy.read(), copy.tell()) == (CONTENT[-5:], len(CONTENT))
        copy.seek(0)
        assert copy.read() == CONTENT


def test_the_end_takes_two_requests_and_a_known_object_one(place: StorePath, server: StoreServer) -> None:
    with ObjectCopy(place) as copy:
        copy.seek(-END_BYTES, 2)
        assert copy.read() == CONTENT[-END_BYTES:]
        meta = copy.meta
    assert [method for method, _ in server.requests] == ["HEAD", "GET"]
    server.requests.clear()
    with ObjectCopy(place, meta, [(0, 100), (5000, 6000)]) as copy:
        assert copy.read(100) == CONTENT[:100]
        copy.seek(5000)
        assert copy.read(1000) == CONTENT[5000:6000]
    assert server.count("GET") == len(server.requests) == 2


def test_what_is_there_is_not_asked_for_again(place: StorePath, server: StoreServer) -> None:
    with ObjectCopy(place) as copy:
        copy.fetch([(100, 200), (2 * BLOCK_BYTES, 3 * BLOCK_BYTES)])
        server.requests.clear()
        copy.fetch([(100, 200), (2 * BLOCK_BYTES + 7, 3 * BLOCK_BYTES - 7), (len(CONTENT) - 9, len(CONTENT))])
        assert not server.requests


def test_an_object_that_changes_is_not_mixed(place: StorePath, server: StoreServer) -> None:
    with ObjectCopy(place) as copy:
        client.put(server.root, "content", CONTENT[::-1])
        with pytest.raises(client.ChangedError):
            copy.read(10)


def test_an_empty_object_has_no_bytes(server: StoreServer) -> None:
    client.put(server.root, "empty", b"")
    with ObjectCopy(StorePath(f"{server.root}/empty")) as copy:
        assert copy.read() == b""
