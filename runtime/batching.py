"""Rows in batches of a fixed size."""

from collections.abc import Iterator


def batch_slices(rows: int, batch_rows: int) -> Iterator[slice]:
    """Slices of at most `batch_rows` rows that cover `rows` rows in order; none where there are no rows."""
    for start in range(0, rows, batch_rows):
        yield slice(start, min(start + batch_rows, rows))
