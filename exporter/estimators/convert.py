"""Estimators to ONNX by skl2onnx, with what it does wrong put right."""

import copy
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import onnx

from whyport.exporter.graphs.column_inputs import ML, ML_VERSION
from whyport.exporter.graphs.onnx import DEFAULT_IR, DEFAULT_OPSET
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.runtime.errors import ExportError, first_line

PROBABILITIES = "probabilities"


def convert(estimator: Any, width: int, *, in_float64: bool = False) -> onnx.ModelProto:
    """The graph of an estimator or a transformer from rows "features" [N, width].

    Args:
        estimator: it.
        width: how many columns it takes.
        in_float64: whether these are float64, which a transformer computes in then.

    Raises ExportError where skl2onnx has no way with it; the message names the estimator.
    """
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType

    estimator = _convertible(estimator)
    options = {id(each): {"zipmap": False} for each in [last_step(estimator)] if hasattr(each, "classes_")}
    try:
        with _whole_numbers(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            model: onnx.ModelProto = to_onnx(
                estimator,
                initial_types=[(INPUT, (DoubleTensorType if in_float64 else FloatTensorType)([None, width]))],
                target_opset={"": DEFAULT_OPSET, ML: ML_VERSION},
                options=options,
            )
    except Exception as error:  # converters fail in any way
        raise ExportError(
            f"{type(last_step(estimator)).__name__}: skl2onnx cannot convert it: {first_line(error)}; convert it to "
            f"ONNX yourself and export that file, or leave out the step it names"
        ) from error
    model.ir_version = min(model.ir_version, DEFAULT_IR)
    _one_default_set(model)
    return model


def _convertible(estimator: Any) -> Any:
    """The estimator, without a setting of voting that concerns its `transform` alone."""
    if type(last_step(estimator)).__name__ not in ("VotingClassifier",):
        return estimator
    estimator = copy.deepcopy(estimator)
    last_step(estimator).flatten_transform = False
    return estimator


def last_step(estimator: Any) -> Any:
    """The estimator at the end of a pipeline, or the estimator itself."""
    steps = getattr(estimator, "steps", None)
    return last_step(steps[-1][1]) if steps else estimator


def scores_name(model: onnx.ModelProto) -> str:
    """The output with probabilities or values, which is behind the labels of a classifier."""
    name: str = model.graph.output[-1].name
    return name


def _one_default_set(model: onnx.ModelProto) -> None:
    """Leave the default operator set in once, and put it in where it is missing."""
    versions = {entry.domain: entry.version for entry in model.opset_import}
    versions.setdefault("", DEFAULT_OPSET)
    del model.opset_import[:]
    model.opset_import.extend(onnx.helper.make_opsetid(domain, version) for domain, version in versions.items())


@contextmanager
def _whole_numbers() -> Iterator[None]:
    """Have skl2onnx write truth values of trees as whole numbers, which onnx asks for."""
    from skl2onnx.common import _container

    make_node = _container.make_node

    def make(*arguments: Any, **attributes: Any) -> Any:
        return make_node(*arguments, **{name: _plain(value) for name, value in attributes.items()})

    _container.make_node = make
    try:
        yield
    finally:
        _container.make_node = make_node


def _plain(value: Any) -> Any:
    if isinstance(value, np.ndarray) and value.dtype == bool:
        return value.astype(int).tolist()
    if isinstance(value, list | tuple) and any(isinstance(each, bool | np.bool_) for each in value):
        return [int(each) for each in value]
    return value
