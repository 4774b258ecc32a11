"""The parts of an output: the rows that each covers, and the contents of its footer."""

import json
from dataclasses import dataclass
from typing import Any, Self

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.output.older import newest_settings
from whyport.batch.output.part_file import PartFile
from whyport.batch.output.totals import Totals
from whyport.runtime.errors import BundleFormatError, JobError, message_line
from whyport.runtime.paths import open_file
from whyport.runtime.store.path import Place

# Keys of a part's metadata.
DESCRIPTION_KEY = "whyport"
TOTALS_KEY = "whyport.totals"
ARITHMETIC_KEY = "arithmetic"
"""The key in a description."""


@dataclass(frozen=True)
class PartSpan:
    """One part of the output: a range of rows of one input."""

    index: int
    """The input's index among all inputs."""
    start: int
    stop: int

    @property
    def name(self) -> str:
        """The part's file name; names sort in the order of the rows."""
        return f"part-{self.index:05d}-{self.start:012d}-{self.stop:012d}.parquet"

    @property
    def rows(self) -> int:
        """The number of the input's rows that the part covers."""
        return self.stop - self.start


def split(index: int, rows: int, part_rows: int) -> list[PartSpan]:
    """The parts of an input with `rows` rows; one empty part for an input without rows."""
    return [PartSpan(index, start, min(start + part_rows, rows)) for start in range(0, max(rows, 1), part_rows)]


@dataclass(frozen=True)
class PartFooter:
    """The footer of a part or of a rejected part."""

    rows: int
    description: dict[str, Any]
    """The description of what made the part, as `describe_part` gives it, without the arithmetic."""
    totals: Totals
    """The totals of the whole span of rows, the same in both files."""
    arithmetic: dict[str, str]
    """The arithmetic that made the part, as digests by name; empty where that was not recorded."""

    @classmethod
    def read(cls, path: Place | PartFile) -> Self:
        """Read a part's footer; raises JobError if the file is missing or was not written by a run."""
        try:
            with _opened(path) as file:
                metadata = pq.read_metadata(file)
            entries = metadata.metadata or {}
            description = json.loads(entries[DESCRIPTION_KEY.encode()])
            description["settings"] = newest_settings(description["settings"])
            totals = Totals.read(entries[TOTALS_KEY.encode()].decode())
            arithmetic = description.pop(ARITHMETIC_KEY, {})
            return cls(metadata.num_rows, description, totals, arithmetic)
        except (pa.ArrowException, OSError, KeyError, ValueError, BundleFormatError) as error:
            raise JobError(f"expected a part that a run has written, got {message_line(error)}, in {path}") from None


@dataclass(frozen=True)
class FileColumns:
    """The columns of a part, as its footer describes them to readers with and without Arrow."""

    arrow: pa.Schema
    parquet: pq.ParquetSchema

    @classmethod
    def read(cls, source: Any) -> Self:
        """Read the columns of an opened file."""
        with pq.ParquetFile(source) as file:
            return cls(file.schema_arrow.remove_metadata(), file.schema)


VALUES_CHECKED = 1 << 20
"""Values that are decoded at once to check pages, over all columns."""


def check_content(path: Place | PartFile, columns: FileColumns) -> None:
    """Compare a part's columns with these, and every page with its checksum; raises JobError where one is damaged."""
    try:
        with _opened(path) as opened:
            if FileColumns.read(opened) != columns:
                raise JobError(f"expected the columns of this job, got others, in {path}")
        # Without a buffer, pyarrow takes no more memory than there are bytes, whatever a damaged page says of its size.
        with (
            _opened(path) as opened,
            pq.ParquetFile(opened, pre_buffer=False, page_checksum_verification=True) as file,
        ):
            rows = max(VALUES_CHECKED // file.metadata.num_columns, 1)
            counted = sum(batch.num_rows for batch in file.iter_batches(rows))
            if counted != file.metadata.num_rows:
                raise JobError(f"expected {file.metadata.num_rows} rows in the pages, got {counted}, in {path}")
    except (pa.ArrowException, OSError) as error:
        raise JobError(f"expected the pages that were written, got {message_line(error)}, in {path}") from None


def read_schema(path: Place | PartFile) -> pa.Schema:
    """The columns of a part; raises JobError if it cannot be read."""
    try:
        with _opened(path) as file:
            return pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise JobError(f"expected a part that a run has written, got {message_line(error)}, in {path}") from None


def _opened(path: Place | PartFile) -> pa.NativeFile:
    return path.open() if isinstance(path, PartFile) else open_file(path)
