"""The names of a classifier's classes, from the operator that gives a row's label."""

from typing import Any

import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from whyport.exporter.networks.logits import makers_of, without_moves
from whyport.runtime.errors import ExportError, first_line

LABEL_TYPES = (TensorProto.INT64, TensorProto.STRING)
LARGEST = "ArgMax"
PICK = ("ArrayFeatureExtractor", "Gather")


def class_labels(model: onnx.ModelProto) -> list[Any]:
    """The labels, texts or whole numbers, in the order of the scores.

    They are those of the classifier whose label is an output, or the constants among which the position of a row's
    largest score picks. Empty where no output of the graph is such a label.

    Raises ExportError where the labels are damaged.
    """
    graph = model.graph
    makers = makers_of(graph)
    constants = {tensor.name: tensor for tensor in graph.initializer}
    for output in graph.output:
        node = makers.get(without_moves(makers, output.name)[0])
        if node is None or output.type.tensor_type.elem_type not in LABEL_TYPES:
            continue
        if labels := own_labels(node):
            return labels
        picks = makers.get(without_moves(makers, node.input[1])[0]) if node.op_type in PICK else None
        if picks is not None and picks.op_type == LARGEST and node.input[0] in constants:
            return _constant_labels(constants[node.input[0]])
    return []


def names_of(labels: list[Any]) -> tuple[str, ...]:
    """The names that labels are; none where they only count from 0."""
    return () if labels == [*range(len(labels))] else tuple(map(str, labels))


def own_labels(node: NodeProto) -> list[Any]:
    """The labels that a classifier of ai.onnx.ml holds."""
    found = [
        helper.get_attribute_value(attribute)
        for attribute in node.attribute
        if attribute.name.startswith("classlabels_") and (attribute.ints or attribute.strings)
    ]
    return [_text(label) for label in found[0]] if len(found) == 1 else []


def _constant_labels(tensor: TensorProto) -> list[Any]:
    try:
        return [_text(value) for value in numpy_helper.to_array(tensor).reshape(-1).tolist()]
    except (TypeError, ValueError) as error:
        raise ExportError(f"the labels {tensor.name!r} are damaged: {first_line(error)}") from None


def _text(label: Any) -> Any:
    return label.decode() if isinstance(label, bytes) else label
