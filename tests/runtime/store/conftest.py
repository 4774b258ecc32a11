"""A bucket in memory, and one behind a server."""

import secrets
from collections.abc import Iterator

import pytest

from store_server import StoreServer, store_server


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreServer]:
    with store_server(monkeypatch) as running:
        yield running


@pytest.fixture(params=["memory", "s3"])
def root(request: pytest.FixtureRequest) -> str:
    """The address of an empty bucket."""
    if request.param == "memory":
        return f"memory://{secrets.token_hex(4)}"
    running: StoreServer = request.getfixturevalue("server")
    return running.root
