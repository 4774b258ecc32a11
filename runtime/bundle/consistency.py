"""The rules between the keys of a sidecar, which neither a type nor a constraint on one value can say."""

import math
from collections import Counter
from collections.abc import Sequence

from whyport.runtime.bundle.codec import NEWER
from whyport.runtime.bundle.columns import CATEGORY, IMPUTE, NUMBER, TIME, Categories, Column, NumberStatistics
from whyport.runtime.bundle.inputs import Input, TablePreparation
from whyport.runtime.bundle.sidecar import CONFORMANCE, CONFORMANCE_JSON, Graph, Sidecar, task_of
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError, listing

ROUNDING = 1e-6
"""The error of a sum of shares that is allowed."""

MOST_VALUES = 1 << 24
"""The most values in one row of a tensor."""

TOLERANCES = ("outputs", "gradients", "attributions", "completeness")
"""The tolerances that every bundle has."""


def check_consistency(sidecar: Sidecar) -> None:
    """Raise BundleFormatError for a sidecar that contradicts itself."""
    _check_inputs(sidecar)
    _check_graphs(sidecar)
    _check_score(sidecar)
    for name in TOLERANCES:
        if name not in sidecar.tolerances:
            raise BundleFormatError(f"$.tolerances: missing key {name!r}")
    _check_files(sidecar)


def check_usable(sidecar: Sidecar) -> None:
    """Raise BundleFormatError for inputs that this version describes, and does not run yet."""
    inputs = sidecar.inputs
    if len(inputs) != 1 or not isinstance(inputs[0].prepare, TablePreparation):
        got = listing(f"{each.name} ({each.prepare.kind})" for each in inputs)
        raise BundleFormatError(f"expected a model of one table, got the inputs {got}: {NEWER}")


def _check_inputs(sidecar: Sidecar) -> None:
    _check_different("$.inputs", "input names", [each.name for each in sidecar.inputs])
    for i, each in enumerate(sidecar.inputs):
        path = f"$.inputs[{i}]"
        names = [column.name for column in each.columns]
        _check_different(f"{path}.columns", "column names", names)
        for j, column in enumerate(each.columns):
            _check_column(f"{path}.columns[{j}]", column)
        if isinstance(each.prepare, TablePreparation):
            _check_table(path, each)
    cells = sidecar.players.cells
    if cells is not None:
        if sidecar.players.names is not None and len(cells) != len(sidecar.players.names):
            expected = len(sidecar.players.names)
            raise BundleFormatError(f"$.players.cells: expected cells of {expected} players, got those of {len(cells)}")
        _check_different("$.players.cells", "cells", [cell for some in cells for cell in some])


def _check_table(path: str, table: Input) -> None:
    """The columns of a table are numbers, times and categories, and fill one tensor, or one each."""
    width = len(table.columns)
    for j, column in enumerate(table.columns):
        if column.kind not in (NUMBER, TIME, CATEGORY):
            raise BundleFormatError(f"{path}.columns[{j}].kind: expected a column of a table, got {column.kind!r}")
    shapes = [spec.shape for spec in table.tensors]
    if any(column.categories for column in table.columns):
        if shapes != [("N", 1)] * width:
            got = listing(f"{spec.name} {list(spec.shape)}" for spec in table.tensors)
            raise BundleFormatError(f"{path}.tensors: expected a tensor [N, 1] for each of {width} columns, got {got}")
        for j, (column, spec) in enumerate(zip(table.columns, table.tensors, strict=True)):
            text = column.categories is not None and column.categories.type == "text"
            _check_type(f"{path}.tensors[{j}].dtype", spec, "string" if text else "float32")
        return
    if shapes != [("N", width)]:
        got = listing(f"{spec.name} {list(spec.shape)}" for spec in table.tensors)
        raise BundleFormatError(f"{path}.tensors: expected one tensor [N, {width}] fed by the columns, got {got}")
    _check_type(f"{path}.tensors[0].dtype", table.tensors[0], "float32")


def _check_column(path: str, column: Column) -> None:
    if (column.kind == CATEGORY) != (column.categories is not None):
        raise BundleFormatError(f"{path}.categories: expected them for a column of categories, and for no other")
    if column.kind in (NUMBER, TIME) and column.numbers is None:
        raise BundleFormatError(f"{path}.numbers: expected the statistics of a column of numbers, got null")
    if (column.missing == IMPUTE) != (column.imputation is not None):
        raise BundleFormatError(f"{path}.imputation: expected a value where missing ones are imputed, and only there")
    if column.numbers is not None:
        _check_statistics(f"{path}.numbers", column.numbers)
    if column.categories is not None:
        _check_categories(f"{path}.categories", column.categories)


