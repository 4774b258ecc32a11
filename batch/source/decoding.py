"""Row groups of a Parquet file as record batches: many small ones together, one whole, or a large one in pieces."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.source.pages import Pages
from whyport.runtime.providers import available_cores

READ_OPTIONS: dict[str, Any] = {"pre_buffer": False, "page_checksum_verification": True}
"""Options for every reading; pyarrow's defaults read a whole row group ahead. A page's checksum is verified."""
BUFFER_BYTES = 1 << 14
"""The buffer that each column of a streamed row group has; most pages are larger, and bypass it without a copy."""

# The most that is decoded at once. In whole row groups, columns are read to their ends one after the other. Between the
# pieces of one row group, a page of every column stays in memory. Every column costs one call, however few its rows.
# Columns of texts, lists and the like may take more memory than the file tells: fewer of their rows are decoded.
DECODED_ROWS = 1 << 17
TEXT_ROWS = 1 << 15
DECODED_BYTES = 512 << 20

# A large row group with fewer columns than this is decoded by one thread: a run's stages keep all cores busy. More
# threads would only wait for each other, and each would hold memory of its own.
FEW_COLUMNS = 64
STAGES = 4

# About as many bytes of the file are read at once where a row group is decoded whole, in some of its columns.
READ_BYTES = 8 << 20


@dataclass(frozen=True)
class OpenedFile:
    """Row groups of a file, as pyarrow reads them."""

    file: pa.NativeFile
    metadata: pq.FileMetaData
    int96_unit: str

    @cached_property
    def whole(self) -> pq.ParquetFile:
        """The file read a column of a row group at a time: pyarrow takes no more memory than there are bytes."""
        return self._opened(0)

    @cached_property
    def streamed(self) -> pq.ParquetFile:
        """The file read a page at a time: pyarrow believes what a page's header says, so `pages` are checked before."""
        return self._opened(BUFFER_BYTES)

    @cached_property
    def pages(self) -> Pages:
        """The pages of the row groups."""
        return Pages(self.file, self.metadata)

    def _opened(self, buffer_size: int) -> pq.ParquetFile:
        options = READ_OPTIONS | {"buffer_size": buffer_size, "coerce_int96_timestamp_unit": self.int96_unit}
        return pq.ParquetFile(self.file, metadata=self.metadata, **options)


class Decoder:
    """Decodes some columns.

    Args:
        columns: names of the columns.
        kinds: types of the columns.
        batch_rows: the number of rows that is always decoded at once, whatever memory they take.
    """

    def __init__(self, columns: Sequence[str], kinds: Sequence[pa.DataType], batch_rows: int) -> None:
        self._columns = list(columns)
        self._batch_rows = batch_rows
        widths = [_width(kind) for kind in kinds]
        self._is_fixed = None not in widths
        self._width = sum(width or 0 for width in widths)
        self._most = max(DECODED_ROWS if self._is_fixed else TEXT_ROWS, batch_rows)
        # One row group at a time: a dictionary's content then does not depend on where reading began.
        self._is_apart = any(pa.types.is_dictionary(kind) for kind in kinds)
        self._use_threads = len(columns) >= FEW_COLUMNS or available_cores() > STAGES

    def batches(self, opened: OpenedFile, groups: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """The rows of row groups in order, in batches of any size; raises OSError and ArrowException."""
        for together, rows, size in self._together(opened.metadata, groups):
            if rows <= self._most and size <= DECODED_BYTES:
                yield from self._whole(opened, together)
            else:
                fitting = min(self._most, DECODED_BYTES * rows // max(size, 1)) // 2
                for group in together:
                    opened.pages.check(group, self._columns)
                yield from self._in_parts(opened.streamed, together, max(fitting, self._batch_rows))

    def _together(self, metadata: pq.FileMetaData, groups: Sequence[int]) -> Iterator[tuple[list[int], int, int]]:
        """Groups of row groups to decode at once, with their rows and bytes: as many as fit, at least one."""
        together: list[int] = []
        rows = size = 0
        for group in groups:
            described = metadata.row_group(group)
            own_rows = described.num_rows
            own_size = max(own_rows * self._width, 0 if self._is_fixed else described.total_byte_size)
            is_full = rows + own_rows > self._most or size + own_size > DECODED_BYTES
            if together and (is_full or self._is_apart):
                yield together, rows, size
                together, rows, size = [], 0, 0
            together.append(group)
            rows, size = rows + own_rows, size + own_size
        if together:
            yield together, rows, size

    def _whole(self, opened: OpenedFile, groups: list[int]) -> Iterator[pa.RecordBatch]:
        """Decode row groups at once; if that fails, in pieces, up to the first unreadable row."""
        try:
            yield from self._read(opened, groups).to_batches()
        except (pa.ArrowException, OSError):
            for group in groups:
                yield from self._in_parts(opened.whole, [group], self._batch_rows)

    def _read(self, opened: OpenedFile, groups: list[int]) -> pa.Table:
        """Row groups, some columns at a time, so that few of the file's bytes are in memory beside what they give."""
        size = sum(max(opened.metadata.row_group(group).total_byte_size, 0) for group in groups)
        count = -(-len(self._columns) // max(1, -(-size // READ_BYTES)))
        pieces = [self._columns[i : i + count] for i in range(0, len(self._columns), max(count, 1))]
        if len(pieces) <= 1:
            return opened.whole.read_row_groups(groups, self._columns)
        columns: dict[str, pa.ChunkedArray] = {}
        for names in pieces:
            table = opened.whole.read_row_groups(groups, names)
            place = {name: i for i, name in enumerate(table.schema.names)}  # "a" reads "a.b" too
            columns |= {name: table.column(place[name]) for name in names}
        return pa.table(columns)

    def _in_parts(self, file: pq.ParquetFile, groups: list[int], rows: int) -> Iterator[pa.RecordBatch]:
        yield from file.iter_batches(rows, groups, self._columns, use_threads=self._use_threads)


def _width(kind: pa.DataType) -> int | None:
    """The bytes of one value in memory; None for a type whose values differ in size."""
    types = pa.types
    is_fixed = types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind)
    return -(-kind.bit_width // 8) if is_fixed else None
