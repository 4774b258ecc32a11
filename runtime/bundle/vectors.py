"""Test vectors as Parquet, and as conformance.json for consumers that read no Parquet."""

import dataclasses
import io
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from whyport.runtime.bundle.graphs import (
    CLASS_INDEX,
    GRAPHS,
    TOLERANCE_OF,
)
from whyport.runtime.bundle.sidecar import ONNX_MODEL, Sidecar, task_of
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError

JSON_ROWS = 16
"""Rows of conformance.json."""


def read_parquet(content: bytes) -> pa.Table:
    """The table in a small Parquet file.

    Read in this thread: after pyarrow's own threads have read from Python's memory, the process may abort at its end
    (apache/arrow#34314).
    """
    return pq.ParquetFile(pa.BufferReader(content)).read(use_threads=False)


def read_vectors(content: bytes, specs: tuple[TensorSpec, ...]) -> dict[str, NDArray[Any]]:
    """The tensors of a conformance or background file, each [N, ...] with the shape of its spec."""
    table = read_parquet(content)
    vectors = {}
    for spec in specs:
        if spec.name not in table.column_names:
            raise BundleFormatError(f"missing column {spec.name!r}; the file has {table.column_names}")
        column = table.column(spec.name).combine_chunks()
        flat = (column.flatten() if spec.row_shape() else column).to_numpy(zero_copy_only=False)
        vectors[spec.name] = np.asarray(flat, dtype=spec.dtype).reshape(table.num_rows, *spec.row_shape())
    return vectors


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
    model = {"inputs": [sidecar.signature.features.name], "outputs": _outputs(sidecar.signature.outputs)}
    graphs = {ONNX_MODEL: model}
    for name, graph in GRAPHS.items():
        if sidecar.capabilities[graph.capability].available:
            outputs = _outputs(graph.outputs(sidecar.signature, task_of(sidecar)))
            graphs[name] = {"inputs": [*model["inputs"], CLASS_INDEX.name], "outputs": outputs}
    document = {
        "format_version": sidecar.format_version,
        "tolerances": dataclasses.asdict(sidecar.tolerances),
        "standard_deviations": [feature.standard_deviation for feature in sidecar.features],
        "graphs": graphs,
        "tensors": {name: _plain(values[:JSON_ROWS]) for name, values in vectors.items()},
    }
    return (json.dumps(document, allow_nan=False) + "\n").encode()


def _outputs(specs: Any) -> dict[str, str]:
    return {spec.name: TOLERANCE_OF.get(spec.name, "outputs") for spec in specs}


def _plain(values: NDArray[Any]) -> Any:
    """Nested lists; float32 values as the shortest decimals that give the same float32 again."""
    if values.dtype == np.float32:
        values = values.astype("U").astype(np.float64)
    return _without_nan(values.tolist())


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if value != value else value
