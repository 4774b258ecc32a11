"""What a job in an object store costs: its requests, its plan, and its time beside the same job on a disk.

    python benchmarks/stores.py [--files 1000] [--rows N] [--repeats N] [--out JSON]

The store is moto's server on this machine, in a process of its own, behind a proxy that counts requests and answers
each 30 ms later. First a plan over many small files. Then a job of a minute with bundle, inputs and output on a disk,
and the same in the store, in turn, each in a new process; both must give the same rows. Requests are counted in the
last run: those for an input beyond the two of the plan are its order's, and every input's columns are one range.

Server and proxy take processor time of the machine that the job runs on, which a store elsewhere would not. The
processor time of their process is subtracted from the seconds of the job; both are given.
"""

import argparse
import json
import multiprocessing
import os
import statistics
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before NumPy reads it

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from store_server import ENVIRONMENT, store_server
from whyport.runtime.store import client
from whyport.runtime.store.copy import END_BYTES, REQUEST_BYTES

BUNDLE = Path(__file__).parents[1] / "models" / "breast_cancer"
DELAY_SECONDS = 0.03
FILES = 12
"""The inputs of the job."""
OPTIONS: dict[str, Any] = {"explain": "deepshap", "device": "cpu", "threads": 1, "batch_rows": 250, "part_rows": 250}


def serve(connection: Connection) -> None:
    """Run the server until the connection ends: a delay is answered with what was asked for since the last one."""
    with pytest.MonkeyPatch.context() as patch, store_server(patch) as server:
        connection.send(server.address)
        began = time.process_time()
        while True:
            try:
                server.delay_s = connection.recv()
            except EOFError:
                return
            connection.send((server.requests[:], time.process_time() - began))
            server.requests.clear()
            began = time.process_time()


@dataclass(frozen=True)
class Server:
    """A server in a process of its own."""

    address: str
    connection: Connection
    root: str = "s3://bucket-of-tests"

    def turn(self, delay_s: float) -> tuple[list[tuple[str, str]], float]:
        """Set the delay; gives the requests since the last call, and the processor seconds that they took."""
        self.connection.send(delay_s)
        requests, seconds = self.connection.recv()
        return requests, seconds


@contextmanager
def started() -> Iterator[Server]:
    """A running server that s3:// leads to."""
    here, there = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=serve, args=(there,), daemon=True)
    process.start()
    there.close()
    server = Server(here.recv(), here)
    os.environ.update(ENVIRONMENT)
    client.use_endpoint(server.address)
    try:
        yield server
    finally:
        here.close()
        process.join()


def write_rows(path: Path, rows: int, seed: int) -> Path:
    """A file of random rows for the model."""
    names, random = whyport.Bundle.read(BUNDLE).sidecar.feature_names, np.random.default_rng(seed)
    pq.write_table(pa.table({name: random.normal(size=rows) for name in names}), path)
    return path


def put_folder(folder: Path, root: str, name: str) -> None:
    """Put all files of a folder into the store."""
    for path in folder.rglob("*"):
        if path.is_file():
            client.put(root, f"{name}/{path.relative_to(folder).as_posix()}", path.read_bytes())


def plan_seconds(server: Server, folder: Path, files: int) -> dict[str, Any]:
    """The plan over many small files."""
    content = write_rows(folder / "small.parquet", 5, 0).read_bytes()
    for number in range(files):
        client.put(server.root, f"small/{number:05}.parquet", content)
    server.turn(DELAY_SECONDS)
    began = time.perf_counter()
    whyport.plan(BUNDLE, f"{server.root}/small", f"{server.root}/planned", device="cpu")
    seconds = time.perf_counter() - began
    requests, processor = server.turn(0)
    return {"files": files, "seconds": seconds, "requests": len(requests), "server_processor_seconds": processor}


def job_seconds(bundle: str, inputs: str, out: str) -> tuple[float, float, dict[str, int]]:
    """The wall and processor seconds of a job, and its rows."""
    began, processor = time.perf_counter(), time.process_time()
    report = whyport.run(bundle, inputs, out, **OPTIONS)
    rows = {"rows_out": report.rows_out, "parts": len(report.parts)}
    return time.perf_counter() - began, time.process_time() - processor, rows


def requests_of(requests: list[tuple[str, str]]) -> dict[str, Any]:
    """The requests of a job, by what they are for."""
    inputs = Counter(path for _, path in requests if "/in/" in path)
    parts = Counter(path for method, path in requests if "/part-" in path and method not in ("GET", "HEAD"))
    writes = [path for method, path in requests if method not in ("GET", "HEAD")]
    return {
        "all": len(requests),
        "by_method": dict(sorted(Counter(method for method, _ in requests).items())),
        "ranges_per_order": 1,
        "most_per_order": max(inputs.values()) - 2,
        "most_writes_per_part": max(parts.values()),
        "all_writes_per_part": len(writes) / len(parts),
    }


def measure_job(server: Server, folder: Path, rows: int, repeats: int) -> dict[str, Any]:
    """The job on a disk and in the store, in turn."""
    (folder / "in").mkdir()
    for number in range(FILES):
        path = write_rows(folder / "in" / f"{number}.parquet", rows // FILES, number)
        assert END_BYTES < path.stat().st_size < REQUEST_BYTES, "expected one range"
    put_folder(folder / "in", server.root, "in")
    put_folder(BUNDLE, server.root, "bundle")
    context = multiprocessing.get_context("spawn")
    local, remote, spent = [], [], []
    requests: list[tuple[str, str]] = []
    for repeat in range(repeats):
        for found, start, end in ((local, str(folder), f"out-{repeat}"), (remote, server.root, f"out-{repeat}")):
            bundle = str(BUNDLE) if found is local else f"{server.root}/bundle"
            server.turn(DELAY_SECONDS)
            with context.Pool(1) as pool:
                found.append(pool.apply(job_seconds, (bundle, f"{start}/in", f"{start}/{end}")))
            requests, processor = server.turn(0)
            if found is remote:
                spent.append(processor)
            print(start, found[-1], f"{processor:.1f} s of the server", flush=True)
        assert local[-1][2] == remote[-1][2], "expected the same rows and parts"
    on_disk, in_store = (statistics.median(each[0] for each in found) for found in (local, remote))
    return {
        "rows": rows,
        "files": FILES,
        **local[-1][2],
        "disk_seconds": on_disk,
        "store_seconds": in_store,
        "disk_processor_seconds": statistics.median(each[1] for each in local),
        "store_processor_seconds": statistics.median(each[1] for each in remote),
        "server_processor_seconds": statistics.median(spent),
        "ratio": in_store / on_disk,
        "ratio_without_the_server": (in_store - statistics.median(spent)) / on_disk,
        "requests": requests_of(requests),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rows", type=int, default=24_000)
    parser.add_argument("--repeats", type=int, default=2)
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "results" / "stores.json")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as text, started() as server:
        folder = Path(text)
        result = {"round_trip_seconds": DELAY_SECONDS, "plan": plan_seconds(server, folder, arguments.files)}
        print(json.dumps(result, indent=2), flush=True)
        result["job"] = measure_job(server, folder, arguments.rows, arguments.repeats)
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
