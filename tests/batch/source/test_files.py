"""Against pyarrow's own Hive partitioning."""

from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest

from whyport.batch.source.files import hive_partitions


@pytest.mark.parametrize(
    "values",
    [
        ["1", "2"],
        ["01", "12"],
        ["1", "x"],
        ["2147483647", "-2147483648"],
        ["2147483648"],
        ["-0", "007"],
        ["+5"],
        ["1.5"],
        ["2026-01-01"],
        ["__HIVE_DEFAULT_PARTITION__", "3"],
        ["__HIVE_DEFAULT_PARTITION__", "x"],
        ["a%20b", "a%3Db", "%zz"],
        ["0x10", "%31"],
        [" 7"],
        ["ü"],
    ],
)
def test_values_are_typed_as_pyarrow_types_them(tmp_path: Path, values: list[str]) -> None:
    paths = [tmp_path / f"key={value}" / f"{i}.parquet" for i, value in enumerate(values)]
    for path in paths:
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"x": [1]}), path)
    expected = ds.dataset([str(path) for path in paths], partitioning="hive").to_table()["key"]
    got = [partition["key"] for partition in hive_partitions(paths)]
    assert {value.type for value in got} == {expected.type}
    assert [value.as_py() for value in got] == expected.to_pylist()


def test_a_path_has_as_many_columns_as_it_has_such_folders() -> None:
    paths = [Path("in/year=2026/month=01/x=9.parquet"), Path("in/=3/plain.parquet")]
    assert [dict(partition) for partition in hive_partitions(paths)] == [
        {"year": pa.scalar(2026, pa.int32()), "month": pa.scalar(1, pa.int32())},
        {},
    ]


def test_a_column_that_is_always_null_is_of_strings() -> None:
    (partition,) = hive_partitions([Path("k=__HIVE_DEFAULT_PARTITION__/x.parquet")])
    assert (partition["k"].type, partition["k"].as_py()) == (pa.string(), None)
