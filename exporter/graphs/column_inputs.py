"""The inputs of ONNX graphs, from which the flat row is made.

- Of one table without categories, the row itself.
- Of a table with categories, one tensor [N, 1] a column, from which the codes are made.
- Of several inputs and of sequences, one tensor each, as the model has it.

The operator LabelEncoder looks a category up. ONNX Runtime has it on every platform, in the browser too.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np
import onnx
from onnx import NodeProto, TensorProto, helper, numpy_helper

from whyport.exporter.graphs.names import free_name, rename, used_names
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.inputs import Input, TextPreparation
from whyport.runtime.bundle.row import mask_of, varies
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.inputs.feeds import code_values

ML, ML_VERSION = "ai.onnx.ml", 3
"""The operator set of LabelEncoder."""

NO_ID = -float(1 << 31)
"""What no network has an embedding of: looking it up is an error."""

TYPES = {
    "float32": TensorProto.FLOAT,
    "string": TensorProto.STRING,
    "uint8": TensorProto.UINT8,
    "int64": TensorProto.INT64,
}


def input_tensors(columns: Sequence[Column], taken: set[str]) -> tuple[TensorSpec, ...]:
    """The tensors of a table with categories, one a column, in order.

    Args:
        columns: the columns.
        taken: names of the graphs' other tensors; a column of such a name is called "NAME (column)".
    """
    others = {column.name for column in columns}
    tensors: dict[str, TensorSpec] = {}
    for column in columns:
        name = column.name
        while name in taken or name in tensors or (name != column.name and name in others):
            name += " (column)"
        is_text = column.categories is not None and column.categories.type == "text"
        tensors[name] = TensorSpec(name, "string" if is_text else "float32", ("N", 1))
    return tuple(tensors.values())


Typed: TypeAlias = Callable[[Sequence[TensorSpec]], Sequence[TensorSpec]]
"""The tensors of the inputs to the same in the types that a graph takes."""


def take_inputs(model: onnx.ModelProto, inputs: Sequence[Input], typed: Typed = tuple) -> None:
    """Change a graph of flat rows in place: its input "features" [N, F] becomes the tensors of the inputs.

    Args:
        model: the graph; none of its other inputs and outputs has a tensor's name.
        inputs: the model's inputs; a table with categories is the only one.
        typed: gives the tensors in the types that the graph takes, by default as the inputs have them.
    """
    first = inputs[0]
    if any(column.categories for column in first.columns):
        take_columns(model, first.columns, first.tensors)
    elif [spec.name for spec in first.tensors] != [INPUT] or len(inputs) > 1:
        take_tensors(model, inputs, typed)


def take_tensors(model: onnx.ModelProto, inputs: Sequence[Input], typed: Typed = tuple) -> None:
    """Change a graph of flat rows in place: its input "features" [N, F] is the rows of these inputs, side by side.

    Pixels uint8 become float32. Where the steps of an input vary, their number follows its cells: the sum of the mask,
    or all that there are.
    """
    graph = model.graph
    tensors = typed([spec for each in inputs for spec in each.tensors])
    types = {spec.name: spec.dtype for spec in tensors}
    names = {tensor.name for tensor in tensors}
    row = free_name(INPUT, used_names(graph) | names)
    rename(graph, {INPUT: row}, names)
    used = used_names(graph) | names

    def fresh(name: str) -> str:
        used.add(made := free_name(name, used))
        return made

    parts: list[str] = []
    nodes: list[NodeProto] = []
    for each in inputs:
        values, mask = each.tensors[0], mask_of(each)
        given = values.name
        if types[given] != "float32":
            given = fresh("values")
            nodes.append(helper.make_node("Cast", [values.name], [given], to=TensorProto.FLOAT))
        parts.append(fresh("row"))
        nodes.append(helper.make_node("Flatten", [given], [parts[-1]], axis=1))
        if varies(each):
            no_score = NO_ID if isinstance(each.prepare, TextPreparation) else np.nan
            made, constants = _counted(values, parts, fresh) if mask is None else _masked(mask, parts, fresh, no_score)
            nodes += made
            graph.initializer.extend(constants)
    nodes += [helper.make_node("Concat", parts, [row], axis=1), *graph.node]
    taken = [helper.make_tensor_value_info(spec.name, TYPES[spec.dtype], spec.shape) for spec in tensors]
    taken += [value for value in graph.input if value.name != row]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(taken)


def _masked(
    mask: TensorSpec, parts: list[str], fresh: Callable[[str], str], no_score: float
) -> tuple[list[NodeProto], list[TensorProto]]:
    """The nodes and constants that put the number of steps, [N, 1], behind the cells: the sum of the mask.

    The mask is 1s, then 0s. The cells of a row with another mask become `no_score`.
    """
    cells = parts.pop()
    axes, step, nothing = fresh("axes"), fresh("step"), fresh("nothing")
    is_there, ones, steps, first, alike, number, least, fits, kept = (
        fresh(name) for name in ("is_there", "ones", "steps", "first", "alike", "number", "least", "fits", "kept")
    )
    parts += [kept, steps]
    nodes = [
        helper.make_node("Cast", [mask.name], [is_there], to=TensorProto.BOOL),
        helper.make_node("Cast", [is_there], [ones], to=TensorProto.FLOAT),
        helper.make_node("ReduceSum", [ones, axes], [steps], keepdims=1),
        helper.make_node("Less", [step, steps], [first]),
        helper.make_node("Equal", [first, is_there], [alike]),
        helper.make_node("Cast", [alike], [number], to=TensorProto.FLOAT),
        helper.make_node("ReduceMin", [number, axes], [least], keepdims=1),
        helper.make_node("Cast", [least], [fits], to=TensorProto.BOOL),
        helper.make_node("Where", [fits, cells, nothing], [kept]),
    ]
    count = int(mask.shape[1])
    arrays = {
        axes: np.array([1]),
        step: np.arange(count, dtype=np.float32)[None],
        nothing: np.array(no_score, dtype=np.float32),
    }
    return nodes, [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def _counted(
    values: TensorSpec, parts: list[str], fresh: Callable[[str], str]
) -> tuple[list[NodeProto], list[TensorProto]]:
    """The same without a mask: no step is padding, so that every row has as many as the tensor."""
    shape, first, rows, one, count, sizes, steps = (
        fresh(name) for name in ("shape", "first", "rows", "one", "count", "sizes", "steps")
    )
    parts.append(steps)
    arrays = {first: np.array([0]), one: np.array([1]), count: np.array([[values.shape[1]]], dtype=np.float32)}
    nodes = [
        helper.make_node("Shape", [values.name], [shape]),
        helper.make_node("Gather", [shape, first], [rows], axis=0),
        helper.make_node("Concat", [rows, one], [sizes], axis=0),
        helper.make_node("Expand", [count, sizes], [steps]),
    ]
    return nodes, [numpy_helper.from_array(array, name) for name, array in arrays.items()]


def take_columns(model: onnx.ModelProto, columns: Sequence[Column], tensors: Sequence[TensorSpec]) -> None:
    """Change a graph of rows of codes in place: its input "features" [N, F] becomes one input a column.

    Args:
        model: the graph; none of its other inputs and outputs has a tensor's name.
        columns: the columns.
        tensors: the inputs, see `input_tensors`.
    """
    graph = model.graph
    names = {tensor.name for tensor in tensors}
    row = free_name(INPUT, used_names(graph) | names)
    rename(graph, {INPUT: row}, names)
    used = used_names(graph) | names

    def fresh(name: str) -> str:
        used.add(made := free_name(name, used))
        return made

    encoded = [_encode(column, tensor.name, fresh) for column, tensor in zip(columns, tensors, strict=True)]
    nodes = [node for made, _ in encoded for node in made]
    codes = [made[-1].output[0] if made else tensor.name for (made, _), tensor in zip(encoded, tensors, strict=True)]
    nodes += [helper.make_node("Concat", codes, [row], axis=1), *graph.node]
    inputs = [helper.make_tensor_value_info(spec.name, TYPES[spec.dtype], spec.shape) for spec in tensors]
    inputs += [value for value in graph.input if value.name != row]
    del graph.node[:], graph.input[:]
    graph.node.extend(nodes)
    graph.input.extend(inputs)
    graph.initializer.extend(constant for _, constants in encoded for constant in constants)
    if ML not in {entry.domain for entry in model.opset_import}:
        model.opset_import.append(helper.make_opsetid(ML, ML_VERSION))


def _encode(column: Column, name: str, fresh: Callable[[str], str]) -> tuple[list[NodeProto], list[TensorProto]]:
    """The nodes and constants from a column's values [N, 1] to its codes; none for a number."""
    categories = column.categories
    if categories is None:
        return [], []
    codes = fresh("codes")
    if categories.type == "text":
        texts = {"": categories.missing_code} | {text: code for code, text in enumerate(categories.values)}
        return [_look_up(name, codes, "keys_strings", texts, categories.other_code)], []
    # A NaN is no key of the operator.
    known, is_missing, missing = fresh("known"), fresh("is_missing"), fresh("missing")
    numbers = {float(value): code for code, value in enumerate(code_values(categories)[: len(categories.values)])}
    # Nor does it take an empty list: where every category was pooled, 0 stands for all.
    numbers = numbers or {0.0: categories.other_code}
    nodes = [
        _look_up(name, known, "keys_floats", numbers, categories.other_code),
        helper.make_node("IsNaN", [name], [is_missing]),
        helper.make_node("Where", [is_missing, missing, known], [codes]),
    ]
    return nodes, [numpy_helper.from_array(np.array(categories.missing_code, dtype=np.float32), missing)]


def _look_up(name: str, codes: str, keys: str, code_of: Mapping[Any, int], other: int) -> NodeProto:
    """The operator that gives each key its code, and everything else the code `other`."""
    values = [float(code) for code in code_of.values()]
    node = helper.make_node("LabelEncoder", [name], [codes], domain=ML)
    attributes = {keys: list(code_of), "values_floats": values, "default_float": float(other)}
    node.attribute.extend(helper.make_attribute(key, value) for key, value in attributes.items())
    return node
