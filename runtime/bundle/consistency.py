"""The rules between the keys of a sidecar, which neither a type nor a constraint on one value can say."""

import math
from collections import Counter
from collections.abc import Sequence

from whyport.runtime.bundle.sidecar import (
    CONFORMANCE,
    CONFORMANCE_JSON,
    EXPLAIN_MODEL,
    ONNX_MODEL,
    Feature,
    Sidecar,
    task_of,
)
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError, listing

ROUNDING = 1e-6
"""The error of a sum of shares that is allowed."""

MOST_VALUES = 1 << 24
"""The most values in one row of a tensor."""


def check_consistency(sidecar: Sidecar) -> None:
    """Raise BundleFormatError for a sidecar that contradicts itself."""
    _check_inputs(sidecar)
    _check_outputs(sidecar)
    for i, feature in enumerate(sidecar.features):
        _check_statistics(f"$.features[{i}]", feature)
    imputation, width = sidecar.preprocessing.imputation, len(sidecar.features)
    if imputation is not None and len(imputation) != width:
        raise BundleFormatError(
            f"$.preprocessing.imputation: expected {width} imputation values, got {len(imputation)}"
        )
    _check_files(sidecar)


def _check_inputs(sidecar: Sidecar) -> None:
    width = len(sidecar.features)
    names = tuple(feature.name for feature in sidecar.features)
    inputs = sidecar.signature.inputs
    if len(inputs) != 1 or inputs[0].columns != names or inputs[0].shape != ("N", width):
        got = listing(f"{spec.name} {list(spec.shape)} of {len(spec.columns)} columns" for spec in inputs)
        raise BundleFormatError(f"$.signature.inputs: expected one input [N, {width}] fed by the features, got {got}")
    if inputs[0].dtype != "float32":
        raise BundleFormatError(f"$.signature.inputs[0].dtype: expected float32, got {inputs[0].dtype}")
    if len(set(names)) != width:
        raise BundleFormatError(f"$.features: expected feature names to differ, got {listing(_repeated(names))} twice")


def _check_outputs(sidecar: Sidecar) -> None:
    outputs = sidecar.signature.outputs
    for i, spec in enumerate(outputs):
        path = f"$.signature.outputs[{i}]"
        if spec.shape[0] != "N" or math.prod(spec.row_shape()) > MOST_VALUES:
            raise BundleFormatError(
                f"{path}.shape: expected N rows of at most {MOST_VALUES} values, got {list(spec.shape)}"
            )
        if spec.columns:
            raise BundleFormatError(f"{path}.columns: expected none for an output, got {listing(spec.columns)}")
    names = [spec.name for spec in (*sidecar.signature.inputs, *outputs)]
    if len(set(names)) != len(names):
        raise BundleFormatError(f"$.signature: expected tensor names to differ, got {listing(_repeated(names))} twice")
    task = task_of(sidecar)
    task.check_outputs({spec.name: spec.row_shape() for spec in outputs})
    for spec in outputs:
        if spec.name in task.outputs and spec.dtype != "float32":
            raise BundleFormatError(f"output {spec.name!r}: expected float32, got {spec.dtype}")
    attention = sidecar.capabilities.get("attention")
    if attention is not None and attention.available and not any(_is_attention(spec) for spec in outputs):
        raise BundleFormatError("$.capabilities.attention: expected an output 'attention' of shape [N, L, L]")


def _is_attention(spec: TensorSpec) -> bool:
    return spec.name == "attention" and len(spec.shape) == 3 and spec.shape[1] == spec.shape[2]


def _check_statistics(path: str, feature: Feature) -> None:
    if not feature.minimum <= feature.median <= feature.maximum:
        got = f"{feature.minimum}, {feature.median}, {feature.maximum}"
        raise BundleFormatError(f"{path}: expected minimum <= median <= maximum, got {got}")
    edges, fractions = feature.bin_edges, feature.bin_fractions
    if len(fractions) != len(edges) + 1:
        raise BundleFormatError(
            f"{path}.bin_fractions: expected one more than the {len(edges)} edges, got {len(fractions)}"
        )
    if abs(math.fsum(fractions) - 1) > ROUNDING:
        raise BundleFormatError(f"{path}.bin_fractions: expected a sum of 1, got {math.fsum(fractions)}")


def _check_files(sidecar: Sidecar) -> None:
    required = [ONNX_MODEL, CONFORMANCE, *([sidecar.background] if sidecar.background else [])]
    if sidecar.format_version > 1:
        required.append(CONFORMANCE_JSON)
    if sidecar.summary:
        required += [EXPLAIN_MODEL, sidecar.summary.file]
    for name in required:
        if name not in sidecar.files:
            raise BundleFormatError(f"expected a digest of {name!r}, got digests of {listing(sidecar.files)}")


def _repeated(names: Sequence[str]) -> list[str]:
    """The names that occur more than once."""
    return [name for name, times in Counter(names).items() if times > 1]
