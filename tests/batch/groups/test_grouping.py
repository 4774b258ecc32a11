"""Groups of columns of every type."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from whyport.batch.groups.grouping import MISSING, GroupCodes, Grouping
from whyport.runtime.errors import UsageError


def groups_of(column: pa.Array, *edges: str) -> list[str]:
    """The group of each row, and all groups in order."""
    codes = GroupCodes(Grouping("c", edges))
    return [codes.names[code] for code in codes.codes(column)]


@pytest.mark.parametrize(
    ("column", "expected"),
    [
        (pa.array(["b", "a", None, ""]), ["b", "a", MISSING, MISSING]),
        (pa.array(["b", "a", None], pa.string_view()), ["b", "a", MISSING]),
        (pa.array(["b", "a", None]).dictionary_encode(), ["b", "a", MISSING]),
        (pa.array([True, False, None]), ["true", "false", MISSING]),
        (pa.array([3, 10, None]), ["3", "10", MISSING]),
        (pa.array([3.0, 0.5, np.nan, None]), ["3", "0.5", MISSING, MISSING]),
        (pa.array([0.1, 2.0], pa.float32()), ["0.1", "2"]),
        (pa.array([Decimal("1.50"), None]), ["1.5", MISSING]),
        (pa.array([dt.date(2026, 1, 31), None]), ["2026-01-31", MISSING]),
        (pa.nulls(2), [MISSING, MISSING]),
    ],
    ids=str,
)
def test_categories_of_every_type(column: pa.Array, expected: list[str]) -> None:
    assert groups_of(column) == expected


@pytest.mark.parametrize(
    ("column", "edges", "expected"),
    [
        (pa.array([17, 18, 29, 60, None]), ("18", "30"), ["< 18", "18 to < 30", "18 to < 30", ">= 30", MISSING]),
        (pa.array([-0.5, np.nan]), ("0",), ["< 0", MISSING]),
        (
            pa.array([dt.date(2025, 12, 31), dt.date(2026, 1, 1), None]),
            ("2026-01-01",),
            ["< 2026-01-01", ">= 2026-01-01", MISSING],
        ),
        (pa.array([dt.datetime(2026, 1, 1, tzinfo=dt.UTC)]), ("2026-01-01",), [">= 2026-01-01"]),
    ],
    ids=str,
)
def test_intervals_begin_at_the_edges(column: pa.Array, edges: tuple[str, ...], expected: list[str]) -> None:
    assert groups_of(column, *edges) == expected


def test_codes_stay_over_batches_and_groups_come_in_order() -> None:
    codes = GroupCodes(Grouping("c"))
    first, second = codes.codes(pa.array([10, None, 9])), codes.codes(pa.array([9, 2]))
    assert [codes.names[code] for code in (*first, *second)] == ["10", MISSING, "9", "9", "2"]
    assert [codes.names[code] for code in codes.in_order] == ["2", "9", "10", MISSING]


def test_a_column_is_found_by_its_whole_name_first() -> None:
    known = ["age", "age:group", "a b.c"]
    assert Grouping.parse("age:group", known) == Grouping("age:group")
    assert Grouping.parse("age:group:1", known) == Grouping("age:group", ("1",))
    assert Grouping.parse("age:18, 30", known) == Grouping("age", ("18", "30"))
    assert Grouping.parse("a b.c", known) == Grouping("a b.c")


@pytest.mark.parametrize(
    ("text", "message"),
    [("agee", r"by: unknown column 'agee' \(did you mean 'age'\?\)"), ("age:1,,2", "by: expected 1 to 100 edges")],
)
def test_what_is_no_grouping(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Grouping.parse(text, ["age"])


@pytest.mark.parametrize(
    ("column", "edges", "message"),
    [
        (pa.array([[1], [2]]), (), "expected categories, booleans, numbers or dates, got list"),
        (pa.array(["a"]), ("1",), "edges are for numbers and dates"),
        (pa.array([1]), ("b",), "expected numbers as edges, got b"),
        (pa.array([dt.date(2026, 1, 1)]), ("b",), "expected dates as edges, got b"),
        (pa.array([1]), ("2", "1"), "expected edges that ascend, got 2, 1"),
        (pa.array(map(str, range(101))), (), "expected at most 100 groups, got more: take a column of categories"),
        (pa.array(np.arange(401.0)), (), "give edges, such as c:100,200,300, the quartiles of 401 of its rows"),
    ],
    ids=str,
)
def test_what_holds_no_groups_is_refused_with_advice(column: pa.Array, edges: Any, message: str) -> None:
    with pytest.raises(UsageError, match=f"by: column 'c': .*{message}"):
        groups_of(column, *edges)
