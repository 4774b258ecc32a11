"""Columns that a run has kept of an input, read from its own output: for when the input is gone."""

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.batch.output.columns import SOURCE_ROW
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.source.decoding import BUFFER_BYTES, READ_OPTIONS
from whyport.runtime.errors import DataError, message_line
from whyport.runtime.paths import open_file
from whyport.runtime.store.path import Place


def kept_batches(
    run: FinishedRun, index: int, names: Sequence[str]
) -> Iterator[tuple[NDArray[np.int64], pa.RecordBatch]]:
    """All rows of an input, scored and rejected ones, in batches, each with the rows' numbers in the input.

    Args:
        run: the run.
        index: the input's index among all inputs.
        names: kept columns.

    Raises DataError if a part cannot be read.
    """
    for span in (span for span in run.parts if span.index == index):
        yield from _batches(run.path(span), names, run.settings.batch_rows)
        rejected = run.folder.rejected / span.name
        if rejected.exists():
            yield from _batches(rejected, names, run.settings.batch_rows)


def _batches(path: Place, names: Sequence[str], rows: int) -> Iterator[tuple[NDArray[np.int64], pa.RecordBatch]]:
    try:
        with open_file(path) as opened, pq.ParquetFile(opened, buffer_size=BUFFER_BYTES, **READ_OPTIONS) as file:
            for batch in file.iter_batches(rows, columns=[*names, SOURCE_ROW]):
                # Selected by name: pyarrow also reads "a.b" where "a" is asked for.
                yield batch.column(SOURCE_ROW).to_numpy(), batch.select(list(names))
    except (pa.ArrowException, OSError, KeyError) as error:
        raise DataError(f"cannot read: {message_line(error)}, in {path}") from None
