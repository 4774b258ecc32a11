"""Row groups of a Parquet file in a store, fetched as few ranges of bytes before they are decoded."""

from collections.abc import Iterator, Sequence

import pyarrow as pa

from whyport.batch.source.footer import Footer
from whyport.runtime.store.client import Meta
from whyport.runtime.store.copy import END_BYTES, ObjectCopy, Range
from whyport.runtime.store.path import StorePath

FETCHED_BYTES = 64 << 20
"""Row groups are fetched together until they have so many bytes, which lie on this machine's disk meanwhile."""


def fetched(
    place: StorePath, meta: Meta, footer: Footer, groups: range, columns: Sequence[str]
) -> Iterator[tuple[range, pa.NativeFile]]:
    """Some row groups after the other, and the file with their columns.

    Args:
        place: the object.
        meta: what the store said of it when its footer was read.
        footer: its footer.
        groups: the row groups.
        columns: the names of columns that are read.

    Raises OSError, and ChangedError where the object has changed since.
    """
    asked = set(columns)
    # pyarrow reads so much of the end for any footer.
    end = min(*(window.offset for window in footer.windows), meta.size - END_BYTES)
    with ObjectCopy(place, meta) as copy:
        file = pa.PythonFile(copy, mode="r")
        sizes = list(_ranges(file, footer, groups, asked))
        first = groups.start
        while first < groups.stop:
            last, taken, ranges = first, 0, list[Range]()
            while last < groups.stop and (not ranges or taken < FETCHED_BYTES):
                own = sizes[last - groups.start]
                ranges += own
                taken += sum(stop - start for start, stop in own)
                last += 1
            if first == groups.start:
                copy.fetch(ranges)
            else:
                copy.turn_to(ranges, end)
            yield range(first, last), file
            first = last


def _ranges(file: pa.NativeFile, footer: Footer, groups: range, columns: set[str]) -> Iterator[list[Range]]:
    """The bytes of these columns in each of the row groups."""
    for window in footer.windows:
        among = window.among(groups)
        metadata = footer.metadata(file, window) if among else None
        for i in among:
            assert metadata is not None
            group = metadata.row_group(i)
            chunks = (group.column(j) for j in range(group.num_columns))
            yield [
                _range(chunk)
                for chunk in chunks
                if chunk.path_in_schema in columns or chunk.path_in_schema.split(".")[0] in columns
            ]


def _range(chunk: pa.parquet.ColumnChunkMetaData) -> Range:
    pages = (chunk.dictionary_page_offset, chunk.data_page_offset)
    start = min(offset for offset in pages if offset is not None)
    return start, start + chunk.total_compressed_size
