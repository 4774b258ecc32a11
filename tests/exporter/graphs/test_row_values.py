import numpy as np
import onnx
import torch
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from support.categories import category_columns
from whyport.exporter.graphs.column_inputs import input_tensors, take_columns
from whyport.exporter.graphs.graph import build_graph
from whyport.exporter.graphs.onnx import compile_onnx
from whyport.exporter.graphs.row_values import row_values
from whyport.exporter.graphs.tensor_names import TAKEN


def test_the_values_of_a_network_are_counted_by_hand() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(5, 7), nn.ReLU(), nn.Linear(7, 3))
    rows = torch.randn(4, 5)
    model = compile_onnx(build_graph(network, nn.Sequential(), rows), rows)
    assert [node.op_type for node in model.graph.node] == ["Gemm", "Relu", "Gemm", "Softmax"]
    assert row_values(model) == 7 + 7 + 3 + 3


def test_what_does_not_grow_with_the_rows_does_not_count() -> None:
    nodes = [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Cast", ["shape"], ["sizes"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["x"], ["columns"], perm=[1, 0]),
        helper.make_node("MatMul", ["kernel", "columns"], ["product"]),
        helper.make_node("Split", ["product"], ["one", "two"], axis=0, num_outputs=2),
    ]
    inputs = [
        helper.make_tensor_value_info("x", TensorProto.FLOAT, ["N", 2]),
        helper.make_tensor_value_info("index", TensorProto.INT64, ["N"]),
    ]
    outputs = [helper.make_tensor_value_info("one", TensorProto.FLOAT, [3, "N"])]
    kernel = numpy_helper.from_array(np.ones((6, 2), np.float32), "kernel")
    graph = helper.make_graph(nodes, "graph", inputs, outputs, [kernel])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
    onnx.checker.check_model(model)
    before = model.SerializeToString()
    assert row_values(model) == 2 + 6 + 3 + 3
    assert model.SerializeToString() == before


def test_a_model_that_cannot_be_run_says_nothing() -> None:
    shape = numpy_helper.from_array(np.array([5, 2]), "shape")
    node = helper.make_node("Reshape", ["x", "shape"], ["y"])
    tensors = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 2]) for name in "xy"]
    graph = helper.make_graph([node], "graph", tensors[:1], tensors[1:], [shape])
    assert row_values(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)) is None


def test_texts_are_fed_as_texts() -> None:
    columns = category_columns()
    names = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", 7]) for name in ("features", "row")]
    graph = helper.make_graph([helper.make_node("Identity", ["features"], ["row"])], "graph", names[:1], names[1:])
    model = helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])
    take_columns(model, columns, input_tensors(columns, TAKEN))
    # Three columns of texts; two of numbers, each looked up, tested for NaN and chosen; the row, and the row again.
    assert row_values(model) == 3 + 2 * 3 + 7 + 7


def test_what_a_scan_repeats_counts_for_every_step() -> None:
    names = ("state", "given", "next", "out")
    scalar = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names]
    inner = [
        helper.make_node("Add", ["state", "given"], ["sum"]),
        helper.make_node("Tanh", ["sum"], ["next"]),
        helper.make_node("Identity", ["sum"], ["out"]),
    ]
    body = helper.make_graph(inner, "body", scalar[:2], scalar[2:])
    nodes = [
        helper.make_node("Transpose", ["x"], ["steps"], perm=[1, 0]),
        helper.make_node("ReduceMax", ["steps"], ["first"], axes=[0], keepdims=0),
        helper.make_node(
            "Scan", ["first", "steps"], ["last", "y"], body=body, num_scan_inputs=1, scan_output_directions=[1]
        ),
    ]
    x, y = (helper.make_tensor_value_info(*one) for one in (("x", 1, ["N", 5]), ("y", 1, [5, "N"])))
    graph = helper.make_graph(nodes, "graph", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.checker.check_model(model, full_check=True)
    # The transposed row and its maximum; the last state; the outputs and the sums, five times each.
    assert row_values(model) == 5 + 1 + 1 + 5 + 5
