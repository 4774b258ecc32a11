"""One way to call a graph, whichever engine runs it: rows in, named arrays out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyport.exporter.graphs.compiled import Compiled

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
    """The gradient of each class's score in the input, [N, F] by class, in its unit per training standard deviation.

    Args:
        module: an eager or a TorchScript module whose first output is the scores.
        classes: the class names.
        spread: [F], the features' training standard deviations.
    """

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        leaf = torch.from_numpy(rows).clone().requires_grad_()
        scores = module(leaf)[0]
        gradients = {}
        for index, name in enumerate(classes):
            (gradient,) = torch.autograd.grad(scores[:, index].sum(), leaf, retain_graph=True)
            gradients[f"gradient of {name}"] = gradient.numpy() * spread
        return gradients

    return run


def onnx_outputs(session: Any, names: Sequence[str]) -> Engine:
    """The outputs of an ONNX model of one input, by its session."""
    feed = session.get_inputs()[0].name

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(list(names), {feed: np.ascontiguousarray(rows)}), strict=True))

    return run


def model_outputs(compiled: Compiled) -> Engine:
    """A compiled model's outputs: by eager PyTorch where there is a graph, else by ONNX Runtime."""
    if compiled.graph is None:
        return onnx_outputs(compiled.onnx.session, compiled.names)
    return torch_outputs(compiled.graph.whole, compiled.names)


def _named(names: Sequence[str], outputs: Sequence[Tensor]) -> dict[str, NDArray[Any]]:
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}
