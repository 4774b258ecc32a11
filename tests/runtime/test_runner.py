"""A graph that gives another shape or type than the bundle says is an error, and never broadcast or converted."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import NodeProto, TensorProto, helper, numpy_helper

from support.bundles import WEIGHTS, edit_sidecar, linear_bundle, linear_sidecar, refresh_digests
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.graphs import TARGET_INDEX, reasons_outputs
from whyport.runtime.bundle.sidecar import Graph
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleError
from whyport.runtime.runner import Runner
from whyport.runtime.session import Session

LOGITS = TensorSpec("logits", "float32", ("N", 2))
FLOAT, DOUBLE = TensorProto.FLOAT, TensorProto.DOUBLE
MATRIX = helper.make_node("MatMul", ["features", "weights"], ["products"])

GRAPHS: dict[str, tuple[list[NodeProto], int, str]] = {
    "a constant row": ([helper.make_node("Identity", ["row"], ["logits"])], FLOAT, r"\[1, 2\]"),
    "the first row": ([MATRIX, helper.make_node("Slice", ["products", "0", "1", "0"], ["logits"])], FLOAT, r"\[1, 2\]"),
    "the mean row": ([MATRIX, helper.make_node("ReduceMean", ["products", "0"], ["logits"])], FLOAT, r"\[1, 2\]"),
    "every row twice": ([MATRIX, helper.make_node("Concat", ["products"] * 2, ["logits"], axis=0)], FLOAT, r"\[6, 2\]"),
    "one number": (
        [MATRIX, helper.make_node("ReduceMax", ["products"], ["logits"], keepdims=0)],
        FLOAT,
        r"\[\]",
    ),
    "one number a row": (
        [MATRIX, helper.make_node("ReduceMax", ["products", "1"], ["logits"])],
        FLOAT,
        r"\[3, 1\]",
    ),
    "an axis more": ([MATRIX, helper.make_node("Unsqueeze", ["products", "0"], ["logits"])], FLOAT, r"\[1, 3, 2\]"),
    "float64": ([MATRIX, helper.make_node("Cast", ["products"], ["logits"], to=DOUBLE)], DOUBLE, r"float64 \[3, 2\]"),
}


def onnx_of(nodes: Sequence[NodeProto], element: int) -> bytes:
    """A graph of three features whose output has no declared shape."""
    constants: dict[str, Any] = {"weights": WEIGHTS.T, "row": WEIGHTS[:1, :2], "0": np.array([0]), "1": np.array([1])}
    used = {name for node in nodes for name in node.input}
    graph = helper.make_graph(
        nodes,
        "hostile",
        [helper.make_tensor_value_info("features", FLOAT, ["N", 3])],
        [helper.make_tensor_value_info("logits", element, None)],
        [numpy_helper.from_array(value.copy(), name) for name, value in constants.items() if name in used],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    return model.SerializeToString()


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", GRAPHS)
def test_another_shape_or_type_is_an_error(kind: str, threads: int) -> None:
    nodes, element, shape = GRAPHS[kind]
    runner = Runner("model.onnx", onnx_of(nodes, element), "cpu", threads, {"cpu": 3})
    rows = np.ones((9, 3), dtype=np.float32)
    expected = r"output 'logits': expected float32 \[3, 2\] for 3 rows, got"
    with pytest.raises(BundleError, match=rf"{expected} .*{shape}, in model\.onnx"):
        runner.run({"features": rows}, [LOGITS])


def test_the_right_shape_and_type_pass() -> None:
    matrix = helper.make_node("MatMul", ["features", "weights"], ["logits"])
    runner = Runner("model.onnx", onnx_of([matrix], FLOAT), "cpu", 2, {"cpu": 3})
    rows = np.random.default_rng(0).normal(size=(10, 3)).astype(np.float32)
    np.testing.assert_allclose(runner.run({"features": rows}, [LOGITS])["logits"], rows @ WEIGHTS.T, atol=1e-5)
    assert runner.run({"features": rows[:0]}, [LOGITS])["logits"].shape == (0, 2)


def test_no_memory_is_taken_for_a_shape_that_the_graph_does_not_have() -> None:
    matrix = helper.make_node("MatMul", ["features", "weights"], ["logits"])
    runner = Runner("model.onnx", onnx_of([matrix], FLOAT), "cpu", 1)
    rows = np.ones((100_000, 3), dtype=np.float32)
    with pytest.raises(BundleError, match=r"expected float32 \[512, 16777216\]"):
        runner.run({"features": rows}, [TensorSpec("logits", "float32", ("N", 1 << 24))])


@pytest.mark.parametrize(
    "content",
    [b"", b"\x08\x0a", onnx_of([helper.make_node("MatMul", ["features", "weights"], ["logits"])], FLOAT)[:-40]],
)
def test_a_graph_that_onnx_runtime_refuses_is_an_error_in_one_line(content: bytes) -> None:
    with pytest.raises(BundleError, match=r"^ONNX Runtime cannot open it: [^\n]+, in model\.onnx$"):
        Runner("model.onnx", content, "cpu", 1)


def test_a_call_that_onnx_runtime_refuses_is_an_error_in_one_line() -> None:
    baked = [MATRIX, helper.make_node("Reshape", ["products", "1"], ["logits"])]
    runner = Runner("model.onnx", onnx_of(baked, FLOAT), "cpu", 1)
    with pytest.raises(BundleError, match=r"^ONNX Runtime cannot run it: [^\n]+, in model\.onnx$"):
        runner.run({"features": np.ones((4, 3), dtype=np.float32)}, [LOGITS])
    with pytest.raises(BundleError, match="cannot run it"):
        runner.run({"features": np.ones((4, 3), dtype=np.float32)}, [TensorSpec("absent", "float32", ("N", 2))])


def test_metadata_that_is_no_text_is_an_error() -> None:
    model = onnx.load_from_string(onnx_of([helper.make_node("MatMul", ["features", "weights"], ["logits"])], FLOAT))
    helper.set_model_props(model, {"whyport": "PLACE"})
    content = model.SerializeToString().replace(b"PLACE", b"\xff\xfe\xfd\xfc\xfb")
    with pytest.raises(BundleError, match=r"(expected metadata in UTF-8|cannot open it).*, in model\.onnx"):
        Runner("model.onnx", content, "cpu", 1).metadata()


def hostile_explanations(path: Path, length: str, explained: int) -> Session:
    """A session whose explain.onnx gives constants: one row of them ("1"), or one per row ("N"), of one class."""
    constants: dict[str, Any] = {
        "weights": WEIGHTS.T.copy(),
        "number": np.ones((1, 1), np.float32),
        "index": np.full((1, 1), explained, np.int64),
        "shares": np.ones((1, 3), np.float32),
        "0": np.array([0]),
        "1": np.array([1]),
    }
    sizes = helper.make_node("Shape", ["features"], ["sizes"], start=0, end=1) if length == "N" else None
    nodes = [
        *([sizes] if sizes else [helper.make_node("Identity", ["1"], ["sizes"])]),
        helper.make_node("Concat", ["sizes", "1"], ["grid"], axis=0),
        helper.make_node("MatMul", ["features", "weights"], ["logits"]),
        helper.make_node("Identity", ["logits"], ["probabilities"]),
    ]
    given = {"score": "number", "base_value": "number", "completeness_error": "number", "explained_target": "index"}
    for name, constant in given.items():
        nodes.append(helper.make_node("Expand", [constant, "grid"], [f"{name} column"]))
        nodes.append(helper.make_node("Squeeze", [f"{name} column", "1"], [name]))
    nodes.append(helper.make_node("Expand", ["shares", "grid"], ["attribution"]))
    graph = helper.make_graph(
        nodes,
        "hostile",
        [
            helper.make_tensor_value_info("features", FLOAT, ["N", 3]),
            helper.make_tensor_value_info(TARGET_INDEX.name, TensorProto.INT64, ["N"]),
        ],
        [
            helper.make_tensor_value_info(name, TensorProto.INT64 if name == "explained_target" else FLOAT, None)
            for name in ("logits", "probabilities", *given, "attribution")
        ],
        [numpy_helper.from_array(value, name) for name, value in constants.items() if name != "0"],
    )
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    (path / "explain.onnx").write_bytes(model.SerializeToString())
    sidecar = linear_sidecar(True, ("a", "b", "c"), ("no", "yes"))
    refresh_digests(path, sidecar)
    there = {name: asdict(capability) for name, capability in sidecar.capabilities.items()}
    rows = sidecar.signature.inputs
    outputs = reasons_outputs("explain.onnx", sidecar.signature.outputs, 3)
    graph = Graph("explain.onnx", "explain", None, (*rows, TARGET_INDEX), outputs, {})
    edit_sidecar(
        path,
        capabilities=there | {"explain-onnx": {"available": True, "reason": ""}},
        graphs=[asdict(each) for each in (*sidecar.graphs, graph)],
    )
    return Session(Bundle.read(path), "cpu")


def test_a_graph_that_explains_one_row_for_all_is_an_error(tmp_path: Path) -> None:
    session = hostile_explanations(linear_bundle(tmp_path / "bundle"), "1", 0)
    with pytest.raises(BundleError, match=r"expected .* for 4 rows, got .* \[1\], in explain\.onnx"):
        session.explain(np.ones((4, 3)))


@pytest.mark.parametrize("explained", [1, 2, -1, 2**40])
def test_a_graph_that_explains_another_class_is_an_error(tmp_path: Path, explained: int) -> None:
    session = hostile_explanations(linear_bundle(tmp_path / "bundle"), "N", explained)
    with pytest.raises(BundleError, match=rf"expected the class asked for, got {explained} in 4 of 4 rows, in explain"):
        session.explain(np.ones((4, 3)), "no")
    if explained == 1:
        assert list(session.explain(np.ones((4, 3)), "yes").target) == [1] * 4
