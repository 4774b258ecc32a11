"""Executors: where the parts of a run are made, and the orders that workers in other processes get."""

import importlib.util
import pickle
import sys
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pytest

import whyport as library
from support.command import Whyport
from whyport.batch.output.fence import Fence
from whyport.batch.output.parts import split
from whyport.batch.run.executors import EXECUTORS, find_executor
from whyport.batch.run.executors.pieces import pieces
from whyport.batch.run.executors.remote import RemoteWorker
from whyport.batch.run.executors.where import KNOWN, Where
from whyport.batch.run.worker import Order
from whyport.runtime.errors import JobError, UsageError


def test_a_place_is_read() -> None:
    assert Where.parse("local") == Where()
    assert Where.parse("ray", 3) == Where("ray", None, 3)
    assert Where.parse("ray://head:10001") == Where("ray", "ray://head:10001")
    assert Where.parse("spark") == Where("spark")
    assert Where.parse("spark://host:7077") == Where("spark", "spark://host:7077")
    assert EXECUTORS.keys() == set(KNOWN)
    assert find_executor("local").__name__ == "Local"


@pytest.mark.parametrize(
    ("on", "workers", "message"),
    [
        ("lokal", None, r"unknown executor 'lokal' \(did you mean 'local'\?\); known: 'local', 'ray', 'spark'"),
        ("local://here", None, "unknown executor 'local://here'"),
        ("", None, "unknown executor ''"),
        ("local", 2, "workers: expected on 'ray' beside it, got 'local'"),
        ("spark", 2, "workers: expected on 'ray' beside it, got 'spark'"),
        ("ray", 0, "workers: expected at least 1, got 0"),
    ],
)
def test_another_place_is_refused(on: str, workers: int | None, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Where.parse(on, workers)


def test_an_unknown_executor_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown executor 'lokal' \(did you mean 'local'\?\)"):
        find_executor("lokal")


@pytest.mark.parametrize("workers", [1, 2, 5, 100])
def test_every_part_is_in_one_piece(workers: int) -> None:
    orders = [Order(0, tuple(split(0, 95, 5))), Order(2, (*split(2, 50, 10)[:2], *split(2, 50, 10)[3:]))]
    small = pieces(orders, workers, rows=20)
    assert [span for order in small for span in order.spans] == [span for order in orders for span in order.spans]
    for order in small:
        assert {span.index for span in order.spans} == {order.index}
        assert all(a.stop == b.start for a, b in zip(order.spans, order.spans[1:], strict=False))
        assert len(order.spans) == 1 or sum(span.rows for span in order.spans) <= 20
    assert len(small) >= min(23, 4 * workers)
    assert max(len(order.spans) for order in small) == (4 if workers == 1 else 2 if workers == 2 else 1)


def test_a_worker_without_the_run_s_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(
        JobError, match=f"^expected the run's output folder, which all workers share, .*, in {tmp_path}"
    ):
        RemoteWorker(pickle.dumps(None), Fence(tmp_path / "_workers-0"))


@pytest.mark.parametrize(("on", "package"), [("ray", "ray"), ("spark", "pyspark")])
def test_an_executor_that_is_not_installed_is_named(
    on: str,
    package: str,
    bundle: Path,
    table: pa.Table,
    write: Callable[..., Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    whyport: Whyport,
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == package else found(name))
    monkeypatch.delitem(sys.modules, f"whyport.batch.run.executors.{on}", raising=False)
    rows, out = write(table), tmp_path / "out"
    with pytest.raises(library.MissingPackageError, match=f"^this needs the package '{package}': pip install"):
        library.run(bundle, rows, out, on=on)
    told = whyport("run", bundle, rows, "--out", out, "--on", on, exit_code=1)
    assert told.stderr == f"error: this needs the package '{package}': pip install 'whyport[{on}]'\n"
    assert not out.exists()
