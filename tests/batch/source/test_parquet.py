from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.source.files import Fingerprint
from whyport.batch.source.parquet import SourceFile, open_source
from whyport.runtime.errors import DataError

Write = Callable[..., Path]


def numbers(rows: int) -> pa.Table:
    return pa.table({"n": np.arange(rows), "a.b": np.arange(rows), "a": np.arange(rows)})


def read(source: SourceFile, batch_rows: int) -> list[tuple[int, list[int]]]:
    return [(row, batch.column("n").to_pylist()) for row, batch in source.batches(["n"], batch_rows)]


@pytest.mark.parametrize("row_group_rows", [1, 3, 7, 100])
@pytest.mark.parametrize("batch_rows", [1, 4, 10, 64])
def test_batches_do_not_depend_on_the_row_groups(write: Write, row_group_rows: int, batch_rows: int) -> None:
    source = open_source(write(numbers(10), row_group_size=row_group_rows))
    expected = [(start, list(range(start, min(start + batch_rows, 10)))) for start in range(0, 10, batch_rows)]
    assert read(source, batch_rows) == expected


def test_a_file_without_rows_gives_no_batches(write: Write) -> None:
    source = open_source(write(numbers(0)))
    assert (source.rows, read(source, 4)) == (0, [])


def test_columns_come_in_the_order_asked_for_and_none_besides(write: Write) -> None:
    source = open_source(write(numbers(3)))
    for names in (["a"], ["a.b"], ["n", "a"], ["a", "n"]):
        ((_, batch),) = source.batches(names, 10)
        assert batch.schema.names == names


def test_a_row_is_found_in_its_row_group(write: Write) -> None:
    source = open_source(write(numbers(10), row_group_size=4))
    assert [source.row_group(row) for row in (0, 3, 4, 9)] == [0, 0, 1, 2]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"not a Parquet file at all"])
def test_a_file_without_a_footer_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.parquet"
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"expected a Parquet file, .*, in .*bad\.parquet"):
        open_source(path)


def test_a_file_broken_in_the_middle_is_named_with_its_row_group(write: Write) -> None:
    path = write(numbers(4000), row_group_size=1000, compression="zstd")
    source = open_source(path)
    content = bytearray(path.read_bytes())
    middle = len(content) // 2
    content[middle : middle + 2000] = bytes(2000)
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read: .*, in .*input\.parquet, row group [123]"):
        read(source, 500)


def test_a_file_that_shrank_after_its_footer_was_read_is_an_error(write: Write) -> None:
    source = open_source(write(numbers(10)))
    write(numbers(9))
    with pytest.raises(DataError, match=r"expected 10 rows, got 9, in .*input\.parquet"):
        read(source, 4)


@pytest.mark.parametrize("row_group_rows", [1, 3, 7, 100])
@pytest.mark.parametrize("batch_rows", [1, 4, 64])
def test_reading_from_the_middle_gives_the_rows_that_are_there(
    write: Write, row_group_rows: int, batch_rows: int
) -> None:
    source = open_source(write(numbers(23), row_group_size=row_group_rows))
    for start in range(24):
        for stop in range(start, 24):
            batches = list(source.batches(["n"], batch_rows, start, stop))
            rows = [row for _, batch in batches for row in batch.column("n").to_pylist()]
            assert rows == list(range(start, stop))
            assert [row for row, _ in batches] == list(range(start, stop, batch_rows))


def test_row_groups_before_the_start_are_not_read(write: Write) -> None:
    path = write(numbers(4000), row_group_size=1000, compression="none")
    content = bytearray(path.read_bytes())
    content[4:4000] = bytes(3996)
    path.write_bytes(content)
    source = open_source(path)
    with pytest.raises(DataError, match=r"input\.parquet, row group 0"):
        list(source.batches(["n"], 100))
    assert sum(batch.num_rows for _, batch in source.batches(["n"], 100, 1000, 4000)) == 3000


def test_pages_with_a_checksum_are_checked(write: Write) -> None:
    path = write(numbers(1000), compression="none", use_dictionary=False, write_page_checksum=True)
    content = bytearray(path.read_bytes())
    content[4000] ^= 1  # a number that would still be one
    path.write_bytes(content)
    with pytest.raises(DataError, match=r"cannot read: .*[Cc][Rr][Cc].*, in .*input\.parquet, row group 0"):
        read(open_source(path), 100)


