from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.source.decoding import Decoder, OpenedFile
from whyport.batch.source.parquet import open_source

Write = Callable[..., Path]
Reads = list[tuple[list[int], int | None]]
"""The row groups of every read, and the rows of a part, where they are read in parts."""


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> Reads:
    """What pyarrow is asked for."""
    asked: Reads = []
    read_row_groups, iter_batches = pq.ParquetFile.read_row_groups, pq.ParquetFile.iter_batches

    def whole(self: pq.ParquetFile, groups: list[int], *arguments: Any) -> pa.Table:
        asked.append((groups, None))
        return read_row_groups(self, groups, *arguments)

    def in_parts(self: pq.ParquetFile, rows: int, groups: list[int], *arguments: Any, **options: Any) -> Iterator[Any]:
        asked.append((groups, rows))
        return iter_batches(self, rows, groups, *arguments, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", whole)
    monkeypatch.setattr(pq.ParquetFile, "iter_batches", in_parts)
    return asked


def decoded(path: Path, batch_rows: int = 1) -> list[dict[str, Any]]:
    with pa.OSFile(str(path)) as file:
        opened = OpenedFile(file, pq.read_metadata(file), "us")
        schema = opened.whole.schema_arrow
        batches = Decoder(schema.names, schema.types, batch_rows).batches(opened, range(opened.metadata.num_row_groups))
        rows: list[dict[str, Any]] = [row for batch in batches for row in batch.to_pylist()]
        return rows


def numbers(rows: int) -> pa.Table:
    return pa.table({"n": np.arange(rows), "flag": np.arange(rows) % 2 == 0})


@pytest.mark.parametrize(
    ("limit", "expected"),
    [
        ({"DECODED_ROWS": 7}, [([0, 1], None), ([2, 3, 4], None)]),
        ({"DECODED_ROWS": 3}, [([0], None), ([1], None), ([2], None), ([3], None), ([4], None)]),
        ({"DECODED_ROWS": 2}, [([0], 1), ([1], 1), ([2], 1), ([3], 1), ([4], None)]),
        ({"DECODED_BYTES": 2 * 3 * 9}, [([0, 1], None), ([2, 3], None), ([4], None)]),
        ({"DECODED_BYTES": 4 * 9}, [([0], None), ([1], None), ([2], None), ([3, 4], None)]),
        ({}, [([0, 1, 2, 3, 4], None)]),
    ],
)
def test_row_groups_are_decoded_together_as_far_as_they_fit(
    write: Write, monkeypatch: pytest.MonkeyPatch, reads: Reads, limit: dict[str, int], expected: Reads
) -> None:
    for name, value in limit.items():
        monkeypatch.setattr(f"whyport.batch.source.decoding.{name}", value)
    table = numbers(13)
    assert decoded(write(table, row_group_size=3)) == table.to_pylist()
    assert reads == expected


def test_a_batch_is_decoded_at_once_whatever_memory_it_takes(
    write: Write, monkeypatch: pytest.MonkeyPatch, reads: Reads
) -> None:
    monkeypatch.setattr("whyport.batch.source.decoding.DECODED_ROWS", 4)
    monkeypatch.setattr("whyport.batch.source.decoding.DECODED_BYTES", 90)
    table = numbers(25)
    assert decoded(write(table, row_group_size=25), batch_rows=20) == table.to_pylist()
    assert reads == [([0], 20)]


def test_long_texts_are_decoded_few_at_a_time(write: Write, monkeypatch: pytest.MonkeyPatch, reads: Reads) -> None:
    monkeypatch.setattr("whyport.batch.source.decoding.DECODED_BYTES", 64_000)
    texts = pa.table({"text": [f"{i:1000}" for i in range(1000)]})
    assert decoded(write(texts, use_dictionary=False, compression="zstd")) == texts.to_pylist()
    ((groups, rows),) = reads
    assert groups == [0]
    assert 24 <= (rows or 0) <= 32


def test_the_size_is_each_row_groups_own(write: Write, monkeypatch: pytest.MonkeyPatch, reads: Reads) -> None:
    monkeypatch.setattr("whyport.batch.source.decoding.DECODED_BYTES", 50_000)
    texts = pa.table({"text": ["a"] * 900 + ["b" * 1000] * 100})
    assert decoded(write(texts, row_group_size=100, use_dictionary=False)) == texts.to_pylist()
    assert [groups for groups, _ in reads] == [list(range(9)), [9]]
    assert [rows is None for _, rows in reads] == [True, False]


def test_texts_that_a_dictionary_makes_small_are_decoded_fewer_rows_at_a_time(
    write: Write, monkeypatch: pytest.MonkeyPatch, reads: Reads
) -> None:
    monkeypatch.setattr("whyport.batch.source.decoding.TEXT_ROWS", 40)
    texts = pa.table({"text": ["long" * 100] * 200})
    assert decoded(write(texts, row_group_size=20)) == texts.to_pylist()
    assert [groups for groups, _ in reads] == [[0, 1], [2, 3], [4, 5], [6, 7], [8, 9]]


def test_what_cannot_be_decoded_at_once_is_decoded_in_parts(
    write: Write, monkeypatch: pytest.MonkeyPatch, reads: Reads
) -> None:
    def refuse(self: pq.ParquetFile, groups: list[int], *_: Any) -> pa.Table:
        raise pa.ArrowNotImplementedError("Nested data conversions not implemented for chunked array outputs")

    monkeypatch.setattr(pq.ParquetFile, "read_row_groups", refuse)
    table = numbers(13)
    assert decoded(write(table, row_group_size=5), batch_rows=2) == table.to_pylist()
    assert reads == [([0], 2), ([1], 2), ([2], 2)]


def test_no_column_of_the_files_own_still_has_rows(write: Write) -> None:
    source = open_source(write(numbers(10)), {"year": pa.scalar(2026)})
    batches = [batch for _, batch in source.batches(["year"], 4)]
    assert [batch.num_rows for batch in batches] == [4, 4, 2]
    assert batches[0].column("year").to_pylist() == [2026] * 4
