"""Arithmetic on whole numbers, by ONNX Runtime's own quantisation."""

import logging
import tempfile
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx
from numpy.typing import NDArray

from whyport.exporter.shrink.weights import large_weights, weight_names
from whyport.runtime.errors import ExportError, first_line

PRODUCTS = ("Conv", "Gemm", "MatMul")
"""The operators that compute with whole numbers; all others pass float32 on."""

Feeds = Mapping[str, NDArray[Any]]
"""The tensors that a graph takes, by name, N long on the first axis."""


def dynamic_int8(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model with int8 weights, by channel, and activations that are quantised call by call.

    None where no operator can be quantised. Raises ExportError where ONNX Runtime cannot quantise it.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    with _prepared(model) as path:
        made = path.with_name("dynamic.onnx")
        quantize_dynamic(
            path,
            made,
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=_nodes_with_small_weights(path),
        )
        return _if_smaller(onnx.load(made))


def static_int8(model: onnx.ModelProto, feeds: Feeds) -> onnx.ModelProto | None:
    """The model with int8 weights, by channel, and activations in ranges that sample rows have filled.

    Weights take 7 bits: sums of 8-bit products overflow on processors without special instructions for them.

    Args:
        model: the graph in full size.
        feeds: the sample rows as the graph takes them.

    Returns:
        The model; None where no operator can be quantised.

    Raises:
        ExportError: ONNX Runtime cannot quantise it.
    """
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    with _prepared(model) as path:
        made = path.with_name("static.onnx")
        quantize_static(
            path,
            made,
            _row_reader(feeds),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(PRODUCTS),
            nodes_to_exclude=_nodes_with_small_weights(path),
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            extra_options={"MatMulConstBOnly": True},
        )
        return _if_smaller(onnx.load(made))


def _nodes_with_small_weights(path: Path) -> list[str]:
    """The names of the products whose weights are a small part of all; a node without a name gets one in the file."""
    model = onnx.load(path)
    for i, node in enumerate(model.graph.node):
        node.name = node.name or f"node {i}"
    onnx.save(model, path)
    large, every = large_weights(model.graph), weight_names(model.graph)
    return [
        node.name
        for node in model.graph.node
        if node.op_type in PRODUCTS and every & set(node.input) and not large & set(node.input)
    ]


def _if_smaller(model: onnx.ModelProto) -> onnx.ModelProto | None:
    """The model; None where it has no weight of 8 bits."""
    bits = (onnx.TensorProto.INT8, onnx.TensorProto.UINT8)
    return model if any(tensor.data_type in bits for tensor in model.graph.initializer) else None


def _row_reader(feeds: Feeds) -> Any:
    """One row after the other, as onnxruntime's calibration asks for them."""
    from onnxruntime.quantization import CalibrationDataReader

    count = min(len(values) for values in feeds.values())
    rows = ({name: values[i : i + 1] for name, values in feeds.items()} for i in range(count))

    class Rows(CalibrationDataReader):  # type: ignore[misc]
        def get_next(self) -> dict[str, NDArray[Any]] | None:
            return next(rows, None)

    return Rows()


@contextmanager
def _prepared(model: onnx.ModelProto) -> Iterator[Path]:
    """The model in a file of its own folder, with shapes and without what can be fused.

    The quantiser's errors, which have no common class, become an ExportError.
    """
    from onnxruntime.quantization.shape_inference import quant_pre_process

    root = logging.getLogger()
    level = root.level
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        root.setLevel(logging.ERROR)  # it warns of every operator that it leaves alone
        try:
            full, path = Path(folder) / "full.onnx", Path(folder) / "prepared.onnx"
            onnx.save(model, full)
            quant_pre_process(full, path, skip_symbolic_shape=True)
            yield path
        except Exception as error:
            raise ExportError(f"ONNX Runtime cannot quantise it: {first_line(error)}") from error
        finally:
            root.setLevel(level)
