"""The requests of a run in a store: few for an order, fewer for a part, and none for what is known."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import whyport
from store_server import StoreServer
from whyport.batch.source import fetched
from whyport.runtime.store import client, copy

Write = Callable[..., Path]
OPTIONS: dict[str, Any] = {"batch_rows": 5, "part_rows": 10}


def put(server: StoreServer, path: Path, name: str) -> None:
    client.put(server.root, name, path.read_bytes())


def asked(server: StoreServer, name: str) -> Counter[str]:
    """The requests for an object, by method."""
    return Counter(method for method, path in server.requests if path.endswith(f"/{name}"))


def during(server: StoreServer, call: Callable[[], Any]) -> list[str]:
    """The requests of a call, in order, as method and path inside the bucket; a listing ends with a question mark."""
    server.requests.clear()
    call()
    bucket = server.root.removeprefix("s3:/")
    paths = [(method, path.removeprefix(bucket)) for method, path in server.requests]
    return [f"{method} {'?' if path.startswith('?') else path[1:]}" for method, path in paths]


def test_a_small_run_asks_for_so_much_and_no_more(
    bundle: Path, table: pa.Table, write: Write, server: StoreServer
) -> None:
    """25 rows in three parts, one of which has a rejected row."""
    rows = table.slice(0, 25).set_column(1, "a", pa.array([None if i == 12 else 1.0 for i in range(25)]))
    put(server, write(rows, row_group_size=7), "in/a.parquet")
    out = f"{server.root}/out"
    opened = whyport.Bundle.read(bundle)
    found = Counter(during(server, lambda: whyport.run(opened, f"{server.root}/in", out, **OPTIONS)))
    names = [f"out/part-00000-{start:012d}-{stop:012d}.parquet" for start, stop in ((0, 10), (10, 20), (20, 25))]
    rejected = names[1].replace("out/", "out/_rejected/")
    (probe,) = {line.split()[1] for line in found if "-probe-" in line}
    assert found == Counter(
        {
            "HEAD in": 1,  # a file or a folder
            "HEAD in/a.parquet": 2,  # its size; and at last whether it has changed
            "GET in/a.parquet": 2,  # its end, for the plan and for the order: the rows are in it
            f"PUT {probe}": 2,
            f"HEAD {probe}": 1,
            "PUT out/_lock": 1,
            "HEAD out/_lock": 1,
            "POST ?": 2,  # the probe and the lock are removed
            "HEAD out": 1,
            "HEAD out/_job.json": 4,
            "PUT out/_job.json": 1,
            "GET out/_job.json": 1,
            "HEAD out/_skipped.json": 3,
            "HEAD out/_SUCCESS": 1,
            "PUT out/_report.json": 1,
            "PUT out/_SUCCESS": 1,
            # The inputs; output folder and other leases, twice each; workers of earlier attempts; parts, thrice.
            "GET ?": 9,
            **{f"{method} {name}": 1 for name in (*names, rejected) for method in ("PUT", "GET")},
        }
    )


def test_an_order_takes_its_ranges_and_two_requests(
    bundle: Path, write: Write, server: StoreServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Columns that are read lie between others, and ranges are joined only where they touch."""
    monkeypatch.setattr(copy.joined, "__defaults__", (0,))
    monkeypatch.setattr(fetched, "FETCHED_BYTES", 1)
    rng, rows = np.random.default_rng(0), 60
    other = [rng.bytes(5000) for _ in range(rows)]
    columns = {"a": rng.normal(size=rows), "x": other, "b": rng.normal(size=rows), "c": rng.normal(size=rows)}
    path = write(pa.table(columns), row_group_size=20)
    ranges = 2 * pq.read_metadata(path).num_row_groups  # b and c are one
    assert path.stat().st_size > 4 * copy.END_BYTES
    put(server, path, "in/a.parquet")
    source = f"{server.root}/in/a.parquet"
    report = whyport.run(bundle, source, f"{server.root}/out", batch_rows=10, part_rows=10)
    planned = Counter({"HEAD": 2, "GET": 1})  # whether it is there, its size, and its end
    found = asked(server, "in/a.parquet") - planned
    assert len(report.parts) == 6
    assert found["HEAD"] == 1
    # The end of the file, with its footer, has the last of the ranges.
    assert found["GET"] == 1 + ranges - 1
    for name in report.parts:
        writes = Counter(method for method, path in server.requests if path.endswith(name))
        assert writes["PUT"] == 1
        assert writes.total() <= 3


def test_parts_that_are_there_are_read_once(bundle: Path, table: pa.Table, write: Write, server: StoreServer) -> None:
    put(server, write(table.slice(0, 45)), "in.parquet")
    arguments = bundle, f"{server.root}/in.parquet", f"{server.root}/out"
    whyport.run(*arguments, **OPTIONS)
    client.delete(server.root, "out/_SUCCESS")
    server.requests.clear()
    resumed = whyport.run(*arguments, **OPTIONS)
    assert resumed.performance.resumed_parts == 5
    for name in resumed.parts:
        assert asked(server, name) == {"GET": 2}  # whether it is whole; and its digest
    assert server.count("PUT", "part-") == 0


def test_a_bundle_takes_one_request_a_file(bundle: Path, server: StoreServer) -> None:
    files = [path for path in bundle.rglob("*") if path.is_file()]
    for path in files:
        put(server, path, f"bundle/{path.relative_to(bundle).as_posix()}")
    server.requests.clear()
    assert whyport.Bundle.read(f"{server.root}/bundle").digest == whyport.Bundle.read(bundle).digest
    assert [method for method, _ in server.requests] == ["GET"] * len(files)


def test_jobs_in_a_store_are_found_without_a_request_for_each_part(
    bundle: Path, table: pa.Table, write: Write, server: StoreServer
) -> None:
    put(server, write(table.slice(0, 45)), "in/a.parquet")
    inputs, nights = f"{server.root}/in", f"{server.root}/nights"
    whyport.run(bundle, inputs, f"{nights}/1", new_since=nights, **OPTIONS)
    put(server, write(table.slice(45, 5)), "in/b.parquet")
    server.requests.clear()
    whyport.plan(bundle, inputs, f"{nights}/2", new_since=nights, **OPTIONS)
    assert not [path for _, path in server.requests if "part-" in path]
    assert asked(server, "in/a.parquet") == {"HEAD": 1, "GET": 1}


def test_parts_are_removed_together(bundle: Path, table: pa.Table, write: Write, server: StoreServer) -> None:
    put(server, write(table.slice(0, 45)), "in.parquet")
    arguments = bundle, f"{server.root}/in.parquet", f"{server.root}/out"
    whyport.run(*arguments, **OPTIONS)
    server.requests.clear()
    whyport.run(*arguments, overwrite=True, **OPTIONS | {"keep": "id"})
    # A probe, a lock, three documents and the parts.
    assert server.count("POST") + server.count("DELETE") == 6


def test_an_audit_reads_a_part_once_for_each_check(
    bundle: Path, table: pa.Table, write: Write, server: StoreServer
) -> None:
    put(server, write(table.slice(0, 45)), "in.parquet")
    report = whyport.run(bundle, f"{server.root}/in.parquet", f"{server.root}/out", **OPTIONS)
    server.requests.clear()
    whyport.audit(f"{server.root}/out", sample=0)
    first, *others = sorted(report.parts)
    assert asked(server, first) == {"GET": 5}  # of it the kept columns too
    for name in others:
        assert asked(server, name) == {"GET": 4}  # digests, totals, columns, rows
