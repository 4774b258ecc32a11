"""Grad-CAM: where a convolution, by default the last one, found evidence for the class."""

import math

import numpy as np

from whyport.batch.methods.engines.model import Gradients
from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.maps.specs import chosen_layer
from whyport.batch.methods.maps.upsampling import Upsampling, warn_if_constant
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.bundle.references import References


class GradCam(Explainer):
    """ReLU(sum over channels of a_k A_k), a_k the mean over positions of df/dA_k; Selvaraju et al. 2017, section 3.

    Each row's map is divided by its largest value, unless that is 0. Over an image it stays as it is where the players
    are its own grid; else it is upsampled to the features, or to the pixels, of which a player has the mean.
    """

    def __init__(self, model: TorchScriptModel, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        self._torchscript = model
        self._layer = chosen_layer(model.bundle.sidecar, settings.options["layer"])
        if self._layer is None:
            maps, _ = model.class_maps(background.rows[:1], np.zeros(1, dtype=np.int64))
            self._shape = maps.shape[1:]
        else:
            self._shape = self._layer.shape
        self._upsampling = Upsampling(self._shape, model.bundle.sidecar.inputs, self.players, settings.per)
        warn_if_constant("grad-cam", math.prod(self._shape))

    def choose_references(self, background: References) -> None:
        return None

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"grad_cam_map": self._shape} if self.settings.options["grad_cam_map"] else {}

    def attribute(self, request: Request) -> Shares:
        maps, scores = self._maps(request)
        largest = maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True)
        scaled = np.divide(maps, largest, out=np.zeros_like(maps), where=largest != 0)  # NaN stays NaN
        evaluations = np.ones(len(request), dtype=np.int32)
        return Shares(self._upsampling(scaled), scores, evaluations, {"grad_cam_map": maps})

    def _maps(self, request: Request) -> Gradients:
        """The map of every explanation, [E, *shape], and its score, [E]."""
        if self._layer is None:
            return self._torchscript.class_maps(request.repeated_rows, request.target)
        # Where a row has fewer targets than another, the first class takes their place, and is left out again.
        rank = np.arange(len(request)) - np.searchsorted(request.row, request.row)
        targets = np.zeros((len(request.rows), request.width), dtype=np.int64)
        targets[request.row, rank] = request.target
        maps, scores = self._torchscript.layer_maps(request.rows, targets, self._layer)
        return maps[request.row, rank], scores[request.row, rank]
