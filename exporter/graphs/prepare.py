"""prepare.onnx: the resizing and cropping of pictures as a graph, for languages that have another resizer, or none."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.graphs.compiled import OnnxFile
from whyport.exporter.graphs.onnx import DEFAULT_IR, DEFAULT_OPSET
from whyport.runtime.bundle.inputs import ImagePreparation, Input
from whyport.runtime.bundle.pictures import images_of, prepare_tensors
from whyport.runtime.bundle.signature import TensorSpec


def prepare_model(given: Sequence[Input]) -> OnnxFile:
    """The graph from decoded pictures uint8 [N, any height, any width, channels] to the tensors of model.onnx.

    Of every input of pictures one tensor in and one out, see `prepare_tensors`. Pixels are Pillow's within 1 of 255:
    ONNX's antialiased linear filter is the triangle filter; pixels at the edges need `exclude_outside`.
    """
    nodes: list[onnx.NodeProto] = []
    constants: list[onnx.TensorProto] = []
    specs = prepare_tensors(given)
    for image, picture, pixels in zip(images_of(given), *specs, strict=True):
        assert isinstance(image.prepare, ImagePreparation)
        _add(nodes, constants, image.prepare, picture, pixels)
    inputs, outputs = ([_value(spec) for spec in each] for each in specs)
    graph = helper.make_graph(nodes, "prepare", inputs, outputs, constants)
    opset = helper.make_opsetid("", DEFAULT_OPSET)
    return OnnxFile(helper.make_model(graph, opset_imports=[opset], ir_version=DEFAULT_IR))


def _value(spec: TensorSpec) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(spec.name, TensorProto.UINT8, spec.shape)


def _add(
    nodes: list[onnx.NodeProto],
    constants: list[onnx.TensorProto],
    prepare: ImagePreparation,
    given: TensorSpec,
    made: TensorSpec,
) -> None:
    """Add the nodes and constants of one input."""

    def constant(name: str, values: Sequence[int]) -> str:
        constants.append(numpy_helper.from_array(np.array(values, dtype=np.int64), f"{made.name}.{name}"))
        return constants[-1].name

    def node(operator: str, inputs: Sequence[str], name: str, **attributes: Any) -> str:
        nodes.append(helper.make_node(operator, inputs, [f"{made.name}.{name}"], **attributes))
        return f"{made.name}.{name}"

    pixels = given.name
    if prepare.resize:
        first = node("Transpose", [pixels], "first", perm=[0, 3, 1, 2])
        rest = node("Shape", [first], "rest", start=0, end=2)
        size = node("Concat", [rest, constant("resize", prepare.resize)], "size", axis=0)
        filtered: dict[str, Any] = {"mode": "linear", "antialias": 1, "exclude_outside": 1}
        pixels = node("Resize", [first, "", "", size], "resized", **filtered)
        pixels = node("Transpose", [pixels], "last", perm=[0, 2, 3, 1])
    if prepare.crop:
        crop, axes = constant("crop", prepare.crop), constant("axes", [1, 2])
        spare = node("Sub", [node("Shape", [pixels], "whole", start=1, end=3), crop], "spare")
        start = node("Div", [spare, constant("two", [2])], "start")
        pixels = node("Slice", [pixels, start, node("Add", [start, crop], "end"), axes], "cropped")
    # A picture that is smaller than what is cut out fails here, in place of giving other pixels.
    shape = constant("shape", [0, *made.row_shape()])
    nodes.append(helper.make_node("Reshape", [pixels, shape], [made.name]))
