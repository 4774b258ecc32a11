"""Replays the test vectors of a bundle: conformance.parquet holds a column for every tensor of the signature."""

import io
from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.bundle import CONFORMANCE, METADATA_KEY, decode_sidecar
from runtime.errors import BundleFormatError, ParityError
from runtime.parity import deviation
from runtime.session import Session
from runtime.signature import TensorSpec


def read_vectors(content: bytes, specs: tuple[TensorSpec, ...]) -> dict[str, NDArray[Any]]:
    """The tensors of a conformance or background file, each [N, ...] as its spec says."""
    import pyarrow.parquet

    table = pyarrow.parquet.read_table(io.BytesIO(content))
    vectors = {}
    for spec in specs:
        if spec.name not in table.column_names:
            raise BundleFormatError(f"missing column {spec.name!r}; the file has {table.column_names}")
        column = table.column(spec.name).combine_chunks()
        flat = (column.flatten() if spec.row_shape() else column).to_numpy(zero_copy_only=False)
        vectors[spec.name] = np.asarray(flat, dtype=spec.dtype).reshape(table.num_rows, *spec.row_shape())
    return vectors


def replay(session: Session) -> dict[str, float]:
    """Run the test vectors and compare: the deviation by output.

    Raises ParityError where an output is further off than the bundle's tolerance, BundleFormatError where the
    metadata inside model.onnx is not the sidecar's.
    """
    bundle = session.bundle
    signature, tolerance = bundle.sidecar.signature, bundle.sidecar.tolerances.outputs
    if decode_sidecar(session.embedded_metadata().get(METADATA_KEY, "")) != bundle.sidecar.described():
        raise BundleFormatError(f"the metadata in model.onnx is not that of bundle.json, in {str(bundle.path)!r}")
    vectors = read_vectors(bundle.read_bytes(CONFORMANCE), (*signature.inputs, *signature.outputs))
    got = session.run(vectors[signature.features.name])
    deviations = {name: deviation(values, vectors[name]) for name, values in got.items()}
    for name, value in deviations.items():
        if value > tolerance:
            raise ParityError(
                f"output {name!r} on {session.provider.name}: expected the conformance values within {tolerance:g}, "
                f"got a deviation of {value:.3g}, in {str(bundle.path)!r}"
            )
    return deviations
