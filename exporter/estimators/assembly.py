"""One graph of several: the parts of a first step over columns, what follows it, and the look-up of categories."""

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, compose, helper, numpy_helper

from whyport.exporter.estimators.columns import FirstStep
from whyport.exporter.estimators.convert import convert, last_step, scores_name
from whyport.exporter.estimators.fitted import Fitted
from whyport.exporter.estimators.forest import is_forest
from whyport.exporter.graphs.column_inputs import ML, ML_VERSION
from whyport.exporter.graphs.onnx import DEFAULT_IR, DEFAULT_OPSET
from whyport.exporter.graphs.tensor_names import INPUT

SCORES = "scores"


class _Assembly:
    """The nodes and constants of a graph that is put together."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, taken: Sequence[str], **attributes: Any) -> str:
        """Append an operator; returns the name of what it gives."""
        name = f"{operator}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(taken), [name], **attributes))
        return name

    def constant(self, value: NDArray[np.generic]) -> str:
        """Append a constant; returns its name."""
        name = f"constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name

    def pick(self, tensor: str, places: Sequence[int]) -> str:
        """Some columns of a tensor."""
        return self.add("Gather", [tensor, self.constant(np.array(places, dtype=np.int64))], axis=1)

    def wide(self, tensor: str) -> str:
        """A tensor in float64."""
        return self.add("Cast", [tensor], to=TensorProto.DOUBLE)

    def narrow(self, tensor: str) -> str:
        """A tensor in float32."""
        return self.add("Cast", [tensor], to=TensorProto.FLOAT)

    def append(self, model: onnx.ModelProto, taken: str) -> str:
        """Append a whole graph of one input; returns the name of its last output."""
        part = compose.add_prefix(model, f"part.{len(self.nodes)}.")
        (given,) = [value.name for value in part.graph.input]
        self.nodes.append(helper.make_node("Identity", [taken], [given]))
        self.nodes.extend(part.graph.node)
        self.constants.extend(part.graph.initializer)
        return scores_name(part)

    def model(self, width: int, output: str) -> onnx.ModelProto:
        """The graph from "features" [N, width] to "scores"."""
        self.nodes.append(helper.make_node("Identity", [output], [SCORES]))
        graph = helper.make_graph(
            self.nodes,
            "estimator",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", width])],
            [helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, ["N", None])],
            self.constants,
        )
        sets = [helper.make_opsetid("", DEFAULT_OPSET), helper.make_opsetid(ML, ML_VERSION)]
        return helper.make_model(graph, opset_imports=sets, ir_version=DEFAULT_IR)


def behind_cells(first: FirstStep, *, in_float64: bool = False) -> onnx.ModelProto:
    """The graph from cells [N, P] to the scores: numbers as they are, and what categories become.

    Args:
        first: the first step.
        in_float64: whether all steps but trees, which compare float32, compute in float64.
    """
    assembly, starts = _Assembly(), _starts(first)
    given = assembly.wide(INPUT) if in_float64 else INPUT
    parts = []
    for block in first.blocks:
        if first.is_coded(block):
            parts.append(assembly.pick(given, [starts[place] + i for place, i in first.sources(block)]))
            continue
        numbers = assembly.pick(given, [starts[place] for place in block.places])
        if not isinstance(block.transformer, str):
            made = convert(block.transformer, len(block.places), in_float64=in_float64)
            numbers = assembly.append(made, numbers)
        parts.append(numbers)
    cells, width = assembly.add("Concat", parts, axis=1), first.blocks[-1].outputs.stop
    if not in_float64 or not is_forest(first.rest):
        scores = assembly.append(convert(first.rest, width, in_float64=in_float64), cells)
        return assembly.model(starts[-1], assembly.narrow(scores) if in_float64 else scores)
    if len(first.rest) > 1:
        cells = assembly.append(convert(first.rest[:-1], width, in_float64=True), cells)
    trees = convert(last_step(first.rest), first.fitted.width)
    return assembly.model(starts[-1], assembly.append(trees, assembly.narrow(cells)))


def all_in_float64(fitted: Fitted) -> onnx.ModelProto:
    """The graph from rows [N, F] to the scores of an estimator of numbers, with every step in float64."""
    assembly, width = _Assembly(), len(fitted.columns)
    scores = assembly.append(convert(fitted.model, width, in_float64=True), assembly.wide(INPUT))
    return assembly.model(width, assembly.narrow(scores))


def behind_steps(fitted: Fitted) -> onnx.ModelProto:
    """The graph from rows [N, F] to the scores of a last step that compares numbers; those before are in float64.

    In float32, the steps' rounding would send some rows to the other side of a threshold.
    """
    last, width = last_step(fitted.model), len(fitted.columns)
    if last is fitted.model:
        return convert(last, width)
    assembly = _Assembly()
    cells = assembly.append(convert(fitted.model[:-1], width, in_float64=True), assembly.wide(INPUT))
    return assembly.model(width, assembly.append(convert(last, fitted.width), assembly.narrow(cells)))


def over_codes(first: FirstStep, behind: onnx.ModelProto) -> onnx.ModelProto:
    """The graph from rows of codes [N, F] to the scores, where each category is looked up.

    Args:
        first: the first step.
        behind: what `behind_cells` gives.
    """
    assembly, parts = _Assembly(), []
    for place in range(len(first.draft.features)):
        column = assembly.pick(INPUT, [place])
        if place in first.tables:
            flat = assembly.add("Reshape", [column, assembly.constant(np.array([-1], dtype=np.int64))])
            codes = assembly.add("Cast", [flat], to=TensorProto.INT64)
            column = assembly.add("Gather", [assembly.constant(first.tables[place]), codes], axis=0)
        parts.append(column)
    cells = assembly.add("Concat", parts, axis=1)
    return assembly.model(len(first.draft.features), assembly.append(behind, cells))


def _starts(first: FirstStep) -> list[int]:
    """The first cell of each column, and behind them the number of all."""
    tables = first.tables
    widths = [tables[place].shape[1] if place in tables else 1 for place in range(len(first.draft.features))]
    return list(accumulate(widths, initial=0))
