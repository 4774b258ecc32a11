"""One way to call a graph, whichever engine runs it: rows in, named arrays out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyport.runtime.errors import ExportError, first_line
from whyport.runtime.providers import load_onnxruntime

Engine = Callable[[NDArray[np.float32]], dict[str, NDArray[Any]]]
"""Raw rows [N, F] to arrays by name, N long on the first axis."""


def torch_outputs(module: Any, names: Sequence[str]) -> Engine:
    """The outputs of an eager or a TorchScript module."""

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        with torch.no_grad():
            return _named(names, module(torch.from_numpy(rows)))

    return run


def torch_split_outputs(module: Any, names: Sequence[str]) -> Engine:
    """The same outputs by way of the feature maps."""

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        with torch.no_grad():
            return _named(names, module.classify(module.features(torch.from_numpy(rows))))

    return run


def torch_gradients(module: Any, classes: Sequence[str], spread: NDArray[np.float32]) -> Engine:
    """The gradient of each class's logit in the input, [N, F] by class, in logits per training standard deviation.

    Args:
        module: an eager or a TorchScript module whose first output is the logits.
        classes: the class names.
        spread: [F], the features' training standard deviations.
    """

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        leaf = torch.from_numpy(rows).clone().requires_grad_()
        logits = module(leaf)[0]
        gradients = {}
        for index, name in enumerate(classes):
            (gradient,) = torch.autograd.grad(logits[:, index].sum(), leaf, retain_graph=True)
            gradients[f"gradient of {name}"] = gradient.numpy() * spread
        return gradients

    return run


def onnx_outputs(model: bytes, names: Sequence[str]) -> Engine:
    """The outputs of an ONNX model of one input, by ONNX Runtime on the CPU.

    Raises ExportError where ONNX Runtime cannot load it.
    """
    session = open_onnx(model)
    feed = session.get_inputs()[0].name

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(list(names), {feed: np.ascontiguousarray(rows)}), strict=True))

    return run


def open_onnx(model: bytes) -> Any:
    """ONNX Runtime's session of a model on the CPU; ExportError where it cannot be loaded."""
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only; they come as exceptions as well
    try:
        return onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ExportError(f"ONNX Runtime cannot load the model: {first_line(error)}") from error


def _named(names: Sequence[str], outputs: Sequence[Tensor]) -> dict[str, NDArray[Any]]:
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}
