"""How much a graph computes for each row, which decides how many rows a call takes."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from whyport.exporter.graphs.pruning import all_nodes
from whyport.runtime.providers import load_onnxruntime

SCAN = "Scan"


def row_values(model: onnx.ModelProto) -> int | None:
    """The values of all results of a model's nodes that one more row adds; None where it cannot be run.

    Those inside a Scan count as often as it repeats them.

    Args:
        model: the first axis of every input is N; its other axes are fixed.
    """
    every = onnx.ModelProto()
    every.CopyFrom(model)
    for node in all_nodes(every.graph.node):
        if node.op_type == SCAN:
            _give_inner_results(node)
    names = dict.fromkeys(name for node in every.graph.node for name in node.output if name)
    # The results themselves may take far more memory together than one after the other, as they are computed.
    sizes = [onnx.helper.make_node("Size", [name], [f"size of {name}"]) for name in names]
    every.graph.node.extend(sizes)
    del every.graph.output[:]
    every.graph.output.extend(onnx.ValueInfoProto(name=node.output[0]) for node in sizes)
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.enable_cpu_mem_arena = False
    # A size is taken as soon as it can be, so that its result is held no longer than the model needs it.
    options.execution_order = onnxruntime.ExecutionOrder.PRIORITY_BASED
    # Without optimisation: what is fused away would be missing.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(every.SerializeToString(), options, providers=["CPUExecutionProvider"])
        one, two = (sum(session.run(None, {value.name: _zeros(value, rows) for value in inputs})) for rows in (1, 2))
    except Exception:
        return None  # the verification of the model says why
    return int(two - one)


def _give_inner_results(scan: onnx.NodeProto) -> None:
    """Make what the nodes of a Scan's body give a result of the Scan, a step after the other."""
    attributes = {attribute.name: attribute for attribute in scan.attribute}
    body = attributes["body"].g
    given = {value.name for value in body.output}
    inner = [name for node in body.node for name in node.output if name and name not in given]
    body.output.extend(onnx.ValueInfoProto(name=name) for name in inner)
    # A Scan may stand in several bodies, whose names are each its own.
    scan.output.extend(f"{scan.output[0]} {name}" for name in inner)
    for name in ("scan_output_directions", "scan_output_axes"):
        if name in attributes:
            attributes[name].ints.extend([0] * len(inner))


def _zeros(value: onnx.ValueInfoProto, rows: int) -> NDArray[Any]:
    kind = value.type.tensor_type
    shape = [axis.dim_value for axis in kind.shape.dim[1:]]
    if kind.elem_type == onnx.TensorProto.STRING:
        return np.full((rows, *shape), "", dtype=object)
    return np.zeros((rows, *shape), onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
