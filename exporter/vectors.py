"""conformance.json: test vectors for consumers that read no Parquet."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import ONNX_MODEL, Sidecar
from runtime.explaining import CLASS_INDEX, GRAPHS, TOLERANCE_OF

ROWS = 16


def to_json(vectors: Mapping[str, NDArray[Any]], sidecar: Sidecar) -> bytes:
    """The first rows of the test vectors: every graph's inputs and outputs by name, NaN as null.

    Args:
        vectors: by tensor, N long on the first axis.
        sidecar: says which graphs there are.
    """
    model = {"inputs": [sidecar.signature.features.name], "outputs": _outputs(sidecar.signature.outputs)}
    graphs = {ONNX_MODEL: model}
    for name, graph in GRAPHS.items():
        if sidecar.capabilities[graph.capability].available:
            outputs = _outputs(graph.outputs(sidecar.signature))
            graphs[name] = {"inputs": [*model["inputs"], CLASS_INDEX.name], "outputs": outputs}
    document = {
        "format_version": sidecar.format_version,
        "tolerances": dataclasses.asdict(sidecar.tolerances),
        "standard_deviations": [feature.standard_deviation for feature in sidecar.features],
        "graphs": graphs,
        "tensors": {name: _plain(values[:ROWS]) for name, values in vectors.items()},
    }
    return (json.dumps(document, allow_nan=False) + "\n").encode()


def _outputs(specs: Any) -> dict[str, str]:
    return {spec.name: TOLERANCE_OF.get(spec.name, "outputs") for spec in specs}


def _plain(values: NDArray[Any]) -> Any:
    """Nested lists; of float32 the shortest decimals that give the same float32 again."""
    if values.dtype == np.float32:
        values = values.astype("U").astype(np.float64)
    return _without_nan(values.tolist())


def _without_nan(value: Any) -> Any:
    if isinstance(value, list):
        return [_without_nan(item) for item in value]
    return None if value != value else value
