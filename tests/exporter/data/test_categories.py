"""Categories with their counts, as the training rows have them."""

from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.categories import describe_categories
from whyport.runtime.bundle.columns import Categories
from whyport.runtime.errors import TrainingError
from whyport.runtime.limits import RowLimit


def described(values: Any, rare: int | str = 0) -> Categories:
    column = describe_categories("a", pd.Series(values), RowLimit.parse("rare", rare))
    assert (column.name, column.kind, column.missing, column.imputation) == ("a", "category", "model", None)
    assert column.categories is not None
    assert column.missing_fraction == column.categories.missing / len(values)
    return column.categories


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["b", "a", "b", None, ""], Categories("text", ("a", "b"), (1, 2), 0, 2)),
        (pd.Categorical(["b", "a", "b", None]), Categories("text", ("a", "b"), (1, 2), 0, 1)),
        ([10, 9, 10], Categories("number", ("9", "10"), (1, 2), 0, 0)),
        ([10.0, 0.5, np.nan], Categories("number", ("0.5", "10"), (1, 1), 0, 1)),
        ([Decimal(2), Decimal("0.50")], Categories("number", ("0.5", "2"), (1, 1), 0, 0)),
        (pd.array([3, None, 3], dtype="Int64"), Categories("number", ("3",), (2,), 0, 1)),
        ([True, None, False, True], Categories("boolean", ("false", "true"), (1, 2), 0, 1)),
        (np.array([True, True]), Categories("boolean", ("true",), (2,), 0, 0)),
        (["10", "9"], Categories("text", ("10", "9"), (1, 1), 0, 0)),
    ],
)
def test_categories_are_counted_in_order(values: Any, expected: Categories) -> None:
    assert described(values) == expected


@pytest.mark.parametrize("rare", [3, "30%"])
def test_rare_categories_are_pooled(rare: int | str) -> None:
    values = ["a"] * 4 + ["b"] * 3 + ["c"] * 2 + [None]
    assert described(values, rare) == Categories("text", ("a", "b"), (4, 3), 2, 1)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([None, ""], "column 'a': expected values, got only missing ones"),
        ([16777216, 16777217], "categories that float32 tells apart, got 16777216 and 16777217, which are one number"),
        ([2**60, 2**60 + 1], "got 1152921504606846976 and 1152921504606846977, which are one number"),
        ([1, 2**53], "column 'a': expected whole numbers below 2\\^53, got 9007199254740992; write them as text"),
        ([1e39, 1], "categories that float32 tells apart, got 9999999999999999397"),
        (["a\0"], "column 'a', category 'a.x00': expected text without NUL"),
        ([1, "a"], "expected categories of text, numbers or booleans, got int, str"),
    ],
)
def test_what_cannot_be_categories(values: Any, message: str) -> None:
    with pytest.raises(TrainingError, match=message):
        described(values)
