"""Exports graphs to ONNX, and opens them with ONNX Runtime."""

import logging
import re
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
import torch
from google.protobuf.message import Message  # type: ignore[import-untyped]
from onnx import numpy_helper
from onnxscript import optimizer
from torch import Tensor, nn

from whyport.exporter.graphs import onnx_layers, onnx_operators
from whyport.exporter.graphs.any_rows import AnyRows
from whyport.exporter.graphs.graph import Graph
from whyport.exporter.graphs.layers import WholeLayers
from whyport.exporter.graphs.pruning import all_nodes
from whyport.exporter.graphs.row_values import row_values
from whyport.exporter.graphs.simplify import simplify
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.runtime.batching import ROW_VALUES_KEY
from whyport.runtime.bundle.sidecar import METADATA_KEY
from whyport.runtime.errors import ExportError, UsageError, first_line
from whyport.runtime.providers import load_onnxruntime

# onnxruntime 1.32.0 and onnxruntime-gpu 1.31.1 read both; the latter goes no further than the greatest ones.
DEFAULT_OPSET, GREATEST_OPSET = 18, 26
DEFAULT_IR, GREATEST_IR = 10, 13

FOLDED = 1 << 26
"""Elements up to which a constant is computed at export."""


def compile_onnx(graph: Graph, rows: Tensor, opset: int = DEFAULT_OPSET) -> onnx.ModelProto:
    """The graph with the input "features" [N, F], any N, and the outputs of its signature.

    Args:
        graph: the graph in eager mode.
        rows: raw rows [N, F] float32 to trace with.
        opset: version of the default operator set.

    Raises:
        UsageError: an opset that the runtime does not read, or the exporter does not write.
        ExportError: the graph cannot be exported.
    """
    return export_onnx(graph.module, {INPUT: rows}, graph.names, opset)


def export_onnx(
    module: nn.Module,
    inputs: Mapping[str, Tensor],
    outputs: Sequence[str],
    opset: int,
    optimise: Callable[[torch.onnx.ONNXProgram], None] = torch.onnx.ONNXProgram.optimize,
) -> onnx.ModelProto:
    """A module as ONNX, with the first axis of every input, N, of any length.

    Args:
        module: takes tensors and gives a tuple of them.
        inputs: to trace with, by name.
        outputs: the outputs' names.
        opset: version of the default operator set.
        optimise: what is done to the graph.

    Raises:
        As `compile_onnx`.
    """
    if not DEFAULT_OPSET <= opset <= GREATEST_OPSET:
        raise UsageError(f"expected an opset from {DEFAULT_OPSET} to {GREATEST_OPSET}, got {opset}")
    with _quiet(), torch.no_grad(), WholeLayers(), AnyRows():
        try:
            program = torch.onnx.export(
                module,
                tuple(inputs.values()),
                dynamo=True,
                opset_version=opset,
                input_names=list(inputs),
                output_names=list(outputs),
                dynamic_shapes=({0: torch.export.Dim("N")},) * len(inputs),
                verbose=False,
                optimize=False,
                custom_translation_table=onnx_layers.TRANSLATIONS | onnx_operators.TRANSLATIONS,
            )
            assert program is not None
            optimise(program)
        except Exception as error:
            raise ExportError(f"the network cannot be exported to ONNX: {_innermost_line(error)}") from error
    model = program.model_proto
    _check_any_rows(tensor for tensor in model.graph.input if tensor.name in inputs)
    _tidy(model)
    model.ir_version = max(DEFAULT_IR, onnx.helper.find_min_ir_version_for(model.opset_import))
    if default_opset(model) != opset:
        raise UsageError(f"opset {opset}: the exporter gave {default_opset(model)}; the default is {DEFAULT_OPSET}")
    return model


def _check_any_rows(tensors: Iterable[onnx.ValueInfoProto]) -> None:
    for tensor in tensors:
        first = tensor.type.tensor_type.shape.dim[0]
        if first.HasField("dim_value"):
            raise ExportError(
                f"the network cannot be exported to ONNX: expected one of any number of rows, got one of "
                f"{first.dim_value}, those that it was traced with: len(x) and int(x.shape[0]) fix the number, "
                f"and so do some functions of PyTorch; x.shape[0] does not"
            )


