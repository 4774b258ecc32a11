"""Columns of lists of numbers as a sample has them, and as a bundle describes them."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from whyport.runtime.bundle.columns import LIST, REFUSE, Channel, Column


def list_column(name: str, labels: Sequence[str], known: Sequence[Column], missing_fraction: float) -> Column:
    """The description of a column of lists.

    Args:
        name: the column.
        labels: the features of a step; empty where a step is one number.
        known: the statistics of each feature, or of the one number.
        missing_fraction: the share of rows whose list cannot be scored.
    """
    return Column(
        name=name,
        kind=LIST,
        unit=None,
        missing=REFUSE,
        imputation=None,
        missing_fraction=missing_fraction,
        numbers=None if labels else known[0].numbers,
        categories=None,
        channels=tuple(Channel(label, each.statistics) for label, each in zip(labels, known, strict=bool(labels))),
    )


def arrow_or_self(column: pd.Series) -> Any:
    """The column as Arrow holds it, where it does: reading lists there is many times as fast."""
    import pyarrow as pa

    return pa.chunked_array(column) if isinstance(column.dtype, pd.ArrowDtype) else column
