"""Plain ONNX files, taken as classifiers: one float32 input [N, F], logits [N, C]."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, final

import numpy as np
import onnx
from google.protobuf.message import DecodeError, Message  # type: ignore[import-untyped]
from numpy.typing import NDArray
from onnx import GraphProto, NodeProto, TensorProto, ValueInfoProto
from onnx.external_data_helper import uses_external_data

from whyport.exporter.data.samples import CONFORMANCE_ROWS, TRACE
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.graphs.graph import INPUT, capability
from whyport.exporter.graphs.onnx import GREATEST_IR, GREATEST_OPSET, default_opset, open_onnx, strip_notes, walk
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.verify.engines import onnx_outputs
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle.sidecar import Capability
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ExportError, first_line

LOGITS, PROBABILITIES = "logits", "probabilities"


@final
class OnnxModel(Kind):
    """A file named *.onnx, taken as it is: predictions alone."""

    refusal = "is for PyTorch modules: an ONNX file is taken as it is"

    @property
    def label(self) -> str:
        # Its folder belongs to this machine.
        return self.file.name

    @property
    def file(self) -> Path:
        path: Path = self.model
        return path

    def compile(self, draft: Draft) -> Compiled:
        model = read_onnx(self.file)
        check_input(model, len(draft.features))
        rows = draft.probes(CONFORMANCE_ROWS, TRACE)
        logits = find_logits(model)
        values = onnx_outputs(open_onnx(model.SerializeToString()), [logits])(rows)[logits]
        if values.ndim != 2 or len(values) != len(rows) or values.shape[1] < 2:
            raise ExportError(f"output {logits!r}: expected [N, 2 or more classes], got {list(values.shape)}")
        outputs = conform(model, logits, (len(draft.features), values.shape[1]))
        file = OnnxFile(model)
        check_logits(onnx_outputs(file.session, [LOGITS, PROBABILITIES])(rows), TOLERANCES.outputs)
        return Compiled(outputs, _capabilities(), file)


def _capabilities() -> dict[str, Capability]:
    no_gradients = capability("the bundle was made from an ONNX file, which has no gradients")
    return {
        "gradients": no_gradients,
        "grad-cam": no_gradients,
        "deepshap": capability("it is compiled from PyTorch modules"),
        "attention": capability("only logits and probabilities are taken from an ONNX file"),
    }


def read_onnx(path: Path) -> onnx.ModelProto:
    """A valid model in one file, of versions that ONNX Runtime reads; ExportError otherwise."""
    try:
        model = onnx.load(path, load_external_data=False)
        elsewhere = [m.name for m in walk(model) if isinstance(m, TensorProto) and uses_external_data(m)]
        if elsewhere:
            raise ExportError(
                f"{path.name} keeps {len(elsewhere)} weights in other files, {elsewhere[0]!r} among them; expected one "
                f"file: onnx.save(onnx.load(path), path) writes it"
            )
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError) as error:
        raise ExportError(f"{path.name} is not a valid ONNX file: {first_line(error)}") from error
    domains = [entry.domain for entry in model.opset_import]
    if not {"", "ai.onnx"} & set(domains):
        raise ExportError(f"{path.name} imports no default operator set, only {domains}")
    if model.ir_version > GREATEST_IR or default_opset(model) > GREATEST_OPSET:
        raise ExportError(
            f"{path.name} has IR version {model.ir_version} and opset {default_opset(model)}; ONNX Runtime reads up to "
            f"IR version {GREATEST_IR} and opset {GREATEST_OPSET}"
        )
    strip_notes(model)
    return model


def check_input(model: onnx.ModelProto, features: int) -> None:
    """Raise ExportError unless the one input is float32 [N, features] with any N."""
    inputs = _inputs(model.graph)
    has = f"the model has {_describe(inputs)}"
    if len(inputs) != 1 or not _is_float_matrix(inputs[0]):
        raise ExportError(f"expected one float32 input of shape [N, {features}]; {has}")
    rows, width = inputs[0].type.tensor_type.shape.dim
    if rows.HasField("dim_value"):
        raise ExportError(f"expected a dynamic batch axis, got one of fixed length {rows.dim_value}; {has}")
    if width.HasField("dim_value") and width.dim_value != features:
        raise ExportError(f"expected an input for {features} features, the sample's; {has}")


def find_logits(model: onnx.ModelProto) -> str:
    """The output named "logits", or the only float32 output [N, C]; ExportError where there is none."""
    outputs = list(model.graph.output)
    if any(output.name == LOGITS for output in outputs):
        return LOGITS
    matrices: list[str] = [output.name for output in outputs if _is_float_matrix(output)]
    if len(matrices) != 1:
        raise ExportError(
            f"expected an output named {LOGITS!r}, or just one float32 output [N, classes]; the model has "
            f"{_describe(outputs)}"
        )
    return matrices[0]


def check_logits(values: Mapping[str, NDArray[Any]], tolerance: float) -> None:
    """Raise ExportError where the logits are probabilities, or the model's own probabilities are not their softmax.

    Args:
        values: "logits" and "probabilities", each [N, C].
        tolerance: how far a probability may be off.
    """
    logits = values[LOGITS].astype(np.float64)
    if (logits >= 0).all() and (abs(logits.sum(axis=1) - 1) < tolerance).all():
        raise ExportError("the output taken as logits holds probabilities: its rows sum to 1; expected the logits")
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    if not (abs(values[PROBABILITIES] - expected) <= tolerance).all():
        raise ExportError(f"the output {PROBABILITIES!r} is not the softmax of the logits")


def conform(model: onnx.ModelProto, logits: str, sizes: tuple[int, int]) -> tuple[TensorSpec, ...]:
    """Change the model in place to give a bundle's tensors alone, under their names.

    Args:
        model: the model.
        logits: the name of its logits so far.
        sizes: numbers of features and of classes.

    Returns:
        What it gives now.
    """
    graph = model.graph
    features, classes = sizes
    own_probabilities = any(output.name == PROBABILITIES for output in graph.output)
    kept = {PROBABILITIES: PROBABILITIES} if own_probabilities else {}
    _rename(graph, {_inputs(graph)[0].name: INPUT, logits: LOGITS, **kept})
    if not own_probabilities:
        graph.node.append(onnx.helper.make_node("Softmax", [LOGITS], [PROBABILITIES], axis=1))
    initializers = {tensor.name for tensor in graph.initializer}
    others = [value for value in graph.input if value.name in initializers]
    del graph.input[:], graph.output[:], graph.value_info[:]
    graph.input.extend([_matrix(INPUT, features), *others])
    graph.output.extend([_matrix(LOGITS, classes), _matrix(PROBABILITIES, classes)])
    return tuple(TensorSpec(name, "float32", ("N", classes)) for name in (LOGITS, PROBABILITIES))


def _rename(graph: GraphProto, names: dict[str, str]) -> None:
    """Rename tensors; others that have a bundle's names make way for them."""
    used = {name for message in walk(graph) for name in _names(message)}
    for taken in {INPUT, LOGITS, PROBABILITIES} - set(names):
        if taken in used:
            names[taken] = next(f"{taken}.{i}" for i in range(len(used) + 1) if f"{taken}.{i}" not in used)
    for message in walk(graph):
        if isinstance(message, NodeProto):
            message.input[:] = [names.get(name, name) for name in message.input]
            message.output[:] = [names.get(name, name) for name in message.output]
        elif isinstance(message, ValueInfoProto | TensorProto) and message.name in names:
            message.name = names[message.name]


