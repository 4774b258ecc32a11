"""Simplified graphs give the same numbers by fewer nodes, and walk no copies of their sequences."""

from collections import Counter

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.graphs.onnx import open_onnx
from whyport.exporter.graphs.simplify import simplify

STEPS, UNITS = 4, 3
ROWS = np.random.default_rng(0).normal(size=(2, STEPS * UNITS)).astype(np.float32)


def made(nodes: list[onnx.NodeProto], constants: dict[str, list[int]], shape: tuple[int | str, ...]) -> onnx.ModelProto:
    """A model from "x" [N, 12] to "y"."""
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        "graph",
        [value("x", TensorProto.FLOAT, ("N", STEPS * UNITS))],
        [value("y", TensorProto.FLOAT, shape)],
        [numpy_helper.from_array(np.array(numbers, np.int64), name) for name, numbers in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    return model


def simplified(model: onnx.ModelProto, expected: NDArray[np.float32]) -> Counter[str]:
    """The counts of a model's nodes once it is simplified; it must give what is expected before and after."""
    for _ in range(2):
        (got,) = open_onnx(model.SerializeToString()).run(None, {"x": ROWS})
        np.testing.assert_array_equal(got, expected)
        before, counts = Counter(node.op_type for node in model.graph.node), None
        simplify(model)
        onnx.checker.check_model(model, full_check=True)
        counts = Counter(node.op_type for node in model.graph.node)
    assert before == counts  # nothing is left to simplify
    return counts


def flip(given: str, name: str) -> onnx.NodeProto:
    return helper.make_node("Slice", [given, "minus one", "far", "zero", "minus one"], [name])


FLIPPING = {"minus one": [-1], "far": [-(2**63)], "zero": [0], "steps in front": [STEPS, -1], "size": [2 * UNITS]}


def scan(given: str, *outputs: str) -> list[onnx.NodeProto]:
    """The running sum of the steps of a tensor: the last sum, and all."""
    value = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Add", ["sum", "step"], ["next"]), helper.make_node("Identity", ["next"], ["given"])],
        "body",
        [value(name, TensorProto.FLOAT, [2 * UNITS]) for name in ("sum", "step")],
        [value(name, TensorProto.FLOAT, [2 * UNITS]) for name in ("next", "given")],
    )
    nothing = helper.make_node("ConstantOfShape", ["size"], ["nothing"])
    return [nothing, helper.make_node("Scan", ["nothing", given], list(outputs), body=body, num_scan_inputs=1)]


@pytest.mark.parametrize("back", [False, True], ids=["forth", "forth and back"])
def test_a_scan_walks_backwards_in_place_of_flips(back: bool) -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "steps in front"], ["sequence"]),
        flip("sequence", "flipped"),
        *scan("flipped", "last", "sums" if back else "y"),
        *([flip("sums", "y")] if back else []),
    ]
    sums = np.cumsum(ROWS.reshape(STEPS, -1)[::-1], axis=0, dtype=np.float32)
    model = made(nodes, FLIPPING, (STEPS, 2 * UNITS))
    assert simplified(model, sums[::-1] if back else sums)["Slice"] == 0


def test_sums_that_are_read_both_ways_stay_flipped() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "steps in front"], ["sequence"]),
        *scan("sequence", "last", "sums"),
        flip("sums", "flipped"),
        helper.make_node("Sub", ["sums", "flipped"], ["y"]),
    ]
    sums = np.cumsum(ROWS.reshape(STEPS, -1), axis=0, dtype=np.float32)
    model = made(nodes, FLIPPING, (STEPS, 2 * UNITS))
    assert simplified(model, sums - sums[::-1])["Slice"] == 1


def test_a_reshape_finds_the_number_of_rows_by_itself() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["count"], start=0, end=1),
        helper.make_node("Concat", ["count", "steps", "units"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    model = made(nodes, {"steps": [STEPS], "units": [UNITS]}, ("N", STEPS, UNITS))
    assert simplified(model, ROWS.reshape(2, STEPS, UNITS)) == {"Reshape": 1}


@pytest.mark.parametrize("rest", [STEPS * UNITS // 2, -1], ids=["another row", "the rest"])
def test_two_unknown_sizes_stay_computed(rest: int) -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["count"], start=0, end=1),
        helper.make_node("Concat", ["count", "count" if rest > 0 else "two", "rest"], ["shape"], axis=0),
        helper.make_node("Reshape", ["x", "shape"], ["y"]),
    ]
    model = made(nodes, {"two": [2], "rest": [rest]}, ("N", "M", STEPS * UNITS // 2))
    assert simplified(model, ROWS.reshape(2, 2, -1))["Concat"] == 1


def test_views_of_views_are_one() -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["x", "axis"], ["a"]),
        helper.make_node("Reshape", ["a", "rows"], ["b"]),
        helper.make_node("Unsqueeze", ["b", "axes"], ["y"]),
    ]
    model = made(nodes, {"axis": [1], "rows": [-1, UNITS], "axes": [0, 2]}, (1, "M", 1, UNITS))
    assert simplified(model, ROWS.reshape(1, -1, 1, UNITS)) == {"Reshape": 1}


def test_axes_that_are_put_in_twice_are_put_in_at_once() -> None:
    nodes = [
        helper.make_node("Unsqueeze", ["x", "inner"], ["a"]),
        helper.make_node("Unsqueeze", ["a", "outer"], ["y"]),
    ]
    model = made(nodes, {"inner": [0, 3], "outer": [1, 3]}, (1, 1, "N", 1, STEPS * UNITS, 1))
    assert simplified(model, ROWS[None, None, :, None, :, None]) == {"Unsqueeze": 1}


def test_a_size_that_is_copied_stays_copied() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "flat"], ["a"]),
        helper.make_node("Reshape", ["a", "copied"], ["y"]),
    ]
    model = made(nodes, {"flat": [STEPS, -1], "copied": [0, -1, 1]}, (STEPS, "K", 1))
    assert simplified(model, ROWS.reshape(STEPS, -1, 1)) == {"Reshape": 2}


def test_equal_constants_are_one() -> None:
    nodes = [
        helper.make_node("Reshape", ["x", "one"], ["a"]),
        helper.make_node("Reshape", ["x", "other"], ["b"]),
        helper.make_node("Add", ["a", "b"], ["y"]),
    ]
    model = made(nodes, {"one": [STEPS, -1], "other": [STEPS, -1]}, (STEPS, "K"))
    simplified(model, 2 * ROWS.reshape(STEPS, -1))
    assert len(model.graph.initializer) == 1
