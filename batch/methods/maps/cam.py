"""Class activation maps: shares of a score by place, without a gradient."""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.maps.upsampling import Upsampling
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.bundle.class_maps import CAM, bias_of, cam_graph, map_shape
from whyport.runtime.bundle.references import References
from whyport.runtime.errors import BundleError


class ClassActivationMaps(Explainer):
    """The map of the explained target, over the number of its places; Zhou et al. 2016, section 2.

    Of a network that ends in a mean over y and x and an affine function, the mean of the map and the bias are the
    score: a place's share is its value over the number of places, and the base value is the bias.
    """

    only_rounds: ClassVar[bool] = True

    def __init__(self, model: OnnxModel, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        sidecar = model.bundle.sidecar
        graph, shape = cam_graph(sidecar), map_shape(sidecar)
        if graph is None or shape is None:
            raise BundleError(f"cam: expected a bundle with class activation maps, got {sidecar.name!r}, without")
        self._session = model.session
        self._shape = shape
        self._bias = bias_of(graph, self._session.task.targets)
        self._spread = Upsampling(shape, sidecar.inputs, self.players, settings.per, keeps_sums=True)

    def choose_references(self, background: References) -> None:
        return None

    def base_values(self, mean_of: Callable[[References], NDArray[np.float64]]) -> NDArray[np.float64]:
        return self._bias

    def row_bytes(self) -> int:
        return super().row_bytes() + 8 * len(self._bias) * int(np.prod(self._shape))

    def attribute(self, request: Request) -> Shares:
        outputs = self._session.class_maps(request.rows)
        maps: NDArray[np.float32] = outputs[CAM][request.row, request.target]
        maps /= np.prod(self._shape, dtype=np.float32)
        scores = outputs[self._session.task.score][request.row, request.target]
        evaluations = np.ones(len(request), dtype=np.int32)
        return Shares(self._spread(maps), scores.astype(np.float64), evaluations)
