"""Columns of few texts go to Parquet as dictionaries; whoever reads the part sees what would be there without."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from whyport.batch.output.writer import PartWriter, encoded_schema, write_options
from whyport.batch.store.local import Disk

SCHEMA = pa.schema(
    [
        ("source_file", pa.string()),
        ("source_row", pa.int64()),
        ("kind", pa.dictionary(pa.int8(), pa.string())),
        pa.field("when", pa.timestamp("us", "Europe/Vienna"), metadata={"unit": "as written"}),
        ("prediction", pa.string()),
    ]
)
METADATA = {"whyport": '{"name": "grün"}'}


def columns(rows: int) -> list[pa.Array]:
    def dictionary(values: list[str]) -> pa.Array:
        return pa.DictionaryArray.from_arrays(pa.array(np.arange(rows) % len(values)), values)

    kind = pa.array(["x"] * rows, SCHEMA.field("kind").type)
    when = pa.array(range(rows), pa.int64()).cast(SCHEMA.field("when").type)
    # The last class is never predicted.
    predicted = dictionary(["yes", "no", "maybe"]).take(pa.array(np.zeros(rows, dtype=np.int64)))
    return [dictionary(["a.parquet"]), pa.array(np.arange(rows)), kind, when, predicted]


@pytest.mark.parametrize("rows", [0, 1, 1000])
def test_a_part_reads_as_if_its_texts_had_been_written_one_by_one(tmp_path: Path, rows: int) -> None:
    path, plain = tmp_path / "part.parquet", tmp_path / "plain.parquet"
    with PartWriter(Disk(), path, SCHEMA, METADATA) as writer:
        writer.write(columns(rows))
        writer.finish({"totals": "1"})
        writer.publish()
    table = pa.table([array.cast(field.type) for array, field in zip(columns(rows), SCHEMA, strict=True)], SCHEMA)
    with pq.ParquetWriter(plain, SCHEMA.with_metadata(METADATA), **write_options(SCHEMA)) as reference:
        reference.write_table(table)
    read, expected = pq.read_table(path), pq.read_table(plain)
    assert read.schema.remove_metadata().equals(expected.schema.remove_metadata())
    assert read.schema.field("when").metadata == expected.schema.field("when").metadata
    assert read.schema.metadata == expected.schema.metadata
    written, plainly = (set(pq.read_metadata(file).metadata.items()) for file in (path, plain))
    assert written == plainly | {(b"totals", b"1")}
    assert read.equals(expected)
    assert pq.ParquetFile(path).schema.equals(pq.ParquetFile(plain).schema)


def test_the_statistics_are_of_the_texts_that_occur(tmp_path: Path) -> None:
    path = tmp_path / "part.parquet"
    with PartWriter(Disk(), path, SCHEMA, METADATA) as writer:
        writer.write(columns(100))
        writer.finish({})
        writer.publish()
    statistics = pq.read_metadata(path).row_group(0).column(4).statistics
    assert (statistics.min, statistics.max) == ("yes", "yes")


def test_other_columns_keep_their_types() -> None:
    kind = pa.dictionary(pa.int64(), pa.string())
    assert encoded_schema(SCHEMA).types == [kind, pa.int64(), *SCHEMA.types[2:4], kind]