def test_columns_of_the_path_stand_beside_the_files_own(write: Write, tmp_path: Path) -> None:
    path = write(numbers(5), "year=2026/n=7/x.parquet")
    source = open_source(path, {"year": pa.scalar(2026, pa.int32()), "n": pa.scalar(7, pa.int32())})
    assert source.schema.names == ["n", "a.b", "a", "year"]
    ((_, batch),) = source.batches(["year", "n"], 10)
    assert batch.to_pydict() == {"year": [2026] * 5, "n": [0, 1, 2, 3, 4]}
    assert batch.schema.field("year").type == pa.int32()


def test_a_fingerprint_tells_a_changed_file(write: Write, tmp_path: Path) -> None:
    first = open_source(write(numbers(5))).fingerprint
    assert open_source(write(numbers(5))).fingerprint.footer_sha256 == first.footer_sha256
    assert open_source(write(numbers(6))).fingerprint.footer_sha256 != first.footer_sha256
    for content in (b"", b"PAR1", b"\xff" * 100):
        (tmp_path / "bad").write_bytes(content)
        assert Fingerprint.read(tmp_path / "bad").footer_sha256 is None


@pytest.mark.parametrize("decoded_rows", [1, 5, 8, 20])
@pytest.mark.parametrize("row_group_rows", [1, 3, 8, 100])
def test_what_is_decoded_at_once_changes_nothing(
    write: Write, monkeypatch: pytest.MonkeyPatch, decoded_rows: int, row_group_rows: int
) -> None:
    monkeypatch.setattr("whyport.batch.source.decoding.DECODED_ROWS", decoded_rows)
    table = numbers(23).append_column("text", pa.array([f"{i % 3}" for i in range(23)]).dictionary_encode())
    source = open_source(write(table, row_group_size=row_group_rows))
    for start in (0, 7, 22):
        batches = list(source.batches(["n", "text"], 4, start))
        assert [row for row, _ in batches] == list(range(start, 23, 4))
        assert pa.Table.from_batches([batch for _, batch in batches]).cast(
            pa.schema([("n", pa.int64()), ("text", pa.string())])
        ).to_pydict() == {"n": list(range(start, 23)), "text": [f"{i % 3}" for i in range(start, 23)]}


def test_the_row_group_that_is_broken_is_named_and_those_before_are_read(write: Write) -> None:
    path = write(numbers(4000), row_group_size=500, compression="none", use_dictionary=False)
    metadata = pq.read_metadata(path)
    content = bytearray(path.read_bytes())
    for group in (5, 6):
        column = metadata.row_group(group).column(0)
        start = column.data_page_offset
        content[start : start + column.total_compressed_size] = bytes(column.total_compressed_size)
    path.write_bytes(content)
    batches = open_source(path).batches(["n"], 100)
    rows = [next(batches)[0] for _ in range(25)]
    assert rows == list(range(0, 2500, 100))
    with pytest.raises(DataError, match=r"cannot read: .*, in .*input\.parquet, row group 5$"):
        next(batches)


@pytest.mark.parametrize("use_dictionary", [True, False])
def test_what_a_dictionary_holds_does_not_depend_on_where_reading_began(write: Write, use_dictionary: bool) -> None:
    kind = pa.dictionary(pa.int32(), pa.string(), ordered=True)
    texts = pa.table({"text": pa.array([f"{i // 4}" for i in range(24)]).dictionary_encode().cast(kind)})
    source = open_source(write(texts, row_group_size=8, use_dictionary=use_dictionary))
    whole = [batch.column("text") for _, batch in source.batches(["text"], 4)]
    later = [batch.column("text") for _, batch in source.batches(["text"], 4, 8)]
    assert [array.dictionary.to_pylist() for array in later] == [array.dictionary.to_pylist() for array in whole[2:]]
    assert pa.chunked_array(whole).cast(pa.string()).to_pylist() == [f"{i // 4}" for i in range(24)]
