"""Thresholds as float32 that part float32 numbers as thresholds in float64 do."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, helper

from whyport.runtime.errors import ExportError

LOWEST = np.float32(-np.inf)


def round_down(thresholds: Any) -> NDArray[np.float32]:
    """The largest float32 that is at most each threshold: `x <= t` is the same of both for every float32 x.

    Rounding to the nearest sends every x between t and the rounded threshold to the wrong side.
    """
    exact = np.asarray(thresholds, dtype=np.float64)
    with np.errstate(over="ignore"):
        nearest = exact.astype(np.float32)
        return np.where(nearest > exact, np.nextafter(nearest, LOWEST), nearest)


def round_below(thresholds: Any) -> NDArray[np.float32]:
    """The largest float32 below each threshold: `x < t` is `x <= round_below(t)` for every float32 x."""
    exact = np.asarray(thresholds, dtype=np.float64)
    at_most = round_down(exact)
    with np.errstate(over="ignore"):
        return np.where(at_most == exact, np.nextafter(at_most, LOWEST), at_most)


def set_thresholds(node: NodeProto, thresholds: Sequence[float]) -> None:
    """Round the thresholds of a TreeEnsembleClassifier or TreeEnsembleRegressor down, in place.

    Args:
        node: the operator, whose converter rounded its thresholds to the nearest float32.
        thresholds: the native ones in float64, of every inner node in the operator's order; leaves have none.

    Raises:
        ExportError: the operator has other thresholds than these, rounded.
    """
    attributes = {attribute.name: attribute for attribute in node.attribute}
    modes = [mode.decode() for mode in helper.get_attribute_value(attributes["nodes_modes"])]
    inner = np.array([mode != "LEAF" for mode in modes])
    values = np.array(helper.get_attribute_value(attributes["nodes_values"]), dtype=np.float32)
    native = np.asarray(thresholds, dtype=np.float64)
    if len(native) != inner.sum() or (values[inner] != native.astype(np.float32)).any():
        raise ExportError(f"expected the {len(native)} thresholds of the model in its {node.op_type}, got others")
    values[inner] = round_down(native)
    attributes["nodes_values"].CopyFrom(onnx.helper.make_attribute("nodes_values", values.tolist()))
