"""Parquet parts that are visible only when they are whole."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Self

import pyarrow as pa
import pyarrow.parquet as pq

# A row group is closed by whichever comes first; many small ones read slowly, few large ones cost memory.
ROW_GROUP_ROWS = 1 << 16
ROW_GROUP_BYTES = 64 << 20


class PartWriter:
    """One Parquet file, under a temporary name until `commit`.

    Args:
        path: the final name.
        schema: the columns.
        metadata: the file's own metadata.
    """

    def __init__(self, path: Path, schema: pa.Schema, metadata: Mapping[str, str]) -> None:
        self.path = path
        self._unfinished = path.with_name(f".{path.name}.tmp")
        self._schema = schema.with_metadata(dict(metadata))
        self._pending: list[pa.RecordBatch] = []
        self._writer = pq.ParquetWriter(
            self._unfinished,
            self._schema,
            compression="zstd",
            use_byte_stream_split=[field.name for field in schema if pa.types.is_floating(field.type)],
            use_dictionary=[field.name for field in schema if not pa.types.is_floating(field.type)],
        )

    def write(self, batch: pa.RecordBatch) -> None:
        """Append rows."""
        self._pending.append(batch)
        rows = sum(batch.num_rows for batch in self._pending)
        if rows >= ROW_GROUP_ROWS or sum(batch.nbytes for batch in self._pending) >= ROW_GROUP_BYTES:
            self._flush()

    def commit(self) -> int:
        """Make the part visible under its name; returns its rows as its own footer counts them."""
        self._flush()
        self._writer.close()
        with self._unfinished.open("rb") as file:
            os.fsync(file.fileno())
        rows: int = pq.read_metadata(self._unfinished).num_rows
        self._unfinished.replace(self.path)
        return rows

    def abort(self) -> None:
        """Leave nothing behind."""
        if self._writer.is_open:
            self._writer.close()
        self._unfinished.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.abort()

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, self._schema)
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
            self._pending = []
