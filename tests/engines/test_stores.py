"""Clusters whose workers read and write a store: the very same parts as this process writes to a disk."""

import os
import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import whyport
from store_server import StoreServer, store_server
from support.clusters import OPTIONS, once, processes, spark_session
from whyport.executors import spark
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


def check_there(out: StorePath, here: dict[str, bytes]) -> None:
    """Assert that a store has a finished run with these very parts, and nothing else."""
    found = {path.relative_to(out).as_posix(): path.read_bytes() for path, _ in out.walk_files()}
    assert {name: content for name, content in found.items() if name.endswith(".parquet")} == here
    assert {name for name in found if not name.endswith(".parquet")} == {"_SUCCESS", "_job.json", "_report.json"}
    whyport.audit(str(out))


def test_ray_makes_the_parts_of_a_disk_although_an_actor_dies(
    server: StoreServer, reference_bundle: Path, inputs: Path, here: dict[str, bytes]
) -> None:
    def kill() -> None:
        random.Random(time.time_ns()).choice(processes("ray::Actor")).kill()

    out = StorePath(f"{server.root}/out")
    whyport.run(reference_bundle, inputs, str(out), on="ray", progress=once(300, kill), **OPTIONS)
    check_there(out, here)


def test_spark_makes_the_parts_of_a_disk(
    server: StoreServer, reference_bundle: Path, inputs: Path, here: dict[str, bytes]
) -> None:
    # Java, once started, keeps its environment, and gives it to its workers.
    own = {f"spark.executorEnv.{name}": value for name, value in os.environ.items() if name.startswith("AWS_")}
    session = spark_session(**own)
    out = StorePath(f"{server.root}/out")
    try:
        spark.run(session, reference_bundle, inputs, str(out), **OPTIONS)
    finally:
        session.stop()
    check_there(out, here)


def test_bundle_and_inputs_may_be_there_too(server: StoreServer, reference_bundle: Path, inputs: Path) -> None:
    for name, folder in (("bundle", reference_bundle), ("in", inputs)):
        for path in folder.rglob("*"):
            if path.is_file():
                client.put(server.root, f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())
    there = f"{server.root}/bundle", f"{server.root}/in"
    first = whyport.run(*there, f"{server.root}/first", on="ray", **OPTIONS)
    second = whyport.run(*there, f"{server.root}/second", **OPTIONS)
    assert first.parts == second.parts
