"""The kinds of a table's columns: numbers, categories or times; and the columns that are no features unless named."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from whyport.exporter.data.categories import KEPT
from whyport.runtime.bundle.columns import CATEGORY, NUMBER, TIME
from whyport.runtime.errors import ColumnError, UsageError
from whyport.runtime.inputs.columns import ColumnFaults, pasted
from whyport.runtime.inputs.times import parse_day
from whyport.runtime.limits import RowLimit

IDENTIFIER_ROWS = 20
"""Rows from which whole numbers that are all different are taken for identifiers."""

FEW_CATEGORIES, MANY_CATEGORIES = 20, 1000
"""Texts with more different values than `FEW_CATEGORIES`, most of them different, are no categories; nor are more than
`MANY_CATEGORIES` of them."""

IDENTIFIERS = "whole numbers that are all different, as identifiers are"
DATES = "dates"
FREE_TEXT = "texts that are mostly different"
OTHERS = "columns of another type than numbers, text, booleans and dates"

INTEGER, TEXT = "integer", "string"
NUMBERS = (INTEGER, "floating", "mixed-integer-float", "decimal")
CATEGORIES = (TEXT, "boolean", "categorical")
TIMES = ("date", "datetime", "datetime64")
"""What pandas calls the types of values."""


@dataclass(frozen=True)
class KindChoice:
    """The columns that are not what their type says, or that are asked for although they look like no feature."""

    categorical: tuple[str, ...] = ()
    """Columns of categories, whatever their type: numbers that are codes."""
    dates: tuple[str, ...] = ()
    """Columns of dates and times, which become numbers: days since 1970-01-01."""
    rare: RowLimit = KEPT
    """Categories of fewer training rows than this are pooled."""

    def check(self, names: Collection[str]) -> None:
        """Raise UsageError where a column is both, or is no feature."""
        both = [name for name in self.categorical if name in self.dates]
        if both:
            raise UsageError(f"--categorical and --dates: expected different columns, got {pasted(both)} in both")
        for option, chosen in (("--categorical", self.categorical), ("--dates", self.dates)):
            if strange := [name for name in chosen if name not in names]:
                raise ColumnError(
                    f"{option}: expected feature columns, got {pasted(strange)}; the features are {pasted(names)}"
                )


def find_kinds(
    frame: pd.DataFrame, names: Sequence[str], choice: KindChoice, named: Collection[str] = ()
) -> dict[str, str]:
    """The kind of each feature column: number, category or time.

    Args:
        frame: the training table.
        names: the feature columns.
        choice: what was asked for.
        named: the columns that are features by name, each as what its type says.

    Raises:
        ColumnError: columns that look like no feature and are not named, or that cannot be one; what to write instead.
        UsageError: a column is asked for as two kinds.
    """
    choice.check(names)
    types = {name: pd.api.types.infer_dtype(frame[name], skipna=True) for name in names}
    faults = ColumnFaults(list(map(str, frame.columns)))
    asked = {*choice.categorical, *choice.dates, *named}

    def looks_like(rule: str, name: str) -> str | None:
        return "" if _suspect(frame[name], types[name], name in asked) == rule else None

    for rule in (OTHERS, IDENTIFIERS, DATES, FREE_TEXT):
        faults.check_types(names, lambda name, rule=rule: looks_like(rule, name), rule)  # type: ignore[misc]
    if faults.found:
        suspects = [name for name in names if _suspect(frame[name], types[name], name in asked)]
        raise ColumnError(
            f"columns that are no features unless they are named: {'; '.join(faults.found)}; leave them out with "
            f"--exclude {_quoted(suspects)}, or name dates with --dates, categories with --categorical, and numbers "
            f"with --features{_advice_on_lists(frame, suspects)}"
        )
    kinds = {name: _kind(types[name]) for name in names}
    return kinds | dict.fromkeys(choice.categorical, CATEGORY) | dict.fromkeys(choice.dates, TIME)


def _kind(kind: str) -> str:
    return CATEGORY if kind in CATEGORIES else TIME if kind in TIMES else NUMBER


def _advice_on_lists(frame: pd.DataFrame, names: Sequence[str]) -> str:
    """What else to do about columns of lists; empty where there is none."""
    values = {name: frame[name].dropna() for name in names}
    lists = [name for name, own in values.items() if len(own) and isinstance(own.iloc[0], list | np.ndarray)]
    return f"; lists of numbers are sequences: --input NAME=sequence:{lists[0]}" if lists else ""


def _quoted(names: Sequence[str]) -> str:
    text = pasted(names)
    return text if text.isidentifier() else repr(text)


def _suspect(column: pd.Series, kind: str, is_named: bool) -> str | None:
    """Why a column is no feature; None for a feature."""
    if kind not in (*NUMBERS, *CATEGORIES, *TIMES, "empty"):
        return OTHERS
    if is_named:
        return None
    if kind in TIMES:
        return DATES
    rows = len(column)
    if kind == INTEGER:
        return IDENTIFIERS if rows >= IDENTIFIER_ROWS and column.is_unique else None
    if kind not in CATEGORIES:
        return None
    values = column.dropna()
    different = values.unique()
    if kind == TEXT and len(values) and all(_is_date(str(value)) for value in different):
        return DATES
    is_free = len(different) > FEW_CATEGORIES and 2 * len(different) > len(values)
    return FREE_TEXT if is_free or len(different) > MANY_CATEGORIES else None


def _is_date(text: str) -> bool:
    return "-" in text and parse_day(text) is not None
