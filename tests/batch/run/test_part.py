"""The stages of a part overlap: what fails in any of them ends the run as if they did not."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.output.totals import Totals
from whyport.batch.output.writer import PartWriter
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.job import Job
from whyport.batch.scoring.scorer import Scorer
from whyport.batch.settings import JobSettings
from whyport.batch.source.cleaning import RowCleaner
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import JobError

Write = Callable[..., Path]

# What is called once a batch, or once a file for the last ones, in the order of the stages.
STAGES = [
    (RowCleaner, "clean", 5),
    (Scorer, "predict", 5),
    (Scorer, "explain", 5),
    (Totals, "__add__", 5),
    (PartWriter, "write", 5),
    (Interruption, "advance", 5),
    (PartWriter, "finish", 2),
    (PartWriter, "publish", 2),
]


@pytest.fixture
def settings(table: pa.Table, write: Write, tmp_path: Path) -> JobSettings:
    """Five parts of two batches each."""
    return JobSettings(
        inputs=(str(write(table)),),
        out=tmp_path / "out",
        batch_rows=100,
        part_rows=200,
        keep=("id",),
        device="cpu",
        methods=("gradient",),
    )


def own_threads() -> set[str]:
    return {t.name for t in threading.enumerate() if t.name.startswith(("whyport-read", "whyport-write"))}


def parts(out: Path) -> dict[str, bytes]:
    return {path.relative_to(out).as_posix(): path.read_bytes() for path in out.rglob("part-*.parquet")}


@pytest.mark.parametrize(("owner", "name", "call"), STAGES, ids=[f"{o.__name__}.{n}" for o, n, _ in STAGES])
def test_an_error_of_any_stage_is_raised_and_leaves_whole_parts_and_no_thread(
    bundle: Path, settings: JobSettings, monkeypatch: pytest.MonkeyPatch, owner: type, name: str, call: int
) -> None:
    read, out, calls = Bundle.read(bundle), settings.out, iter(range(1, 100))
    function = getattr(owner, name)

    def failing(*arguments: Any) -> Any:
        if next(calls) == call:
            raise JobError("this stage failed")
        return function(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(owner, name, failing)
        with pytest.raises(JobError, match="this stage failed"):
            Job(read, settings).run()
    assert own_threads() == set()
    assert not list(out.rglob(".part-*"))
    there = parts(out)
    # The fifth batch is the third part's, the second file the second part's.
    assert len(there) == (2 if call == 5 else 1)
    Job(read, settings).run()
    assert parts(out).items() > there.items()
    assert len(parts(out)) == 5


def test_no_thread_is_left_after_a_run(bundle: Path, settings: JobSettings, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: set[str] = set()
    advance = Interruption.advance
    monkeypatch.setattr(
        Interruption, "advance", lambda self, rows: (seen.update(own_threads()), advance(self, rows))[1]
    )
    Job(Bundle.read(bundle), settings).run()
    assert {name.rsplit("_", 1)[0] for name in seen} == {"whyport-read", "whyport-write"}
    assert own_threads() == set()


@pytest.fixture
def mixed() -> pa.Table:
    """Columns of many types, with nulls, and rows that are rejected."""
    generator = np.random.default_rng(4)
    columns: dict[str, Any] = {name: generator.normal(size=1000) for name in "abc"}
    columns["b"][::7] = np.nan
    texts = pa.array([f"text {i % 11}" if i % 5 else None for i in range(1000)])
    return pa.table(
        columns
        | {
            "text": texts,
            "encoded": texts.dictionary_encode(),
            "flag": pa.array([None if i % 13 == 0 else i % 2 == 0 for i in range(1000)]),
            "list": pa.array([[i] * (i % 3) for i in range(1000)]),
        }
    )


def data_and_footer(path: Path) -> tuple[bytes, list[dict[str, Any]], pa.Schema]:
    """A Parquet file without its own metadata: its pages, what its footer says of them, and its columns."""
    content = path.read_bytes()
    pages = content[: -8 - int.from_bytes(content[-8:-4], "little")]
    metadata = pq.read_metadata(path)
    groups = [metadata.row_group(i).to_dict() for i in range(metadata.num_row_groups)]
    return pages, groups, pq.read_schema(path).remove_metadata()


@pytest.mark.parametrize("methods", [(), ("gradient",)])
def test_row_groups_of_the_input_do_not_show_in_the_bytes(
    bundle: Path, mixed: pa.Table, write: Write, tmp_path: Path, methods: tuple[str, ...]
) -> None:
    def made(row_group_rows: int) -> Iterator[tuple[str, Any]]:
        source = write(mixed, row_group_size=row_group_rows)
        out = tmp_path / f"out-{row_group_rows}"
        settings = JobSettings(
            inputs=(str(source),),
            out=out,
            batch_rows=64,
            part_rows=256,
            device="cpu",
            methods=methods,
            keep=("text", "encoded", "flag", "list"),
        )
        Job(Bundle.read(bundle), settings).run()
        for path in sorted(out.rglob("part-*.parquet")):
            yield path.relative_to(out).as_posix(), data_and_footer(path)

    expected = dict(made(1000))
    assert len(expected) == 8  # four parts with a rejected part each
    for row_group_rows in (1, 10, 333):
        assert dict(made(row_group_rows)) == expected
