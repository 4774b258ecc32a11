"""Categories of a column, with how many training rows have each; rare ones pooled."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np

from whyport.exporter.data.statistics import LEAVE_OUT
from whyport.runtime.bundle.columns import CATEGORY, MODEL, Categories, Column
from whyport.runtime.bundle.constraints import NAME
from whyport.runtime.bundle.constraints import TEXT as ALLOWED
from whyport.runtime.errors import TrainingError
from whyport.runtime.inputs.categories import BOOLEAN, NUMBER, TEXT, category_number, category_text
from whyport.runtime.inputs.sources import is_missing, is_number, values_of
from whyport.runtime.limits import RowLimit

EXACT = 2.0**53
"""The whole number from which float64 no longer tells neighbours apart."""

KEPT = RowLimit(count=0)
"""No category is rare."""


def describe_categories(name: str, column: Any, rare: RowLimit = KEPT, known: Sequence[Any] = ()) -> Column:
    """A column of categories, in alphabetical order, or in that of the numbers.

    Args:
        name: its name.
        column: the training rows' values [N], as `source_columns` gives them.
        rare: categories of fewer rows than this are pooled: they become one with those that training has not seen.
        known: further values that are categories, whether or not a row has them.

    Raises:
        TrainingError: there is no value, the values are of several types, or of none that a category can be.
    """
    if not NAME.holds(name):
        raise TrainingError(f"column {name!r}: expected {NAME.expected}")
    counts = Counter(value for value in values_of(column).tolist() if not is_missing(value) and value != "")
    rows = len(column)
    counts.update({value: 0 for value in known if not is_missing(value) and value != ""})
    if not counts:
        raise TrainingError(f"column {name!r}: expected values, got only missing ones; {LEAVE_OUT}")
    kind = _type(name, counts)
    texts = Counter[str]()
    for value, count in counts.items():
        texts[category_text(value)] += count
    values = sorted(texts, key=lambda text: (category_number(text), text) if kind != TEXT else (0.0, text))
    _check(name, kind, values)
    kept = [text for text in values if not rare.is_above(texts[text], rows)]
    missing = rows - sum(texts.values())
    categories = Categories(
        type=kind,
        values=tuple(kept),
        counts=tuple(texts[text] for text in kept),
        other=sum(texts[text] for text in values if text not in set(kept)),
        missing=missing,
    )
    return Column(name, CATEGORY, None, MODEL, None, missing / rows, None, categories, ())


def _type(name: str, counts: Counter[Any]) -> str:
    kinds = {_type_of(value) for value in counts}
    if len(kinds) > 1 or kinds == {None}:
        types = ", ".join(sorted({type(value).__name__ for value in counts}))
        raise TrainingError(f"column {name!r}: expected categories of text, numbers or booleans, got {types}")
    (kind,) = kinds
    assert kind is not None
    return kind


def _type_of(value: Any) -> str | None:
    if isinstance(value, bool | np.bool_):
        return BOOLEAN
    if isinstance(value, str):
        return TEXT
    return NUMBER if is_number(value) or type(value).__name__ == "Decimal" else None


def _check(name: str, kind: str, values: list[str]) -> None:
    """Refuse categories that a bundle cannot hold, or that the graphs, in float32, could not tell apart."""
    for value in values:
        if not ALLOWED.holds(value):
            raise TrainingError(f"column {name!r}, category {value!r}: expected {ALLOWED.expected}")
    if kind != NUMBER:
        return
    known: dict[np.float32, str] = {}
    with np.errstate(over="ignore"):
        for value in values:
            number = np.float32(category_number(value))
            if number in known or not np.isfinite(number):
                got = f"{known[number]} and {value}, which are one number there" if number in known else value
                raise TrainingError(f"column {name!r}: expected categories that float32 tells apart, got {got}")
            known[number] = value
    for value in values:
        if abs(category_number(value)) >= EXACT and category_number(value).is_integer():
            raise TrainingError(f"column {name!r}: expected whole numbers below 2^53, got {value}; write them as text")
