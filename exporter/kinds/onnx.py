"""Plain ONNX files: one float32 input [N, F], scores [N, K]."""

from functools import cached_property
from pathlib import Path
from typing import final

import onnx
from onnx import TensorProto, ValueInfoProto
from onnx.external_data_helper import uses_external_data

from whyport.exporter.data.images import given_scale
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.conform import inputs_of, is_float_matrix, is_float_tensor, is_float_vector
from whyport.exporter.graphs.one_input import one_input, take_rows
from whyport.exporter.graphs.onnx import GREATEST_IR, GREATEST_OPSET, default_opset, strip_notes, walk
from whyport.exporter.graphs.repair import repair
from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.networks.compile import compile_onnx_network
from whyport.exporter.networks.labels import class_labels, names_of
from whyport.exporter.trees.facts import tree_facts
from whyport.exporter.trees.plain import compile_onnx_trees
from whyport.exporter.trees.read import has_trees
from whyport.runtime.bundle.score import REGRESSION
from whyport.runtime.errors import ExportError, UsageError, first_line, unknown
from whyport.runtime.task import Task


@final
class OnnxModel(Kind):
    """A file named *.onnx, taken as it is; explained like a module where it is a network that can be imported."""

    refusal = "is for PyTorch modules: an ONNX file is taken as it is"

    @property
    def file(self) -> Path:
        path: Path = self.model
        return path

    def facts(self, columns: tuple[str, ...]) -> ModelFacts:
        model = self._read
        if has_trees(model):
            return tree_facts(model, self.source, columns, find_scores)
        return ModelFacts(targets=() if self.source.task == REGRESSION else names_of(class_labels(model)))

    def compile(self, draft: Draft) -> Compiled:
        model = onnx.ModelProto()
        model.CopyFrom(self._read)
        if draft.given:
            given = one_input(draft.given, self.label)
            check_tensor(model, given.name)
            take_rows(model, given, given_scale(self.source.inputs))
        check_input(model, len(draft.features))
        scores = find_scores(model, type(draft.task), self.source.output)
        return (compile_onnx_trees if has_trees(model) else compile_onnx_network)(model, draft, scores)

    @cached_property
    def _read(self) -> onnx.ModelProto:
        return read_onnx(self.file)


def read_onnx(path: Path) -> onnx.ModelProto:
    """A valid model in one file, repaired, of versions that ONNX Runtime reads; ExportError otherwise."""
    try:
        model = onnx.load(path, load_external_data=False)
        _check_texts(model)
        elsewhere = [m.name for m in walk(model) if isinstance(m, TensorProto) and uses_external_data(m)]
        ambiguity = repair(model)
        if not elsewhere and not ambiguity:
            onnx.checker.check_model(model)
    except Exception as error:  # a damaged file fails in any way
        raise ExportError(f"{path.name} is not a valid ONNX file: {first_line(error)}") from error
    if elsewhere:
        raise ExportError(
            f"{path.name} keeps {len(elsewhere)} weights in other files, {elsewhere[0]!r} among them; expected one "
            f"file: onnx.save(onnx.load(path), path) writes it"
        )
    if ambiguity:
        raise ExportError(f"{path.name} {ambiguity}")
    if model.ir_version > GREATEST_IR or default_opset(model) > GREATEST_OPSET:
        raise ExportError(
            f"{path.name} has IR version {model.ir_version} and opset {default_opset(model)}; ONNX Runtime reads up to "
            f"IR version {GREATEST_IR} and opset {GREATEST_OPSET}"
        )
    strip_notes(model)
    return model


def _check_texts(model: onnx.ModelProto) -> None:
    """Raise TypeError where a name is not UTF-8: protobuf gives it as bytes, which compare with no text."""
    for message in walk(model):
        for field, value in message.ListFields():
            if field.type == field.TYPE_STRING:
                for text in [value] if isinstance(value, str | bytes) else value:
                    if isinstance(text, bytes):
                        raise TypeError(f"{field.full_name} is not UTF-8: {text!r}")


def check_input(model: onnx.ModelProto, features: int) -> None:
    """Raise ExportError unless the one input is float32 [N, features] with any N."""
    inputs = inputs_of(model.graph)
    has = f"the model has {_describe(inputs)}"
    if len(inputs) != 1 or not is_float_matrix(inputs[0]):
        raise ExportError(f"expected one float32 input of shape [N, {features}]; {has}")
    rows, width = inputs[0].type.tensor_type.shape.dim
    if rows.HasField("dim_value"):
        raise ExportError(f"expected a dynamic batch axis, got one of fixed length {rows.dim_value}; {has}")
    if width.HasField("dim_value") and width.dim_value != features:
        raise ExportError(f"expected an input for {features} features, the sample's; {has}")


def check_tensor(model: onnx.ModelProto, name: str) -> None:
    """Raise unless the one input is a float32 tensor of that name: UsageError for another name, else ExportError."""
    inputs = inputs_of(model.graph)
    if len(inputs) != 1 or not is_float_tensor(inputs[0]):
        raise ExportError(f"expected one float32 input; the model has {_describe(inputs)}")
    if inputs[0].name != name:
        raise UsageError(f"--input: {unknown('input', name, [inputs[0].name])}")
    rows = inputs[0].type.tensor_type.shape.dim[0]
    if rows.HasField("dim_value"):
        has = f"the model has {_describe(inputs)}"
        raise ExportError(f"expected a dynamic batch axis, got one of fixed length {rows.dim_value}; {has}")


def find_scores(model: onnx.ModelProto, task: type[Task], output: str | None = None) -> str:
    """The output that holds the scores; ExportError where it is not plain, UsageError where there is none of the name.

    Args:
        model: the model.
        task: what the scores are: an output of its scores' name has them, or the only float32 output [N, K] or [N].
        output: the name that the user gives.
    """
    outputs = list(model.graph.output)
    floats = [value.name for value in outputs if is_float_tensor(value)]
    if output is not None:
        if output not in floats:
            raise UsageError(f"--output: {unknown('float32 output', output, floats)}")
        return output
    if task.score in floats:
        return task.score
    matrices = [value.name for value in outputs if is_float_matrix(value)]
    found: list[str] = matrices or [value.name for value in outputs if is_float_vector(value)]
    if len(found) != 1:
        maps = any(value.type.HasField("sequence_type") for value in outputs)
        hint = "; of scikit-learn's converter, options={'zipmap': False} gives tensors" if maps else ""
        raise ExportError(
            f"expected an output named {task.score!r}, or just one float32 output [N, {task.targets_title}]; the model "
            f"has {_describe(outputs)}{hint}; --output NAME says which holds the {task.score}"
        )
    return found[0]


def _describe(values: list[ValueInfoProto]) -> str:
    return ", ".join(_describe_one(value) for value in values) or "none"


def _describe_one(value: ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return f"{value.name!r} (not a tensor)"
    lengths = [str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim]
    known = tensor.elem_type in TensorProto.DataType.values()
    kind = TensorProto.DataType.Name(tensor.elem_type).lower() if known else f"type {tensor.elem_type}"
    return f"{value.name!r} ({kind} [{', '.join(lengths)}])"
