"""explain.onnx for trees: plain ONNX operators that look a row's shares up in tables."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import TensorProto, ValueInfoProto, helper, numpy_helper

from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.trees.conditions import Codes, Condition, Interval
from whyport.exporter.trees.tables import ShareTable, TreeShares
from whyport.runtime.bundle.graphs import (
    ATTRIBUTION,
    BASE_VALUE,
    COMPLETENESS_ERROR,
    EXPLAINED_TARGET,
    SCORE,
    TARGET_INDEX,
    reasons_outputs,
)
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.task import Task

LEAST_OPSET = 13
"""The oldest default operator set that has the operators in the form used here."""
NEVER = Interval(0, np.inf, -np.inf, False)
"""A condition that no number meets: the bits that a table does not have."""
TYPES = {"float32": TensorProto.FLOAT, "int64": TensorProto.INT64}


class _Nodes:
    """The nodes and constants of a graph that is being made."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def add(self, operator: str, *taken: str | NDArray[Any], name: str | None = None, **options: Any) -> str:
        """One operator, of tensors by name and of constants; returns the name of its output."""
        inputs = [each if isinstance(each, str) else self._constant(each) for each in taken]
        name = name or f"{operator}.{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [name], **options))
        return name

    def cast(self, value: str, to: int) -> str:
        """The tensor as one of another type."""
        return self.add("Cast", value, to=to)

    def _constant(self, value: NDArray[Any]) -> str:
        name = f"constant.{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(value, name))
        return name


def tree_graph(
    shares: TreeShares, task: Task, features: int, imputation: Sequence[float] | None, opset: int
) -> onnx.ModelProto:
    """The graph from rows of codes, their scores and target indices to all outputs of explain.onnx but the task's own.

    Args:
        shares: the tables.
        task: what the scores mean; they are an input, under their name.
        features: the number of columns, F.
        imputation: the value that replaces a NaN, by column; None where none does.
        opset: version of the default operator set, of at least `LEAST_OPSET`.
    """
    made, count = _Nodes(), len(shares.base_values)
    rows = INPUT
    if imputation is not None:
        rows = made.add("Where", made.add("IsNaN", rows), np.array(imputation, dtype=np.float32), rows)
    explained = _explained(made, task)
    shared = _shared(made, made.add("Transpose", rows, perm=[1, 0]), explained, shares, features)
    _sums(made, task, explained, shared, shares)
    inputs = (
        TensorSpec(INPUT, "float32", ("N", features)),
        TensorSpec(task.score, "float32", ("N", count)),
        TARGET_INDEX,
    )
    outputs = reasons_outputs(EXPLAIN_MODEL, (), features)
    graph = helper.make_graph(made.nodes, "trees", _values(inputs), _values(outputs), made.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)])


def _values(specs: Sequence[TensorSpec]) -> list[ValueInfoProto]:
    return [helper.make_tensor_value_info(spec.name, TYPES[spec.dtype], spec.shape) for spec in specs]


def _explained(made: _Nodes, task: Task) -> str:
    """The explained target [N]."""
    default = np.zeros(1, dtype=np.int64)
    by_default: str | NDArray[Any] = default
    if task.predicts_targets:
        by_default = made.add("ArgMax", task.score, axis=1, keepdims=0)
    asked = made.add("Less", TARGET_INDEX.name, default)
    return made.add("Where", asked, by_default, TARGET_INDEX.name, name=EXPLAINED_TARGET.name)


def _shared(made: _Nodes, columns: str, explained: str, shares: TreeShares, features: int) -> str:
    """The attributions [N, F] of the explained targets, from the columns [F, N]."""
    tables = sorted((table for table in shares.tables if len(table.raw)), key=_width)
    if not tables:
        # Zeros, whatever the row has: a NaN times 0 is none.
        has_none = made.cast(made.add("IsNaN", made.add("Transpose", columns, perm=[1, 0])), TensorProto.FLOAT)
        return made.add("Mul", has_none, np.zeros((1, features), dtype=np.float32), name=ATTRIBUTION)
    bits, place = _bits(made, columns, [bit for table in tables for bit in table.unit.bits])
    index = _index(made, bits, place, tables)
    contents = _contents(tables, shares.trees.value.shape[1])
    begins = np.concatenate([begin for _, begin, _ in contents], axis=1)
    if len(begins) == 1:
        index = made.add("Add", index, begins)
    else:
        raw = made.add("Gather", shares.raw, explained)
        is_part = np.concatenate([part for _, _, part in contents], axis=1)
        index = made.add("Mul", index, made.add("Gather", is_part, raw))
        index = made.add("Add", index, made.add("Gather", begins, raw))
    looked_up, start = [], 0
    for content, begin, _ in contents:
        end = start + begin.shape[1]
        part = made.add("Slice", index, np.array([start]), np.array([end]), np.array([1]))
        looked_up.append(made.add("Reshape", made.add("Gather", content, part), np.array([0, -1])))
        start = end
    values = made.add("Concat", *looked_up, axis=1)
    owner = np.array([column for table in tables for column in table.unit.columns], dtype=np.int32)
    # A constant that is made when the graph is opened: its file would be larger than the tables.
    is_owner = made.add("Equal", owner[:, None], np.arange(features, dtype=np.int32)[None])
    total = made.add("MatMul", values, made.cast(is_owner, TensorProto.FLOAT))
    scale = made.add("Gather", shares.scale.astype(np.float32)[:, None], explained)
    return made.add("Mul", total, scale, name=ATTRIBUTION)


