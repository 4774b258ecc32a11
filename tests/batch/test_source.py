from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from batch.source import SourceFile, discover, open_source
from runtime.errors import DataError, UsageError

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


def test_inputs_are_files_folders_and_globs_in_order(write: Write, tmp_path: Path) -> None:
    for name in ("b.parquet", "a/2.parquet", "a/1.parquet", "a/_part/0.parquet", "a/.hidden.parquet", "a/other.txt"):
        write(numbers(1), name)
    assert discover([str(tmp_path / "b.parquet"), str(tmp_path / "a")]) == [
        tmp_path / "b.parquet",
        tmp_path / "a" / "1.parquet",
        tmp_path / "a" / "2.parquet",
    ]
    assert discover([str(tmp_path / "a" / "[12].parquet")]) == [tmp_path / "a" / f"{i}.parquet" for i in (1, 2)]


def test_an_input_that_names_nothing_is_refused(tmp_path: Path) -> None:
    for name in ("nowhere.parquet", "*.parquet", "."):
        with pytest.raises(UsageError, match="expected Parquet files, .* which names none"):
            discover([str(tmp_path / name)])


def test_a_file_named_twice_is_refused(write: Write, tmp_path: Path) -> None:
    path = write(numbers(1))
    with pytest.raises(UsageError, match=r"inputs named twice: '.*input\.parquet'"):
        discover([str(path), str(tmp_path)])


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
