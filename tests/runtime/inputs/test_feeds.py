"""Rows of codes in a graph's own terms: encoding what a graph is given leads back to the same codes."""

import numpy as np
import pytest
from numpy.typing import NDArray

from support.columns import category_column, number_column, time_column
from whyport.runtime.bundle.columns import Categories, Column
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.inputs.feeds import code_values, graph_feeds
from whyport.runtime.inputs.table import Columns

COLUMNS: list[Column] = [
    number_column("age"),
    category_column("region", ("other", "north", "other_")),
    time_column("since"),
    category_column("grade", ("1", "2.5", str(2**24)), "number"),
    category_column("member", ("false", "true"), "boolean"),
]


def spec(name: str, column: Column) -> TensorSpec:
    is_text = column.categories is not None and column.categories.type == "text"
    return TensorSpec(name, "string" if is_text else "float32", ("N", 1))


TENSORS = [spec(f"in.{column.name}", column) for column in COLUMNS]


def every_code(rows: int = 5) -> NDArray[np.float32]:
    """Rows in which every code of every column occurs."""
    codes = [np.arange(rows) % (column.categories.codes if column.categories else rows) for column in COLUMNS]
    return np.stack(codes, axis=1).astype(np.float32)


def test_numbers_alone_are_one_tensor() -> None:
    rows = np.zeros((2, 2), dtype=np.float32)
    columns = [number_column("a"), time_column("b")]
    assert graph_feeds(columns, [TensorSpec("features", "float32", ("N", 2))], rows)["features"] is rows


def test_a_tensor_a_column_with_the_columns_own_values() -> None:
    feeds = graph_feeds(COLUMNS, TENSORS, every_code())
    assert list(feeds) == ["in.age", "in.region", "in.since", "in.grade", "in.member"]
    assert {values.shape for values in feeds.values()} == {(5, 1)}
    assert [feeds[tensor.name].dtype == object for tensor in TENSORS] == [False, True, False, False, False]
    assert {feeds[tensor.name].dtype for tensor in TENSORS} == {np.dtype(object), np.dtype(np.float32)}
    assert feeds["in.region"][:3, 0].tolist() == ["other", "north", "other_"]
    assert feeds["in.region"][4, 0] == ""
    assert feeds["in.grade"][:3, 0].tolist() == [1, 2.5, 2**24]
    assert feeds["in.member"][:2, 0].tolist() == [0, 1]
    assert np.isnan(feeds["in.member"][3, 0])


def test_what_a_graph_is_given_has_the_same_codes() -> None:
    feeds = graph_feeds(COLUMNS, TENSORS, every_code())
    columns = {column.name: feeds[tensor.name][:, 0] for column, tensor in zip(COLUMNS, TENSORS, strict=True)}
    columns["since"] = columns["since"].astype(int).astype("M8[D]")
    np.testing.assert_array_equal(Columns.of(COLUMNS).encode(columns).matrix, every_code())


@pytest.mark.parametrize("values", [("1", "7"), (str(2**24), "0.5"), ("-3",), ()])
def test_what_stands_for_other_numbers_is_none_of_them(values: tuple[str, ...]) -> None:
    known, other, missing = np.split(code_values(Categories("number", values, (1,) * len(values), 0, 0)), [-2, -1])
    assert np.isfinite(other[0])
    assert other[0] not in known
    assert np.isnan(missing[0])
