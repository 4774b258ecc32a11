"""One way to call a graph, whichever engine runs it: rows in, named arrays out."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from whyport.exporter.graphs.compiled import Compiled

Engine = Callable[[NDArray[Any]], dict[str, NDArray[Any]]]
"""Raw rows [N, F], float32 but where a network computes in float64, to arrays by name, N long on the first axis."""

Feeds = Callable[[NDArray[np.float32]], dict[str, NDArray[Any]]]
"""Raw rows [N, F] to the tensors of a graph, by name."""


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


def torch_gradients(
    module: Any,
    classes: Sequence[str],
    spread: NDArray[np.float32],
    *,
    encodes: bool = False,
    chosen: Sequence[int] | None = None,
) -> Engine:
    """The gradient of each class's score in the cells, [N, P] by class, in its unit per training standard deviation.

    Args:
        module: an eager or a TorchScript module whose first output is the scores.
        classes: the class names.
        spread: [P], the training standard deviations of the numbers, and 1 for a category's cells.
        encodes: whether the module has cells that are not the rows themselves.
        chosen: the positions of the classes whose gradients there shall be; None for all.
    """

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        given = torch.from_numpy(rows)
        leaf = (module.cells(given) if encodes else given).clone().requires_grad_()
        scores = (module.scored if encodes else module)(leaf)[0]
        gradients = {}
        for index in range(len(classes)) if chosen is None else chosen:
            (gradient,) = torch.autograd.grad(scores[:, index].sum(), leaf, retain_graph=True)
            gradients[f"gradient of {classes[index]}"] = gradient.numpy() * spread
        return gradients

    return run


def onnx_outputs(session: Any, names: Sequence[str], feeds: Feeds | None = None) -> Engine:
    """The outputs of an ONNX model by its session.

    Args:
        session: ONNX Runtime's, of the model.
        names: the outputs' names.
        feeds: what the model takes for rows; by default the rows are its only input.
    """
    inputs = [each.name for each in session.get_inputs()]

    def run(rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        given = named_feeds(inputs, np.ascontiguousarray(rows), feeds)
        return dict(zip(names, session.run(list(names), given), strict=True))

    return run


def named_feeds(inputs: Sequence[str], rows: NDArray[np.float32], feeds: Feeds | None) -> dict[str, NDArray[Any]]:
    """What a graph takes for rows, by its own names of its inputs, in their order; by default the rows alone.

    A graph that is not finished may still have the names that its author gave.
    """
    return dict(zip(inputs, [rows] if feeds is None else feeds(rows).values(), strict=True))


def model_outputs(compiled: Compiled, feeds: Feeds) -> Engine:
    """A compiled model's outputs: by eager PyTorch where there is a graph, else by ONNX Runtime.

    Args:
        compiled: the model.
        feeds: what model.onnx takes for rows.
    """
    if compiled.graph is None:
        return onnx_outputs(compiled.onnx.session, compiled.names, feeds)
    return torch_outputs(compiled.graph.whole, compiled.names)


def _named(names: Sequence[str], outputs: Sequence[Tensor]) -> dict[str, NDArray[Any]]:
    return {name: output.numpy() for name, output in zip(names, outputs, strict=True)}
