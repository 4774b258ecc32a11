import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, helper

from support.categories import category_column, category_columns
from whyport.exporter.graphs.column_inputs import input_tensors, take_columns
from whyport.exporter.graphs.onnx import open_onnx
from whyport.exporter.graphs.tensor_names import TAKEN
from whyport.runtime.bundle.columns import Categories
from whyport.runtime.bundle.self_contained import check_self_contained

COLUMNS = category_columns()


def passing_on(width: int, name: str = "codes") -> onnx.ModelProto:
    """A model whose output is its input, by way of a tensor of that name."""
    nodes = [helper.make_node("Identity", ["features"], [name]), helper.make_node("Identity", [name], ["row"])]
    values = [helper.make_tensor_value_info(tensor, TensorProto.FLOAT, ["N", width]) for tensor in ("features", "row")]
    graph = helper.make_graph(nodes, "graph", values[:1], values[1:])
    return helper.make_model(graph, ir_version=10, opset_imports=[helper.make_opsetid("", 18)])


def column(texts: list[str]) -> NDArray[np.object_]:
    return np.array(texts, dtype=object)[:, None]


def number(values: list[float]) -> NDArray[np.float32]:
    return np.array(values, dtype=np.float32)[:, None]


def test_every_value_has_its_code():
    model = passing_on(len(COLUMNS))
    tensors = input_tensors(COLUMNS, TAKEN)
    take_columns(model, COLUMNS, tensors)
    onnx.checker.check_model(model, full_check=True)
    check_self_contained("model.onnx", model.SerializeToString())
    session = open_onnx(model.SerializeToString())
    assert [(each.name, each.type) for each in session.get_inputs()] == [
        ("height", "tensor(float)"),
        ("colour", "tensor(string)"),
        ("features (column)", "tensor(string)"),
        ("dose", "tensor(float)"),
        ("town", "tensor(string)"),
        ("smoker", "tensor(float)"),
        ("year", "tensor(float)"),
    ]
    feeds = {
        "height": number([1.5, np.nan, 0, -3]),
        "colour": column(["blue", "", "red ", "red"]),
        "features (column)": column(["b", "a", "", "features"]),
        "dose": number([2, 2, 2, np.nan]),
        "town": column(["town 19", "town 00", "town 20", ""]),
        "smoker": number([0, 1, np.nan, 0.5]),
        "year": number([2020, 2.5, np.nan, 2018]),
    }
    expected = [
        [1.5, 2, 1, 2, 19, 0, 1],
        [np.nan, 4, 0, 2, 0, 1, 2],
        [0, 3, 3, 2, 20, 3, 4],
        [-3, 0, 2, np.nan, 21, 2, 3],
    ]
    np.testing.assert_array_equal(session.run(None, feeds)[0], expected)


def test_names_that_are_taken():
    texts = Categories("text", ("a",), (1,), 0, 0)
    names = ("a", "logits", "logits (column)", "features", "target_index", "value", "codes.0")
    columns = [category_column(name, texts) for name in names]
    tensors = input_tensors(columns, TAKEN | {"value"})
    assert [tensor.name for tensor in tensors] == [
        "a",
        "logits (column) (column)",
        "logits (column)",
        "features (column)",
        "target_index (column)",
        "value (column)",
        "codes.0",
    ]
    model = passing_on(len(columns), "codes.0")
    take_columns(model, columns, tensors)
    onnx.checker.check_model(model, full_check=True)
    feeds = {tensor.name: column(["a"]) for tensor in tensors} | {"codes.0": column(["b"])}
    np.testing.assert_array_equal(open_onnx(model.SerializeToString()).run(None, feeds)[0], [[0] * 6 + [1]])


def test_a_column_whose_categories_were_all_pooled():
    pooled = [category_column(kind, Categories(kind, (), (), 50, 0)) for kind in ("text", "number")]
    model = passing_on(2)
    take_columns(model, pooled, input_tensors(pooled, TAKEN))
    onnx.checker.check_model(model, full_check=True)
    feeds = {"text": column(["a", ""]), "number": number([0, np.nan])}
    np.testing.assert_array_equal(open_onnx(model.SerializeToString()).run(None, feeds)[0], [[0, 0], [1, 1]])
