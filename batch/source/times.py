"""INT96 times among an input's columns: what their values need, read once before a run."""

import dataclasses
from collections.abc import Sequence
from contextlib import ExitStack, closing

from whyport.batch.source.parquet import SourceFile
from whyport.runtime.errors import ColumnError
from whyport.runtime.inputs.int96 import UNITS, Int96Needs, int96_columns
from whyport.runtime.paths import open_file

ROWS = 1 << 16
"""Rows that are looked at together."""


def int96_needs(source: SourceFile, names: Sequence[str]) -> Int96Needs:
    """The needs of these columns' INT96 times, from all rows; raises DataError and ColumnError naming the file."""
    if not any("timestamp" in str(source.schema.field(name).type) for name in names):
        return Int96Needs()
    with open_file(source.place) as file:
        metadata = source.footer.metadata(file, source.footer.windows[0])
        columns = sorted(int96_columns(file, metadata) & set(names) - source.partition.keys())
    needs = Int96Needs(columns=frozenset(columns))
    if not columns:
        return needs
    with ExitStack() as stack:
        by_unit = [
            stack.enter_context(closing(dataclasses.replace(source, int96_unit=unit).batches(columns, ROWS)))
            for unit in UNITS
        ]
        for batches in zip(*by_unit, strict=True):
            try:
                needs |= Int96Needs.of(columns, [batch for _, batch in batches])
            except ColumnError as error:
                raise error.at(source.name) from None
    return needs
