"""Test vectors as Parquet, and as conformance.json for consumers that read no Parquet."""

import io
import json
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.runtime.bundle.class_maps import CAM, cam_graph
from whyport.runtime.bundle.graphs import TOLERANCE_OF, reasons_graphs, tolerance_of
from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.bundle.sidecar import ONNX_MODEL, Graph, Sidecar
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError, listing, message_line

JSON_ROWS = 16
JSON_VALUES = 1 << 16
"""Rows of conformance.json."""

SMALL: dict[str, Any] = {"thrift_string_size_limit": 1 << 24, "thrift_container_size_limit": 1 << 20}
"""Limits within which a bundle's Parquet files have their footers."""

MOST_UNPACKED = 1 << 10
"""The most bytes that a byte of such a file may unpack to: equal rows shrink well, but not without end."""

TYPES = {name: getattr(pa, name)() for name in ("float32", "float64", "int64", "uint8", "string")}
"""The type of a column by that of its tensor."""


def read_parquet(content: bytes) -> pa.Table:
    """The table in a small Parquet file of a bundle; raises BundleFormatError if it cannot be read.

    Read in this thread: after pyarrow's own threads have read from Python's memory, the process may abort at its end
    (apache/arrow#34314).
    """
    try:
        file = pq.ParquetFile(pa.BufferReader(content), **SMALL)
        declared = sum(file.metadata.row_group(i).total_byte_size for i in range(file.num_row_groups))
        if declared > MOST_UNPACKED * len(content):
            raise BundleFormatError(f"expected a small Parquet file, got {len(content)} bytes that hold {declared}")
        table = file.read(use_threads=False)
        table.validate(full=True)
    except (pa.ArrowException, OSError, ValueError) as error:
        raise BundleFormatError(
            f"expected a Parquet file, got content that is not one ({message_line(error)})"
        ) from None
    return table


def read_vectors(content: bytes, specs: tuple[TensorSpec, ...]) -> dict[str, NDArray[Any]]:
    """The tensors of a conformance or background file, each [N, ...] with the shape of its spec.

    Raises BundleFormatError if the file cannot be read, has no rows, or lacks a tensor, or if a tensor has another
    type or shape.
    """
    table = read_parquet(content)
    if not table.num_rows:
        raise BundleFormatError("expected rows, got a file without any")
    return {spec.name: _tensor(table, spec) for spec in specs}


def _tensor(table: pa.Table, spec: TensorSpec) -> NDArray[Any]:
    """The column of that name, [N, ...]."""
    found = table.column_names.count(spec.name)
    if found != 1:
        missing = f"missing column {spec.name!r}" if not found else f"column {spec.name!r} is there {found} times"
        raise BundleFormatError(f"{missing}; the file has {listing(table.column_names)}")
    column = table.column(spec.name)
    shape = (table.num_rows, *spec.row_shape())
    values = column.combine_chunks()
    whole = not values.null_count
    if len(shape) > 1:
        if whole and pa.types.is_list(values.type):
            # Written without Arrow's own schema, a fixed length is not known to the file.
            whole = pc.all(pc.equal(pc.list_value_length(values), math.prod(shape[1:]))).as_py()
        elif not (pa.types.is_fixed_size_list(values.type) and values.type.list_size == math.prod(shape[1:])):
            whole = False
        values = values.flatten() if whole else values
    if not whole or values.null_count or values.type != TYPES[spec.dtype]:
        expected = f"{spec.dtype} {list(spec.row_shape())}" if spec.row_shape() else spec.dtype
        raise BundleFormatError(f"column {spec.name!r}: expected {expected} in every row, got {column.type} or nulls")
    return np.asarray(values.to_numpy(zero_copy_only=False)).reshape(shape)


def to_parquet(tensors: Mapping[str, NDArray[Any]]) -> bytes:
    """One column per tensor: a number if a row has one value, otherwise a list of fixed length, row-major."""
    columns = [_column(tensor) for tensor in tensors.values()]
    buffer = io.BytesIO()
    pq.write_table(pa.table(columns, names=list(tensors)), buffer, compression="zstd")
    return buffer.getvalue()


def _column(tensor: NDArray[Any]) -> pa.Array:
    if tensor.ndim == 1:
        return pa.array(tensor)
    flat = np.ascontiguousarray(tensor).reshape(-1)
    return pa.FixedSizeListArray.from_arrays(pa.array(flat), flat.size // len(tensor))


def to_json(vectors: Mapping[str, NDArray[Any]], sidecar: Sidecar) -> bytes:
    """The first rows of the test vectors: every graph's inputs and outputs by name, NaN as null.

    Args:
        vectors: arrays by tensor name, N long on the first axis.
        sidecar: says which graphs there are.
    """
    predict = sidecar.graph("predict")
    assert predict is not None
    count = max(1, min(JSON_ROWS, JSON_VALUES // len(sidecar.features)))
    maps = cam_graph(sidecar)
    graphs = {ONNX_MODEL: predict, **reasons_graphs(sidecar)} | ({} if maps is None else {maps.file: maps})
    document = {
        "format_version": sidecar.format_version,
        "tolerances": {**sidecar.described().tolerances, **({} if maps is None else _of_maps(sidecar))},
        "standard_deviations": _spreads(sidecar),
        "graphs": {file: _replayed(graph) for file, graph in graphs.items()},
        "tensors": {name: _plain(values[:count]) for name, values in vectors.items()},
    }
    return (json.dumps(document, allow_nan=False) + "\n").encode()


def _of_maps(sidecar: Sidecar) -> dict[str, float]:
    return {TOLERANCE_OF[CAM]: tolerance_of(CAM, sidecar.tolerances)}


def _spreads(sidecar: Sidecar) -> list[float]:
    """The standard deviations of a row's values; of a picture alone those of its channels, which repeat."""
    (first, *others) = sidecar.inputs
    alone = isinstance(first.prepare, ImagePreparation) and not others
    return [each.spread for each in sidecar.features[: len(first.columns[0].channels) if alone else None]]


def _replayed(graph: Graph) -> dict[str, Any]:
    """What to feed a graph, and the tolerance of each of its outputs."""
    outputs = {spec.name: TOLERANCE_OF.get(spec.name, "outputs") for spec in graph.outputs}
    return {"inputs": [spec.name for spec in graph.inputs], "outputs": outputs}


def _plain(values: NDArray[Any]) -> Any:
    """Nested lists; float32 values as the shortest decimals that give the same float32 again."""
    if values.dtype == np.float32:
        values = values.astype("U").astype(np.float64)
    return _without_nan(values.tolist())


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if value != value else value