def _bits(made: _Nodes, columns: str, conditions: Sequence[Condition]) -> tuple[str, dict[Condition, int]]:
    """Which of the different conditions hold, float32 [B, N], and the place of each."""
    different = dict.fromkeys(conditions)
    intervals = [NEVER, *(each for each in different if isinstance(each, Interval))]
    low, high = (np.array([[getattr(each, end)] for each in intervals], np.float32) for end in ("low", "high"))
    values = made.add("Gather", columns, np.array([each.column for each in intervals], dtype=np.int32), axis=0)
    holds = made.add("And", made.add("Greater", values, low), made.add("LessOrEqual", values, high))
    if any(each.missing for each in intervals):
        missing = np.array([[each.missing] for each in intervals])
        holds = made.add("Or", holds, made.add("And", made.add("IsNaN", values), missing))
    found, order = [made.cast(holds, TensorProto.FLOAT)], list[Condition](intervals)
    by_column: dict[int, list[Codes]] = {}
    for each in different:
        if isinstance(each, Codes):
            by_column.setdefault(each.column, []).append(each)
    for column, alike in by_column.items():
        code = made.cast(made.add("Gather", columns, np.array(column), axis=0), TensorProto.INT64)
        held = np.array([each.held for each in alike], dtype=np.uint8)
        found.append(made.cast(made.add("Gather", held, code, axis=1), TensorProto.FLOAT))
        order += alike
    bits = made.add("Concat", *found, axis=0) if by_column else found[0]
    return bits, {condition: i for i, condition in enumerate(order)}


def _index(made: _Nodes, bits: str, place: dict[Condition, int], tables: Sequence[ShareTable]) -> str:
    """The number of each row's entry in each table, int32 [N, units]."""
    most = max(len(table.unit.bits) for table in tables)
    places = np.full((most, len(tables)), place[NEVER], dtype=np.int32)
    for unit, table in enumerate(tables):
        places[: len(table.unit.bits), unit] = [place[bit] for bit in table.unit.bits]
    # With the rows last, whole stretches of memory are copied.
    each = made.add("Reshape", made.add("Gather", bits, places, axis=0), np.array([most, -1]))
    number = made.add("MatMul", np.float32(2) ** np.arange(most, dtype=np.float32)[None], each)
    by_unit = made.add("Reshape", number, np.array([len(tables), -1]))
    return made.cast(made.add("Transpose", by_unit, perm=[1, 0]), TensorProto.INT32)


def _contents(
    tables: Sequence[ShareTable], raw: int
) -> list[tuple[NDArray[np.float32], NDArray[np.int32], NDArray[np.int32]]]:
    """The tables of each width as one [entries, width], where each raw score's begins [R, units], and whether it does.

    Entry 0 is of zeros: that of a raw score to which a unit adds nothing.
    """
    made = []
    for width in dict.fromkeys(map(_width, tables)):
        alike = [table for table in tables if _width(table) == width]
        content = [np.zeros((1, width))]
        begins, is_part = (np.zeros((raw, len(alike)), dtype=np.int32) for _ in range(2))
        entries = 1
        for unit, table in enumerate(alike):
            for part, shares in zip(table.raw, table.shares, strict=True):
                begins[part, unit], is_part[part, unit] = entries, 1
                content.append(shares)
                entries += len(shares)
        made.append((np.concatenate(content).astype(np.float32), begins, is_part))
    return made


def _width(table: ShareTable) -> int:
    return len(table.unit.columns)


def _sums(made: _Nodes, task: Task, explained: str, attribution: str, shares: TreeShares) -> None:
    """The score, the base value, and how far the attributions are from adding up to their difference."""
    axis = np.array([1])
    own = made.add("GatherElements", task.score, made.add("Unsqueeze", explained, axis), axis=1)
    score = made.add("Squeeze", own, axis, name=SCORE.name)
    base = made.add("Gather", shares.base_values.astype(np.float32), explained, name=BASE_VALUE.name)
    total = made.add("ReduceSum", attribution, axis, keepdims=0)
    off = made.add("Sub", total, made.add("Sub", score, base))
    made.add("Abs", off, name=COMPLETENESS_ERROR.name)