def _names(message: Message) -> Iterator[str]:
    if isinstance(message, NodeProto):
        yield from (*message.input, *message.output)
    elif isinstance(message, ValueInfoProto | TensorProto):
        yield message.name


def _inputs(graph: GraphProto) -> list[ValueInfoProto]:
    """Old models list their weights among the inputs."""
    initializers = {tensor.name for tensor in graph.initializer}
    return [value for value in graph.input if value.name not in initializers]


def _is_float_matrix(value: ValueInfoProto) -> bool:
    tensor = value.type.tensor_type
    return tensor.elem_type == TensorProto.FLOAT and len(tensor.shape.dim) == 2


def _matrix(name: str, width: int) -> ValueInfoProto:
    return onnx.helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", width])


def _describe(values: list[ValueInfoProto]) -> str:
    return ", ".join(_describe_one(value) for value in values) or "none"


def _describe_one(value: ValueInfoProto) -> str:
    tensor = value.type.tensor_type
    if not value.type.HasField("tensor_type"):
        return f"{value.name!r} (not a tensor)"
    lengths = [str(dim.dim_value) if dim.HasField("dim_value") else dim.dim_param or "?" for dim in tensor.shape.dim]
    return f"{value.name!r} ({TensorProto.DataType.Name(tensor.elem_type).lower()} [{', '.join(lengths)}])"
