"""The values of a row in words: as the input has them, with the unit that the bundle knows."""

import dataclasses
import datetime as dt
from decimal import Decimal

import pytest

from support.columns import category_column, number_column, time_column
from whyport.batch.review.row_values import shown_value, value_text, with_unit


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "missing"),
        ("", "missing"),
        (float("nan"), "missing"),
        ("Lyon", "Lyon"),
        (True, "true"),
        (3, "3"),
        (20240131.0, "20240131"),
        (0.123456, "0.1235"),
        (1e300, "1e+300"),
        (Decimal("1.50"), "1.5"),
        (dt.date(2024, 1, 31), "2024-01-31"),
        (dt.datetime(2024, 1, 31), "2024-01-31"),
        (dt.datetime(2024, 1, 31, 12), "2024-01-31T12:00:00"),
    ],
)
def test_a_value_is_shown_as_people_write_it(value: object, text: str) -> None:
    assert value_text(value) == text


def test_a_category_is_shown_whole() -> None:
    codes = category_column("code", ("1234.56", "20000001"), "number")
    values = {1234.56: "1234.56", Decimal("1234.56"): "1234.56", 20000001.0: "20000001", None: "missing", "x": "x"}
    assert [shown_value(value, codes) for value in values] == list(values.values())
    assert shown_value(float("nan"), codes) == "missing"
    assert shown_value(1234.56, number_column("size")) == "1235"


def test_a_unit_stands_behind_numbers_alone() -> None:
    weight = dataclasses.replace(number_column("weight"), unit="kg")
    assert with_unit("3", weight) == "3 kg"
    assert with_unit("missing", weight) == "missing"
    assert with_unit("2024-01-31", time_column("day")) == "2024-01-31"
    assert with_unit("red", category_column("colour", ("red",))) == "red"
    assert with_unit("3", None) == "3"
