"""Grad-CAM: where the last convolution block found evidence for the class."""

import numpy as np

from whyport.batch.methods.engines.torchscript import TorchScriptModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.maps.upsampling import Upsampling, warn_if_constant
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.bundle.references import References


class GradCam(Explainer):
    """ReLU(sum over channels of a_k A_k), a_k the mean over positions of df/dA_k; Selvaraju et al. 2017, section 3.

    Each row's map is divided by its largest value, unless that is 0, and upsampled to the features, or to the pixels of
    an image, of which a player has the mean.
    """

    def __init__(self, model: TorchScriptModel, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        self._torchscript = model
        maps, _ = model.class_maps(background.rows[:1], np.zeros(1, dtype=np.int64))
        self._shape = maps.shape[1:]
        self._upsampling = Upsampling(self._shape, model.bundle.sidecar.inputs, self.players)
        warn_if_constant("grad-cam", maps[0].size)

    def choose_references(self, background: References) -> None:
        return None

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"grad_cam_map": self._shape} if self.settings.options["grad_cam_map"] else {}

    def attribute(self, request: Request) -> Shares:
        maps, scores = self._torchscript.class_maps(request.repeated_rows, request.target)
        largest = maps.max(axis=tuple(range(1, maps.ndim)), keepdims=True)
        scaled = np.divide(maps, largest, out=np.zeros_like(maps), where=largest != 0)  # NaN stays NaN
        evaluations = np.ones(len(request), dtype=np.int32)
        return Shares(self._upsampling(scaled), scores, evaluations, {"grad_cam_map": maps})
