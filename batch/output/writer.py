"""Parquet parts that become visible only when they are whole."""

import base64
import io
from collections.abc import Iterator, Mapping, Sequence
from typing import IO, Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.output.columns import SOURCE_FILE, SOURCE_ROW
from whyport.batch.output.parts import FileColumns
from whyport.batch.store.local import Disk
from whyport.runtime.errors import OutputError
from whyport.runtime.store.path import Place
from whyport.runtime.task import PREDICTION

DICTIONARIES = (SOURCE_FILE, PREDICTION)


def float_leaves(schema: pa.Schema) -> list[str]:
    """The paths of the leaf columns that hold floats."""
    return _split_leaves(schema)[0]


def other_leaves(schema: pa.Schema) -> list[str]:
    """The paths of all other leaf columns."""
    return _split_leaves(schema)[1]


def _split_leaves(schema: pa.Schema) -> tuple[list[str], list[str]]:
    """The paths of floats, and of others: two leaves may share a path, the column `a.b` and the field b in `a`."""
    leaves = list(_leaves_of(schema))
    others = {path for path, kind in leaves if not pa.types.is_floating(kind)}
    return list(dict.fromkeys(path for path, _ in leaves if path not in others)), sorted(others)


def encoded_schema(schema: pa.Schema) -> pa.Schema:
    """The schema of the arrays that a part's writer takes: columns with few distinct texts are dictionaries.

    Parquet always makes a dictionary of such a column. It accepts ours without looking at every row's text.
    """
    kind = pa.dictionary(pa.int64(), pa.string())
    return pa.schema(
        [
            field.with_type(kind) if field.name in DICTIONARIES and field.type == pa.string() else field
            for field in schema
        ]
    )


def _leaves_of(schema: pa.Schema) -> Iterator[tuple[str, pa.DataType]]:
    for field in schema:
        yield from _leaves(field.name, field.type)


def _leaves(path: str, kind: pa.DataType) -> Iterator[tuple[str, pa.DataType]]:
    """The leaves inside a column, with the paths that the Parquet format gives to lists and maps."""
    if isinstance(kind, pa.BaseExtensionType):
        yield from _leaves(path, kind.storage_type)
    elif pa.types.is_map(kind):
        yield from _leaves(f"{path}.key_value.{kind.key_field.name}", kind.key_type)
        yield from _leaves(f"{path}.key_value.{kind.item_field.name}", kind.item_type)
    elif hasattr(kind, "value_field"):
        yield from _leaves(f"{path}.list.element", kind.value_type)
    elif pa.types.is_struct(kind):
        for field in kind:
            yield from _leaves(f"{path}.{field.name}", field.type)
    else:
        yield path, kind


# A row group is closed at whichever limit is first: many small ones are slow to read, few large ones cost memory.
ROW_GROUP_ROWS = 1 << 16
ROW_GROUP_BYTES = 64 << 20


def write_options(schema: pa.Schema) -> dict[str, Any]:
    """The encoding of parts, as options of pyarrow's ParquetWriter."""
    return {
        "compression": "zstd",
        "use_byte_stream_split": float_leaves(schema),
        # This column ascends: its differences take 1/300 of the space, and 1/7 of the time.
        "use_dictionary": [path for path in other_leaves(schema) if path != SOURCE_ROW],
        "column_encoding": {SOURCE_ROW: "DELTA_BINARY_PACKED"},
        "write_page_checksum": True,
    }


def _open_writer(stream: IO[bytes], schema: pa.Schema, metadata: Mapping[str, str]) -> pq.ParquetWriter:
    options = write_options(schema) | {"store_schema": False}
    writer = pq.ParquetWriter(stream, encoded_schema(schema), **options)
    # The schema that readers restore has the original types.
    described = base64.b64encode(schema.with_metadata(dict(metadata)).serialize())
    writer.add_key_value_metadata({**metadata, "ARROW:schema": described})
    return writer


def columns_in_file(schema: pa.Schema) -> FileColumns:
    """The columns that a reader finds in a part with this schema."""
    buffer = io.BytesIO()
    _open_writer(buffer, schema, {}).close()
    return FileColumns.read(buffer)


class PartWriter:
    """One Parquet file, under a temporary name until `publish`; leaving the context before that removes the file.

    Args:
        disk: writes the file.
        path: the final name.
        schema: the columns.
        metadata: the file's own metadata.
    """

    def __init__(self, disk: Disk, path: Place, schema: pa.Schema, metadata: Mapping[str, str]) -> None:
        self.rows = 0
        self._encoded = encoded_schema(schema)
        self._pending: list[pa.RecordBatch] = []
        self._pending_rows = self._pending_bytes = 0
        self._file = disk.whole_file(path)
        try:
            self._writer = _open_writer(self._file.stream, schema, metadata)
        except BaseException:
            self._file.__exit__()
            raise

    def write(self, columns: Sequence[pa.Array]) -> None:
        """Append rows: the columns of `encoded_schema`, in order."""
        batch = pa.record_batch(columns, schema=self._encoded)
        self._pending.append(batch)
        self.rows += batch.num_rows
        self._pending_rows += batch.num_rows
        self._pending_bytes += batch.nbytes
        if self._pending_rows >= ROW_GROUP_ROWS or self._pending_bytes >= ROW_GROUP_BYTES:
            self._flush()

    def finish(self, metadata: Mapping[str, str]) -> None:
        """Sync the whole part to the disk, with more metadata and its number of rows in its footer."""
        self._flush()
        self._writer.add_key_value_metadata(dict(metadata))
        self._writer.close()
        self._file.finish()
        with self._file.reopened() as file:
            counted = pq.read_metadata(file).num_rows
        if counted != self.rows:
            raise OutputError(f"expected {self.rows} rows in the footer, got {counted}, in {self._file.path}")

    def publish(self) -> None:
        """Give the finished part its final name."""
        self._file.publish_part()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        if self._writer.is_open:
            self._file.discard()
            # Its state after an error is unknown: everything that it still writes is discarded.
            try:
                self._writer.close()
            except (pa.ArrowException, OSError):
                self._writer.is_open = False
        self._file.__exit__(*error)

    def _flush(self) -> None:
        if self._pending:
            table = pa.Table.from_batches(self._pending, self._encoded)
            self._writer.write_table(table, row_group_size=max(1, table.num_rows))
            self._pending = []
            self._pending_rows = self._pending_bytes = 0