def _check_categories(path: str, categories: Categories) -> None:
    if len(categories.counts) != len(categories.values):
        expected = f"expected one for each of {len(categories.values)} categories"
        raise BundleFormatError(f"{path}.counts: {expected}, got {len(categories.counts)}")
    if categories.type == "boolean" and not set(categories.values) <= {"false", "true"}:
        raise BundleFormatError(f"{path}.values: expected 'false' and 'true', got {listing(categories.values)}")
    if categories.type == "number":
        for i, value in enumerate(categories.values):
            if not _is_number(value):
                raise BundleFormatError(f"{path}.values[{i}]: expected a number, got {value!r}")
        _check_different(f"{path}.values", "numbers", [str(float(value)) for value in categories.values])


def _is_number(text: str) -> bool:
    try:
        return math.isfinite(float(text))
    except ValueError:
        return False


def _check_statistics(path: str, numbers: NumberStatistics) -> None:
    if not numbers.minimum <= numbers.median <= numbers.maximum:
        got = f"{numbers.minimum}, {numbers.median}, {numbers.maximum}"
        raise BundleFormatError(f"{path}: expected minimum <= median <= maximum, got {got}")
    edges, fractions = numbers.bin_edges, numbers.bin_fractions
    if len(fractions) != len(edges) + 1:
        raise BundleFormatError(
            f"{path}.bin_fractions: expected one more than the {len(edges)} edges, got {len(fractions)}"
        )
    if abs(math.fsum(fractions) - 1) > ROUNDING:
        raise BundleFormatError(f"{path}.bin_fractions: expected a sum of 1, got {math.fsum(fractions)}")


def _check_graphs(sidecar: Sidecar) -> None:
    if sidecar.graph("predict") is None:
        raise BundleFormatError("$.graphs: expected a graph of kind 'predict'")
    kinds = [f"{graph.kind} {graph.variant or ''}".strip() for graph in sidecar.graphs]
    _check_different("$.graphs", "kinds and variants", kinds)
    for i, graph in enumerate(sidecar.graphs):
        _check_tensors(f"$.graphs[{i}]", graph)
    predict = sidecar.signature
    tensors = tuple(spec for each in sidecar.inputs for spec in each.tensors)
    if predict.inputs != tensors:
        got, expected = (listing(spec.name for spec in specs) for specs in (predict.inputs, tensors))
        raise BundleFormatError(f"$.graphs: expected the inputs' tensors ({expected}) in the model, got {got}")
    attention = sidecar.capabilities.get("attention")
    if attention is not None and attention.available and not any(map(_is_attention, predict.outputs)):
        raise BundleFormatError("$.capabilities.attention: expected an output 'attention' of shape [N, L, L]")


def _check_tensors(path: str, graph: Graph) -> None:
    for role, specs in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        for i, spec in enumerate(specs):
            values = math.prod(length for length in spec.shape[1:] if isinstance(length, int))
            if spec.shape[0] != "N" or values > MOST_VALUES:
                raise BundleFormatError(
                    f"{path}.{role}[{i}].shape: expected N rows of at most {MOST_VALUES} values, got {list(spec.shape)}"
                )
    _check_different(path, "tensor names", [spec.name for spec in (*graph.inputs, *graph.outputs)])


def _check_score(sidecar: Sidecar) -> None:
    """The outputs of the model are what its task says; the names of a task's outputs are fixed."""
    task = task_of(sidecar)
    outputs = sidecar.signature.outputs
    if sidecar.score.output != task.score:
        raise BundleFormatError(f"$.score.output: expected {task.score!r}, got {sidecar.score.output!r}")
    task.check_outputs({spec.name: spec.row_shape() for spec in outputs if spec.name in task.outputs})
    for spec in outputs:
        if spec.name in task.outputs:
            _check_type(f"output {spec.name!r}", spec, "float32")


def _is_attention(spec: TensorSpec) -> bool:
    return spec.name == "attention" and len(spec.shape) == 3 and spec.shape[1] == spec.shape[2]


def _check_type(path: str, spec: TensorSpec, expected: str) -> None:
    if spec.dtype != expected:
        raise BundleFormatError(f"{path}: expected {expected}, got {spec.dtype}")


def _check_files(sidecar: Sidecar) -> None:
    required = [graph.file for graph in sidecar.graphs if graph.kind in ("predict", "explain", "gradient")]
    required += [CONFORMANCE, *(baseline.file for baseline in sidecar.baselines if baseline.file is not None)]
    if sidecar.format_version > 1:
        required.append(CONFORMANCE_JSON)
    for name in required:
        if name not in sidecar.files:
            raise BundleFormatError(f"expected a digest of {name!r}, got digests of {listing(sidecar.files)}")


def _check_different(path: str, what: str, names: Sequence[object]) -> None:
    repeated = [str(name) for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise BundleFormatError(f"{path}: expected {what} to differ, got {listing(repeated)} twice")
