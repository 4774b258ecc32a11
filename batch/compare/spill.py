"""Rows of a run parted by their keys: in memory where they are one part, otherwise in files."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc


class Spill:
    """Rows by part, written as they come and read a part at a time.

    Args:
        folder: the folder for the files, which is made.
        parts: the number of parts.
        schema: the columns; `part` has each row's part.
    """

    def __init__(self, folder: Path, parts: int, schema: pa.Schema) -> None:
        self._folder, self._schema = folder, schema
        self._held: list[pa.Table] = []
        self._writers: list[pa.RecordBatchStreamWriter | None] = [None] * parts
        folder.mkdir()

    def add(self, table: pa.Table) -> None:
        """Take some rows."""
        if len(self._writers) == 1:
            self._held.append(table)
            return
        order = np.argsort(table["part"].to_numpy(), kind="stable")
        ordered = table.take(pa.array(order))
        bounds = np.searchsorted(ordered["part"].to_numpy(), np.arange(len(self._writers) + 1))
        for part, (start, stop) in enumerate(pairwise(bounds)):
            if stop > start:
                self._writer(part).write_table(ordered.slice(start, stop - start))

    def read(self, part: int) -> pa.Table:
        """The rows of a part, in the order of their keys' first coming; the part is closed."""
        if len(self._writers) == 1:
            return pa.concat_tables([self._schema.empty_table(), *self._held]).combine_chunks()
        writer = self._writers[part]
        if writer is None:
            return self._schema.empty_table()
        writer.close()
        path = self._path(part)
        with pa.OSFile(str(path)) as file:
            table = pa.ipc.open_stream(file).read_all()
        path.unlink()
        return table.combine_chunks()

    def _writer(self, part: int) -> pa.RecordBatchStreamWriter:
        writer = self._writers[part]
        if writer is None:
            writer = pa.ipc.new_stream(pa.OSFile(str(self._path(part)), "wb"), self._schema)
            self._writers[part] = writer
        return writer

    def _path(self, part: int) -> Path:
        return self._folder / f"{part}.arrow"


def held_rows(table: pa.Table) -> pa.Table:
    """The rows that have a key."""
    return table.filter(pc.is_valid(table["key"])) if table["key"].null_count else table
