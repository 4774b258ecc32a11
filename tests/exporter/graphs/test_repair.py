"""Files that are right but for their form become files that every runtime reads."""

import re

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import NodeProto, TensorProto, helper

from tests.support.tree_graphs import ML, classifier, draw_rows, draw_trees, make_model, regressor
from whyport.exporter.graphs.repair import repair

TREES = [regressor(draw_trees(0))]
SOFTMAX = [regressor(draw_trees(0, scores=2), "x", "a"), helper.make_node("Softmax", ["a"], ["y"])]


def with_sets(nodes: list[NodeProto], sets: list[tuple[str, int]], ir_version: int = 8) -> onnx.ModelProto:
    model = make_model(nodes)
    del model.opset_import[:]
    model.opset_import.extend(helper.make_opsetid(domain, version) for domain, version in sets)
    model.ir_version = ir_version
    return model


def sets_of(model: onnx.ModelProto) -> dict[str, int]:
    assert len({entry.domain for entry in model.opset_import}) == len(model.opset_import)
    return {entry.domain: entry.version for entry in model.opset_import}


@pytest.mark.parametrize(
    ("nodes", "sets", "ir_version", "expected"),
    [
        (TREES, [(ML, 1)], 3, {ML: 1, "": 18}),
        (TREES, [(ML, 3)], 8, {ML: 3, "": 18}),
        (TREES, [(ML, 3), ("", 15), ("", 15)], 8, {ML: 3, "": 15}),
        (TREES, [(ML, 3), ("", 15), ("ai.onnx", 18)], 8, {ML: 3, "": 18}),
        (SOFTMAX, [(ML, 3), ("", 15), ("", 18)], 8, {ML: 3, "": 18}),
        (SOFTMAX, [(ML, 1)], 4, {ML: 1, "": 9}),
        (TREES, [(ML, 3), (ML, 3), ("", 15)], 8, {ML: 3, "": 15}),
        (TREES, [(ML, 3), ("", 9)], 3, {ML: 3, "": 9}),
    ],
)
def test_operator_sets(
    nodes: list[NodeProto], sets: list[tuple[str, int]], ir_version: int, expected: dict[str, int]
) -> None:
    model = with_sets(nodes, sets, ir_version)
    assert not repair(model)
    assert sets_of(model) == expected
    assert model.ir_version >= 4
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    assert len(session.run(None, {"x": draw_rows(0)})[0]) == 500


@pytest.mark.parametrize(
    ("nodes", "sets", "ir_version", "message"),
    [
        (
            SOFTMAX,
            [(ML, 3), ("", 12), ("", 13)],
            8,
            r"imports the default operator set 2 times, of versions \[12, 13\], and Softmax is not the same",
        ),
        (SOFTMAX, [(ML, 3)], 7, r"no default operator set, only \['ai.onnx.ml'\], and Softmax is not the same"),
        (
            TREES,
            [("", 15), (ML, 1), (ML, 3)],
            8,
            r"operator set 'ai.onnx.ml' 2 times, of versions \[1, 3\], and Tree",
        ),
    ],
)
def test_sets_in_which_an_operator_differs(
    nodes: list[NodeProto], sets: list[tuple[str, int]], ir_version: int, message: str
) -> None:
    assert re.search(message, repair(with_sets(nodes, sets, ir_version)))


def test_maps_become_numbers() -> None:
    nodes = [
        classifier(draw_trees(0), 2, post_transform="LOGISTIC"),
        helper.make_node("ZipMap", ["y"], ["z"], domain=ML, classlabels_int64s=[0, 1]),
    ]
    model = make_model(nodes, "y")
    rows = draw_rows(0)
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(["y"], {"x": rows})[0]
    maps = helper.make_sequence_type_proto(
        helper.make_map_type_proto(TensorProto.INT64, helper.make_tensor_type_proto(TensorProto.FLOAT, []))
    )
    model.graph.output[0].CopyFrom(helper.make_value_info("z", maps))
    assert not repair(model)
    onnx.checker.check_model(model, full_check=True)
    got = onnxruntime.InferenceSession(model.SerializeToString()).run(["z"], {"x": rows})[0]
    np.testing.assert_array_equal(got, expected)


def test_axes_of_negative_length_are_of_any() -> None:
    model = make_model(TREES)
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.shape.dim[0].dim_value = -1
    assert not repair(model)
    onnx.checker.check_model(model, full_check=True)
    for value in (*model.graph.input, *model.graph.output):
        assert not value.type.tensor_type.shape.dim[0].HasField("dim_value")
    assert [axis.dim_value for axis in model.graph.input[0].type.tensor_type.shape.dim[1:]] == [draw_rows(0).shape[1]]
