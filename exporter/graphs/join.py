"""Two ONNX graphs as one: the second takes what the first gives."""

import onnx

from whyport.exporter.graphs.conform import inputs_of
from whyport.exporter.graphs.names import rename, used_names


def joined(first: onnx.ModelProto, second: onnx.ModelProto) -> onnx.ModelProto:
    """A model with the inputs of both and the outputs of both, the first one's first.

    Args:
        first: gives some of the second one's inputs, and takes others of the same name.
        second: its default operator set is the first one's.
    """
    model = onnx.ModelProto()
    model.CopyFrom(first)
    graph, other = model.graph, second.graph
    outer = {value.name for value in (*graph.input, *graph.output)}
    rename(graph, {}, used_names(other) - outer)
    given = {value.name for value in (*graph.input, *graph.output)}
    graph.input.extend(value for value in inputs_of(other) if value.name not in given)
    graph.node.extend(other.node)
    graph.initializer.extend(other.initializer)
    graph.output.extend(other.output)
    versions = {entry.domain: entry.version for entry in model.opset_import}
    for entry in second.opset_import:
        versions[entry.domain] = max(entry.version, versions.get(entry.domain, 0))
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(*each) for each in versions.items())
    return model
