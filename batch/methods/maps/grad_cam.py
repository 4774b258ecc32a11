"""Grad-CAM: where a convolution, by default the last one, found evidence for the class."""

import math

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.maps.specs import chosen_layers
from whyport.batch.methods.maps.upsampling import Upsampling, warn_if_constant
from whyport.batch.methods.maps.views import Views
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.bundle.references import References

Maps = tuple[list[NDArray[np.float32]], NDArray[np.float64]]
"""The maps of every explanation by layer, [E, *shape], and its score, [E]."""


class GradCam(Explainer):
    """ReLU(sum over channels of a_k A_k), a_k the mean over positions of df/dA_k; Selvaraju et al. 2017, section 3.

    Each row's map is divided by its largest value, unless that is 0. Over an image it stays as it is where the players
    are its own grid; else it is upsampled to the features, or to the pixels, of which a player has the mean.

    Of several layers, the last one's map has the shares; the others' are columns of their own. With several views of a
    picture, a map is the mean over the views of their own, each divided by its largest value and turned back.
    """

    def __init__(self, model: TorchScriptModel, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        self._torchscript = model
        self._layers = chosen_layers(model.bundle.sidecar, settings.options["layer"])
        if not self._layers:
            maps, _ = model.class_maps(background.rows[:1], np.zeros(1, dtype=np.int64))
            self._shape = maps.shape[1:]
        else:
            self._shape = self._layers[-1].shape
        self._others = {f"layer_map.{layer.name}": layer.shape for layer in self._layers[:-1]}
        self._upsampling = Upsampling(self._shape, model.bundle.sidecar.inputs, self.players, settings.per)
        self._views = Views(model.bundle.sidecar.inputs, settings.options["augment"] or 1, settings.seed)
        warn_if_constant("grad-cam", math.prod(self._shape))

    def choose_references(self, background: References) -> None:
        return None

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        asked = {"grad_cam_map": "grad_cam_map", "one_view_map": "augment"}
        own = {name: self._shape for name, option in asked.items() if self.settings.options[option]}
        return own | self._others

    def row_bytes(self) -> int:
        return super().row_bytes() + 8 * sum(math.prod(shape) for shape in self._others.values())

    def attribute(self, request: Request) -> Shares:
        own, scores = self._maps(request, request.rows)
        shown = [scaled(maps) for maps in own]
        one_view = shown[-1]
        for view in self._views.views[1:]:
            made, _ = self._maps(request, self._views.of(view, request.rows))
            for k, maps in enumerate(map(view.back, made)):
                own[k], shown[k] = own[k] + maps, shown[k] + scaled(maps)
        (*others, maps) = (each / np.float32(len(self._views)) for each in shown)
        evaluations = np.full(len(request), len(self._views), dtype=np.int32)
        extras = {
            **dict(zip(self._others, others, strict=True)),
            "grad_cam_map": own[-1] / np.float32(len(self._views)),
            "one_view_map": one_view,
        }
        return Shares(self._upsampling(maps), scores, evaluations, extras)

    def _maps(self, request: Request, rows: NDArray[np.float32]) -> Maps:
        """The maps of rows that stand for those of a request, [M, F]."""
        if not self._layers:
            # Every row occurs at least once: with as many explanations as rows, each row occurs once.
            repeated = rows if len(request) == len(rows) else rows[request.row]
            maps, scores = self._torchscript.class_maps(repeated, request.target)
            return [maps], scores
        # Where a row has fewer targets than another, the first class takes their place, and is left out again.
        rank = np.arange(len(request)) - np.searchsorted(request.row, request.row)
        targets = np.zeros((len(rows), request.width), dtype=np.int64)
        targets[request.row, rank] = request.target
        by_layer, of_targets = self._torchscript.layer_maps(rows, targets, self._layers)
        return [maps[request.row, rank] for maps in by_layer], of_targets[request.row, rank]


def scaled(maps: NDArray[np.float32]) -> NDArray[np.float32]:
    """Maps [E, *shape] over each one's largest value, unless that is 0; NaN stays NaN."""
    largest = maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True)
    values: NDArray[np.float32] = np.divide(maps, largest, out=np.zeros_like(maps), where=largest != 0)
    return values
