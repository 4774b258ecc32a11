"""The parameter-randomisation check: explanations of the same rows by a network whose weights are shuffled."""

from importlib.util import find_spec
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import METHODS
from whyport.batch.methods.engines.model import Model
from whyport.batch.methods.explainer import Explainer, explainer_class
from whyport.batch.methods.method import TORCHSCRIPT
from whyport.batch.methods.request import Request
from whyport.runtime.bundle.sidecar import DEEPSHAP_MODEL, TORCHSCRIPT_MODEL

LAST, ALL = LEVELS = "the last layer", "all layers"
"""The weights that are shuffled: those of the last layer that has any, or of every layer."""

RULES_WEIGHTS = ("weight", "matrix")
"""The buffers of deepshap's program that hold a layer's weights."""


class Randomised:
    """The explainers of a bundle's network with shuffled weights, in memory alone.

    The values of each tensor of weights, of two axes or more, are put in another order: they keep their distribution.
    Biases, normalisation and what prepares the columns stay. The bundle's files are not written to.

    Args:
        explainer: an explainer that can run on PyTorch.
        level: what is shuffled, one of LEVELS.
        seed: of the order.
    """

    def __init__(self, explainer: Explainer, level: str, seed: int) -> None:
        from whyport.batch.methods.engines.torchscript import TorchScriptModel

        original = explainer.model
        model = TorchScriptModel(original.bundle, str(getattr(original, "device", "cpu")).partition(":")[0])
        is_deepshap = _is_deepshap(explainer)
        file = DEEPSHAP_MODEL if is_deepshap else TORCHSCRIPT_MODEL
        records: dict[str, str] = {}
        if is_deepshap:
            from whyport.runtime.bundle.deepshap import PARTS_RECORD

            records = {PARTS_RECORD: ""}
        self.layers = shuffle(model.load(file, records), level, seed)
        """The names of what was shuffled."""
        self._model: Model = model
        kind = type(explainer)
        self._explainer: Explainer | None = (
            kind(model, explainer.background, explainer.settings) if self.layers else None
        )

    def explain(self, request: Request) -> NDArray[np.float64] | None:
        """The shares [E, G] of the same rows and targets; None where nothing could be shuffled."""
        if self._explainer is None:
            return None
        scores = self._model.scores(request.rows)
        again = Request(request.rows, scores, request.row, request.target)
        return self._explainer.explain(again).values.astype(np.float64)


def shuffle(module: Any, level: str, seed: int) -> list[str]:
    """Put the weights of a TorchScript module in another order, in memory; returns their names."""
    import torch

    named = [(name, tensor) for name, tensor in module.named_parameters() if tensor.ndim >= 2]
    if not named:
        named = [
            (name, tensor)
            for name, tensor in module.named_buffers()
            if tensor.ndim >= 2 and tensor.is_floating_point() and name.rpartition(".")[2] in RULES_WEIGHTS
        ]
    chosen = named[-1:] if level == LAST else named
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for _, tensor in chosen:
            order = torch.randperm(tensor.numel(), generator=generator)
            tensor.copy_(tensor.flatten()[order.to(tensor.device)].reshape(tensor.shape))
    return [name for name, _ in chosen]


def reason_against(method: str, explainer: Explainer) -> str:
    """Why an explainer's network cannot be shuffled; empty where it can."""
    if explainer.model.bundle.precision is not None:
        return "model.pt is the network in full size, not the run's variant"
    if not any(graph.file == TORCHSCRIPT_MODEL for graph in explainer.model.bundle.sidecar.graphs):
        return "its bundle has no network in model.pt"
    if find_spec("torch") is None:
        return "the check needs PyTorch"
    runs_on_torch = TORCHSCRIPT in METHODS[method].engines and explainer_class(method, TORCHSCRIPT) is type(explainer)
    if not (runs_on_torch or explainer.plays):
        return f"{method} runs on ONNX Runtime alone here, whose weights stay as they are"
    return ""


def _is_deepshap(explainer: Explainer) -> bool:
    return type(explainer) is explainer_class("deepshap", TORCHSCRIPT)
