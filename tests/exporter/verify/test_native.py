"""A graph against the model that it was made from, on rows that lie on thresholds."""

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.data.categories import describe_categories
from whyport.exporter.data.samples import Samples
from whyport.exporter.data.statistics import describe_numbers
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.verify.native import TOLERANCE, adversarial_rows, verify_native
from whyport.runtime.bundle.columns import MODEL, REFUSE
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Provenance
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ParityError

SAMPLE = np.random.default_rng(0).normal(size=(50, 2))
THRESHOLD = float(np.sort(SAMPLE[:, 0])[10:12].mean())
"""The midpoint of two values, as trees choose it; float32 rounds it."""


def make_draft(missing: str = REFUSE) -> Draft:
    columns = tuple(
        describe_numbers(name, values, missing=missing) for name, values in zip("ab", SAMPLE.T, strict=True)
    )
    rows = SAMPLE.astype(np.float32)
    return Draft(
        name="stump",
        targets=("value",),
        features=columns,
        standardise=False,
        provenance=Provenance("test", {}, 0, "", {}, {}),
        references=References(rows[:1], np.ones(1)),
        samples=Samples(rows, 0, missing=False),
        task_name="regression",
        precise=SAMPLE,
    )


def stump(threshold: np.float32) -> Compiled:
    """1 where the first column is at most the threshold, else 0; 0 where it is missing."""
    nodes = [
        helper.make_node("Slice", ["features", "zero", "one", "one"], ["first"]),
        helper.make_node("LessOrEqual", ["first", "threshold"], ["is_left"]),
        helper.make_node("Cast", ["is_left"], ["value"], to=TensorProto.FLOAT),
    ]
    constants = {"zero": np.array([0]), "one": np.array([1]), "threshold": threshold.reshape(1, 1)}
    graph = helper.make_graph(
        nodes,
        "stump",
        [helper.make_tensor_value_info("features", TensorProto.FLOAT, ["N", 2])],
        [helper.make_tensor_value_info("value", TensorProto.FLOAT, ["N", 1])],
        [numpy_helper.from_array(value, name) for name, value in constants.items()],
    )
    graph.node[0].input[:] = ["features", "zero", "one", "one"]
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)
    onnx.checker.check_model(model)
    return Compiled((TensorSpec("value", "float32", ("N", 1)),), {}, OnnxFile(model))


def native(rows: NDArray[np.floating[Any]], *, missing: float = 0.0) -> Mapping[str, NDArray[Any]]:
    """The stump in float64, with what it gives for a missing value."""
    first = rows[:, :1].astype(np.float64)
    return {"value": np.where(np.isnan(first), missing, (first <= THRESHOLD).astype(np.float64))}


def floor32(number: float) -> np.float32:
    rounded = np.float32(number)
    return np.nextafter(rounded, np.float32(-np.inf)) if float(rounded) > number else rounded


def test_a_threshold_that_is_rounded_down_agrees_on_every_row() -> None:
    found = verify_native(make_draft(MODEL), stump(floor32(THRESHOLD)), native, 20_000, "")
    assert found.parity["native"] == 0
    assert not found.refused
    # The midpoint itself is left of the threshold in float64, and maybe right of it in float32.
    moved = float(np.float32(THRESHOLD)) > THRESHOLD
    assert (found.parity["float32_rows"] > 0) == moved


@pytest.mark.parametrize("side", [-1, 1])
def test_a_threshold_that_is_one_float32_off_is_found(side: int) -> None:
    wrong = np.nextafter(floor32(THRESHOLD), np.float32(side * np.inf))
    with pytest.raises(ParityError) as caught:
        verify_native(make_draft(), stump(wrong), native, 20_000, "fit it on float32")
    assert f"by more than {TOLERANCE:g} in " in str(caught.value)
    assert f"a={wrong if side > 0 else floor32(THRESHOLD):.9g}, b=" in str(caught.value)
    assert str(caught.value).endswith("; fit it on float32")


def test_missing_values_are_refused_where_the_two_differ() -> None:
    """Only of the column that decides."""
    compiled = stump(floor32(THRESHOLD))
    found = verify_native(make_draft(MODEL), compiled, lambda rows: native(rows, missing=1.0), 5_000, "")
    assert found.refused == {"a"}
    assert found.parity["native"] == 0


def test_rows_that_the_framework_refuses_are_not_compared() -> None:
    compiled = stump(floor32(THRESHOLD))
    found = verify_native(make_draft(MODEL), compiled, lambda rows: native(rows, missing=np.nan), 5_000, "")
    assert (found.parity["native"], found.refused) == (0, frozenset())
    with pytest.raises(ParityError, match="gives no number for any row"):
        verify_native(make_draft(MODEL), compiled, lambda rows: {"value": np.full((len(rows), 1), np.nan)}, 100, "")


def test_the_rows_have_values_midpoints_neighbours_gaps_and_every_code() -> None:
    category = describe_categories("c", np.array(["x", "y", "z"], dtype=object))
    number = describe_numbers("n", SAMPLE[:, 0], missing=MODEL)
    refusing = dataclasses.replace(number, name="m", missing=REFUSE)
    sample = np.column_stack([SAMPLE[:, 0], SAMPLE[:, 0], np.arange(50) % 3])
    rows = adversarial_rows(sample, (number, refusing, category), 20_000, 0)
    assert 0.13 < np.isnan(rows[:, 0]).mean() < 0.17
    assert not np.isnan(rows[:, 1:]).any()
    assert set(rows[:, 2]) == set(range(category.categories.codes if category.categories else 0))
    known = np.sort(SAMPLE[:, 0])
    assert set(known) | set((known[1:] + known[:-1]) / 2) <= set(rows[:, 1])
    others = np.setdiff1d(rows[:, 1], np.concatenate([known, (known[1:] + known[:-1]) / 2]))
    assert len(others)
    np.testing.assert_array_equal(others, others.astype(np.float32))
