"""Clusters whose workers read and write a store: the very same parts as this process writes to a disk."""

import os
import random
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

import whyport
from store_server import StoreServer, store_server
from support.clusters import OPTIONS, once, processes
from whyport.runtime.store import client
from whyport.runtime.store.path import StorePath

# Ray leaves its logs open.
pytestmark = [
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
# Processes listen at 127.0.0.1 alone; read when Ray is imported.
os.environ["RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"] = "0"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[StoreServer]:
    """A server whose address the workers have in their environment."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    with store_server(monkeypatch) as running:
        yield running


def kill_an_actor() -> None:
    random.Random(time.time_ns()).choice(processes("ray::Actor")).kill()


def nothing() -> None:
    """Spark on one machine gives no order again."""


@pytest.mark.parametrize(("on", "meanwhile"), [("ray", kill_an_actor), ("spark", nothing)])
def test_the_parts_in_a_store_are_those_of_a_disk(
    on: str,
    meanwhile: Callable[[], None],
    server: StoreServer,
    reference_bundle: Path,
    inputs: Path,
    here: dict[str, bytes],
) -> None:
    out = StorePath(f"{server.root}/out")
    whyport.run(reference_bundle, inputs, str(out), on=on, progress=once(300, meanwhile), **OPTIONS)
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path, _ in out.walk_files()}
    assert {name: content for name, content in found.items() if name.endswith(".parquet")} == here
    assert {name for name in found if not name.endswith(".parquet")} == {"_SUCCESS", "_job.json", "_report.json"}
    whyport.audit(str(out))


def test_bundle_and_inputs_may_be_there_too(server: StoreServer, reference_bundle: Path, inputs: Path) -> None:
    for name, folder in (("bundle", reference_bundle), ("in", inputs)):
        for path in folder.rglob("*"):
            if path.is_file():
                client.put(server.root, f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    there = f"{server.root}/bundle", f"{server.root}/in"
    first = whyport.run(*there, f"{server.root}/first", on="ray", **OPTIONS)
    second = whyport.run(*there, f"{server.root}/second", **OPTIONS)
    assert first.parts == second.parts
