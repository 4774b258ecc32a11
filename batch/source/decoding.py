"""Row groups of a Parquet file as record batches: many small ones together, one whole, or a large one in parts."""

from collections.abc import Iterator, Sequence

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.runtime.providers import available_cores

# What is decoded at once. Of whole row groups, columns are read to their ends one after the other; between the parts of
# one, a page of every column stays. Every column costs a call, however few rows it gives. Columns of texts, lists and
# the like may take more memory than the file tells: fewer rows of them.
DECODED_ROWS = 1 << 17
TEXT_ROWS = 1 << 15
DECODED_BYTES = 512 << 20

# Few columns of a large row group are decoded by one thread, where the stages of a run have work for all cores: more
# threads would only wait for each other, and keep memory each for itself.
FEW_COLUMNS = 64
STAGES = 4


class Decoder:
    """Decodes some columns.

    Args:
        columns: their names.
        kinds: their types.
        batch_rows: as many rows are decoded at once whatever memory they take.
    """

    def __init__(self, columns: Sequence[str], kinds: Sequence[pa.DataType], batch_rows: int) -> None:
        self._columns = list(columns)
        self._batch_rows = batch_rows
        widths = [_width(kind) for kind in kinds]
        self._is_fixed = None not in widths
        self._width = sum(width or 0 for width in widths)
        self._most = max(DECODED_ROWS if self._is_fixed else TEXT_ROWS, batch_rows)
        # One row group at a time: then what a dictionary holds does not depend on where reading began.
        self._is_apart = any(pa.types.is_dictionary(kind) for kind in kinds)
        self._use_threads = len(columns) >= FEW_COLUMNS or available_cores() > STAGES

    def batches(self, file: pq.ParquetFile, groups: Sequence[int]) -> Iterator[pa.RecordBatch]:
        """The rows of row groups in order, in batches of any size."""
        for together, rows, size in self._together(file.metadata, groups):
            if rows <= self._most and size <= DECODED_BYTES:
                yield from self._whole(file, together)
            else:
                fitting = min(self._most, DECODED_BYTES * rows // size) // 2
                yield from self._in_parts(file, together, max(fitting, self._batch_rows))

    def _together(self, metadata: pq.FileMetaData, groups: Sequence[int]) -> Iterator[tuple[list[int], int, int]]:
        """Row groups that are decoded at once, with their rows and bytes: as many as fit, at least one."""
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

    def _whole(self, file: pq.ParquetFile, groups: list[int]) -> Iterator[pa.RecordBatch]:
        """Row groups at once; where that fails, in parts, up to what cannot be read."""
        try:
            yield from file.read_row_groups(groups, self._columns).to_batches()
        except (pa.ArrowException, OSError):
            for group in groups:
                yield from self._in_parts(file, [group], self._batch_rows)

    def _in_parts(self, file: pq.ParquetFile, groups: list[int], rows: int) -> Iterator[pa.RecordBatch]:
        yield from file.iter_batches(rows, groups, self._columns, use_threads=self._use_threads)


def _width(kind: pa.DataType) -> int | None:
    """The bytes that every value takes in memory; None where they differ."""
    types = pa.types
    is_fixed = types.is_primitive(kind) or types.is_decimal(kind) or types.is_fixed_size_binary(kind)
    return -(-kind.bit_width // 8) if is_fixed else None
