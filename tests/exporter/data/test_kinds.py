"""The kinds of columns: what is a feature as it is, and what is one only by name."""

import datetime as dt
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import pytest

from whyport.exporter.data.kinds import KindChoice, find_kinds
from whyport.exporter.data.table import read_frame
from whyport.runtime.errors import ColumnError, UsageError

ROWS = 100
DAYS = [dt.date(2024, 1, 1) + dt.timedelta(days=i % 50) for i in range(ROWS)]
PLAIN: dict[str, Any] = {
    "amount": np.linspace(0, 1, ROWS),
    "count": np.arange(ROWS) // 2,
    "gaps": [None, *range(1, ROWS)],
    "price": [Decimal(i) / 10 for i in range(ROWS)],
    "region": ["north", "south"] * 50,
    "member": [True, False] * 50,
    "maybe": [True, None] * 50,
    "grade": pd.Categorical(["a", "b"] * 50),
    "towns": [f"town {i % 50}" for i in range(ROWS)],
}
ODD: dict[str, Any] = {
    "id": np.arange(ROWS) + 5,
    "account": np.random.default_rng(0).permutation(10**8)[:ROWS],
    "day": DAYS,
    "moment": pd.to_datetime(DAYS),
    "written": [str(day) for day in DAYS],
    "note": [f"note {i}" for i in range(ROWS)],
}


def kinds(columns: dict[str, Any], choice: KindChoice | None = None, named: tuple[str, ...] = ()) -> dict[str, str]:
    return find_kinds(pd.DataFrame(columns), list(columns), choice or KindChoice(), named)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_a_files_columns_are_what_their_values_are(tmp_path, suffix):
    frame, path = pd.DataFrame(PLAIN), tmp_path / f"table.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    expected = dict.fromkeys(PLAIN, "number") | dict.fromkeys(
        ("region", "member", "maybe", "grade", "towns"), "category"
    )
    assert find_kinds(read_frame(path), list(PLAIN), KindChoice()) == expected == kinds(PLAIN)


@pytest.mark.parametrize("suffix", ["csv", "parquet"])
def test_identifiers_dates_and_free_text_are_refused_together(tmp_path, suffix):
    frame, path = pd.DataFrame(PLAIN | ODD), tmp_path / f"table.{suffix}"
    frame.to_csv(path, index=False) if suffix == "csv" else frame.to_parquet(path)
    with pytest.raises(ColumnError) as caught:
        find_kinds(read_frame(path), list(frame), KindChoice())
    assert str(caught.value) == (
        "columns that are no features unless they are named: whole numbers that are all different, as identifiers are: "
        "id, account (2 of 15); dates: day, moment, written (3 of 15); texts that are mostly different: note "
        "(1 of 15); leave them out with --exclude 'id, account, day, moment, written, note', or name dates with "
        "--dates, categories with --categorical, and numbers with --features"
    )


def test_whatever_is_named_is_a_feature():
    choice = KindChoice(categorical=("account", "count"), dates=("day", "written"))
    got = kinds(PLAIN | ODD, choice, named=tuple(ODD))
    assert {name: got[name] for name in (*ODD, "count", "region")} == {
        "id": "number", "account": "category", "day": "time", "moment": "time", "written": "time", "note": "category",
        "count": "category", "region": "category",
    }  # fmt: skip


def test_few_rows_have_no_identifiers_and_few_texts_are_categories():
    assert kinds({"a": list(range(19)), "b": list("abcdefghijklmnopqrs")}) == {"a": "number", "b": "category"}


def test_more_categories_than_any_network_needs_are_free_text():
    texts = [str(i) + "x" for i in range(1001)] * 3
    with pytest.raises(ColumnError, match=r"texts that are mostly different: a \(1 of 1\)"):
        kinds({"a": texts})
    assert kinds({"a": texts[:1000] * 3}) == {"a": "category"}


@pytest.mark.parametrize("values", [[[1], [2]], [b"x", b"y"], [dt.timedelta(1)] * 2, [1, "x"], [{"a": 1}] * 2])
@pytest.mark.parametrize("named", [(), ("a",)])
def test_other_types_are_no_features_even_by_name(values, named):
    with pytest.raises(ColumnError, match=r"another type than numbers, text, booleans and dates: a \(1 of 1\)"):
        kinds({"a": values}, named=named)


def test_names_that_are_no_features():
    with pytest.raises(ColumnError, match="--dates: expected feature columns, got z; the features are a"):
        kinds({"a": [1, 2]}, KindChoice(dates=("z",)))
    with pytest.raises(UsageError, match="expected different columns, got a in both"):
        kinds({"a": [1, 2]}, KindChoice(categorical=("a",), dates=("a",)))
