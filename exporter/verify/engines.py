"""One way to call a graph, whichever engine runs it: rows in, named arrays out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

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


def onnx_outputs(session: Any, names: Sequence[str]) -> Engine:
    """The outputs of an ONNX model of one input, by its session."""
    feed = session.get_inputs()[0].name

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        return dict(zip(names, session.run(list(names), {feed: np.ascontiguousarray(rows)}), strict=True))

    return run


def _named(names: Sequence[str], outputs: Sequence[Tensor]) -> dict[str, NDArray[Any]]:
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}
