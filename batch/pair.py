"""The files of one part: the scored rows and, where there are any, the rejected ones beside."""

import json
from contextlib import ExitStack
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from batch.folder import OutputFolder
from batch.intake import CleanBatch
from batch.output import ScoredRows
from batch.plan import PartSpan, Plan
from batch.sink import PartWriter
from batch.source import SourceFile
from batch.taking import take
from batch.totals import Totals
from runtime.codec import encode

# The keys of a part's metadata.
DESCRIPTION_KEY = "whyport"
TOTALS_KEY = "whyport.totals"


class PartPair:
    """A part and its rejected part, under temporary names until `publish`; leaving the context before removes both.

    Args:
        plan: the columns.
        folder: where they go.
        source: the input.
        span: which of its rows.
        description: what makes the part.
    """

    def __init__(
        self, plan: Plan, folder: OutputFolder, source: SourceFile, span: PartSpan, description: dict[str, Any]
    ) -> None:
        self._plan = plan
        self._folder = folder
        self._source = source
        self._span = span
        self._metadata = {DESCRIPTION_KEY: json.dumps(description, ensure_ascii=False), **plan.output.metadata}
        self._schema = plan.part_schema(source)
        self._rejected_schema = plan.rejected_schema(source)
        self._stack = ExitStack()
        self._part = self._open(PartWriter(folder.disk, folder.path / span.name, self._schema, self._metadata))
        self._rejects: PartWriter | None = None

    @property
    def rows_out(self) -> int:
        """The scored rows that were written so far."""
        return self._part.rows

    def write(self, batch: CleanBatch, scored: ScoredRows) -> None:
        """Append a batch: its scored rows to the part, the others to the rejected part."""
        rows = batch.rows
        identity = self._identity(batch, rows.kept)
        columns = [*identity, *_copied(batch.copied, rows.kept), *self._plan.output.arrays(scored)]
        self._part.write(columns)
        if not rows.reasons:
            return
        if self._rejects is None:
            path = self._folder.rejected_file(self._span)
            self._rejects = self._open(PartWriter(self._folder.disk, path, self._rejected_schema, self._metadata))
        reasons = pa.array(rows.reasons, pa.string())
        columns = [*self._identity(batch, rows.rejected), reasons, *_copied(batch.copied, rows.rejected)]
        self._rejects.write(columns)

    def finish(self, totals: Totals) -> None:
        """Bring both files to the disk, with the totals in their footers."""
        for writer in self._writers():
            writer.finish({TOTALS_KEY: encode(totals)})

    def publish(self) -> None:
        """Make both visible, the rejected part first: where the part is, both are."""
        for writer in self._writers():
            writer.publish()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def _open(self, writer: PartWriter) -> PartWriter:
        return self._stack.enter_context(writer)

    def _writers(self) -> list[PartWriter]:
        return [writer for writer in (self._rejects, self._part) if writer is not None]

    def _identity(self, batch: CleanBatch, rows: NDArray[Any]) -> list[pa.Array]:
        names = pa.DictionaryArray.from_arrays(pa.array(np.zeros(len(rows), dtype=np.int64)), [self._source.name])
        return [names, pa.array(batch.first_row + rows)]


def _copied(columns: pa.RecordBatch, rows: NDArray[Any]) -> list[pa.Array]:
    """The columns at these rows, as if nothing but the batch had been read.

    A dictionary, or where a slice begins, may depend on the rows before; then a resumed run's bytes would differ.
    """
    return [_re_encoded(take(array, rows)) for array in columns.columns]


def _re_encoded(array: pa.Array) -> pa.Array:
    """A dictionary array with the dictionary that its values alone give, unless the order of that means something."""
    if not pa.types.is_dictionary(array.type) or array.type.ordered:
        return array
    encoded = array.dictionary_decode().dictionary_encode()
    return pa.DictionaryArray.from_arrays(pc.cast(encoded.indices, array.type.index_type), encoded.dictionary)
