"""Where a row lies: its part, the row group in it, and the digest of that row group's bytes."""

import hashlib
from dataclasses import dataclass
from typing import Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.output.part_file import PartFile
from whyport.runtime.errors import AuditError, message_line

BYTES_AT_ONCE = 1 << 20


@dataclass(frozen=True)
class RowPlace:
    """The place of a row in a part."""

    position: int
    """Counted from 0, in the part."""
    group: int
    """The row group, counted from 0."""
    position_in_group: int
    first_byte: int
    last_byte: int
    """The bytes of the row group's columns, the last one included."""
    group_sha256: str
    """The digest of these bytes."""

    @classmethod
    def find(cls, part: PartFile, row: int) -> Self | None:
        """The place of the row with this number in its input; None where the part does not have it.

        Raises AuditError where the part cannot be read.
        """
        try:
            with part.open() as opened, pq.ParquetFile(opened) as file:
                before = 0
                for group in range(file.num_row_groups):
                    rows = file.read_row_group(group, columns=[SOURCE_ROW]).column(SOURCE_ROW).to_numpy()
                    found = np.flatnonzero(rows == row)
                    if len(found):
                        return cls._in_group(part, file.metadata, group, before, int(found[0]))
                    before += len(rows)
        except (pa.ArrowException, OSError, KeyError) as error:
            raise AuditError(f"cannot read: {message_line(error)}, in {part}") from None
        return None

    @classmethod
    def _in_group(cls, part: PartFile, metadata: pq.FileMetaData, group: int, before: int, position: int) -> Self:
        columns = [metadata.row_group(group).column(i) for i in range(metadata.num_columns)]
        starts = [
            min(column.data_page_offset, column.dictionary_page_offset or column.data_page_offset) for column in columns
        ]
        ends = [start + column.total_compressed_size for start, column in zip(starts, columns, strict=True)]
        first, stop = min(starts), max(ends)
        return cls(before + position, group, position, first, stop - 1, _sha256(part, first, stop))


def _sha256(part: PartFile, start: int, stop: int) -> str:
    total = hashlib.sha256()
    with part.open() as file:
        file.seek(start)
        while start < stop:
            content = file.read(min(BYTES_AT_ONCE, stop - start))
            if not content:
                raise AuditError(f"expected {stop} bytes or more, got {start}, in {part}")
            total.update(content)
            start += len(content)
    return total.hexdigest()
