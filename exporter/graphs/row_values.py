"""How much a graph computes for each row, which decides how many rows a call takes."""

from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from whyport.runtime.providers import load_onnxruntime


def row_values(model: onnx.ModelProto) -> int | None:
    """The values of all results of a model's nodes that one more row adds; None where it cannot be run.

    Args:
        model: the first axis of every input is N; its other axes are fixed.
    """
    every = onnx.ModelProto()
    every.CopyFrom(model)
    names = dict.fromkeys(name for node in every.graph.node for name in node.output if name)
    del every.graph.output[:]
    every.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    weights = {weight.name for weight in model.graph.initializer}
    inputs = [value for value in model.graph.input if value.name not in weights]
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    # Without optimisation: what is fused away would be missing.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    try:
        session = onnxruntime.InferenceSession(every.SerializeToString(), options, providers=["CPUExecutionProvider"])
        one, two = (session.run(None, {value.name: _zeros(value, rows) for value in inputs}) for rows in (1, 2))
    except Exception:
        return None  # the verification of the model says why
    return _size(two) - _size(one)


def _size(results: list[Any]) -> int:
    return sum(result.size for result in results if isinstance(result, np.ndarray))


def _zeros(value: onnx.ValueInfoProto, rows: int) -> NDArray[Any]:
    kind = value.type.tensor_type
    shape = [axis.dim_value for axis in kind.shape.dim[1:]]
    if kind.elem_type == onnx.TensorProto.STRING:
        return np.full((rows, *shape), "", dtype=object)
    return np.zeros((rows, *shape), onnx.helper.tensor_dtype_to_np_dtype(kind.elem_type))