def export_lean(
    module: nn.Module, inputs: Mapping[str, Tensor], outputs: Sequence[str], opset: int, unfolded: Sequence[str] = ()
) -> onnx.ModelProto:
    """`export_onnx` for a module of hundreds of operators: what is constant is computed, whatever its size.

    The exporter's own optimiser matches hundreds of patterns, which takes longer than all the rest, and leaves large
    constants alone: the folding is its own, and the rest is done by ONNX Runtime's basic optimisations, which keep to
    plain operators.

    Args:
        module: see `export_onnx`, as the rest.
        inputs: to trace with, by name.
        outputs: the outputs' names.
        opset: version of the default operator set.
        unfolded: names of the module's buffers that a runtime computes with when it loads the file: they are small,
            and what follows from them is large.
    """

    def fold(program: torch.onnx.ONNXProgram) -> None:
        graph = program.model.graph
        graph.inputs.extend(graph.initializers.pop(name) for name in unfolded)
        _fold(program)

    model = export_onnx(module, inputs, outputs, opset, optimise=fold)
    lean = _optimise(model)
    simplify(lean)
    fixed = {name: module.get_buffer(name) for name in unfolded}
    changing = [value for value in lean.graph.input if value.name not in fixed]
    del lean.graph.input[:]
    lean.graph.input.extend(changing)
    lean.graph.initializer.extend(numpy_helper.from_array(value.numpy(), name) for name, value in fixed.items())
    foreign = sorted({node.domain for node in all_nodes(lean.graph.node)} - {"", "ai.onnx"})
    if foreign:
        raise ExportError(f"expected plain ONNX operators, got some of {', '.join(foreign)}")
    for opset_import in [entry for entry in lean.opset_import if entry.domain not in ("", "ai.onnx")]:
        lean.opset_import.remove(opset_import)
    _tidy(lean)
    return lean


def _fold(program: torch.onnx.ONNXProgram) -> None:
    optimizer.inline(program.model)
    optimizer.fold_constants(
        program.model, onnx_shape_inference=False, input_size_limit=FOLDED, output_size_limit=FOLDED
    )
    optimizer.remove_unused_nodes(program.model)


def _optimise(model: onnx.ModelProto) -> onnx.ModelProto:
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        options.optimized_model_filepath = str(path)
        try:
            onnxruntime.InferenceSession(
                model.SerializeToString(),
                options,
                providers=["CPUExecutionProvider"],
                disabled_optimizers=["MatMulAddFusion", "TransposeOptimizer"],
            )
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot load the model: {first_line(error)}") from error
        return onnx.load(path)


def _tidy(model: onnx.ModelProto) -> None:
    strip_notes(model)
    del model.graph.value_info[:]  # whoever needs the inner shapes infers them again


def default_opset(model: onnx.ModelProto) -> int:
    """The version of the operator set without a domain."""
    version: int = max(entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    return version


def finish(model: onnx.ModelProto, metadata: str) -> bytes:
    """model.onnx: checked, with the metadata in metadata_props, and with how much it computes for a row.

    Raises ExportError where the model is not valid ONNX.
    """
    del model.metadata_props[:]
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ExportError(f"the model is not valid ONNX: {first_line(error)}") from error
    values = row_values(model)
    onnx.helper.set_model_props(
        model, {METADATA_KEY: metadata} | ({} if values is None else {ROW_VALUES_KEY: str(values)})
    )
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def open_onnx(model: bytes) -> Any:
    """ONNX Runtime's session of a model on the CPU; ExportError where it cannot be loaded."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4  # errors come as exceptions
    options.enable_cpu_mem_arena = False  # it would keep what the largest batch has taken
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"ONNX Runtime cannot load the model: {first_line(error)}") from error


def walk(message: Message) -> Iterator[Message]:
    """A protobuf message and every message inside it."""
    yield message
    for field, value in message.ListFields():
        if field.message_type is not None:
            for part in [value] if isinstance(value, Message) else value:
                yield from walk(part)


def strip_notes(model: onnx.ModelProto) -> None:
    """Remove doc strings and metadata at every level: they hold stack traces with paths of some machine."""
    for message in walk(model):
        for name in ("metadata_props", "doc_string"):
            if name in message.DESCRIPTOR.fields_by_name:
                message.ClearField(name)


def _innermost_line(error: BaseException) -> str:
    """The exporter wraps the cause in pages of advice."""
    while error.__cause__ is not None:
        error = error.__cause__
    missing = re.search(r"No ONNX function found for <OpOverload\(op='([\w.]+)'", str(error))
    return f"ONNX has no operator for {missing[1]}" if missing else first_line(error)


@contextmanager
def _quiet() -> Iterator[None]:
    """Without the noise of the exporter, whose every failure is an exception."""
    noisy = [
        logging.getLogger("torch.onnx._internal.exporter._registration"),  # torchvision is not installed
        logging.getLogger("onnxscript"),
        logging.getLogger("onnx_ir"),
    ]
    levels = [logger.level for logger in noisy]
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "# The axis name: N will not be used", UserWarning)  # every input has it
        warnings.filterwarnings("ignore", "_check_is_size will be removed", FutureWarning)
        warnings.filterwarnings("ignore", r"`isinstance\(treespec, LeafSpec\)` is deprecated", FutureWarning)
        warnings.filterwarnings("ignore", r"The tensor attributes? self\.", UserWarning)  # weights of an LSTM
        for logger in noisy:
            logger.setLevel(logging.ERROR)
        try:
            yield
        finally:
            for logger, level in zip(noisy, levels, strict=True):
                logger.setLevel(level)
