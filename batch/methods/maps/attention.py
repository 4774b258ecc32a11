"""The model's own attention weights, and the attention that each position receives."""

import numpy as np

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import Explainer, Shares
from whyport.batch.methods.maps.upsampling import row_upsampling, warn_if_constant
from whyport.batch.methods.request import Request
from whyport.batch.methods.settings import MethodSettings
from whyport.runtime.bundle.references import References

OUTPUT = "attention"


class Attention(Explainer):
    """The mean over queries of each key's weight, upsampled to the features; the same for every class."""

    def __init__(self, model: OnnxModel, background: References, settings: MethodSettings) -> None:
        super().__init__(model, background, settings)
        self._onnx = model
        self._shape = model.bundle.sidecar.signature.output(OUTPUT).row_shape()
        self._upsampling = self.players.sum_columns(row_upsampling(self._shape[1], model.bundle.sidecar.inputs))
        warn_if_constant("attention", self._shape[1])

    def choose_references(self, background: References) -> None:
        return None

    def extra_shapes(self) -> dict[str, tuple[int, ...]]:
        return {OUTPUT: self._shape}

    def row_bytes(self) -> int:
        return super().row_bytes() + 8 * int(np.prod(self._shape))

    def attribute(self, request: Request) -> Shares:
        weights = self._onnx.run(request.rows, [OUTPUT])[OUTPUT]
        received = weights.mean(axis=1) @ self._upsampling
        evaluations = np.ones(len(request), dtype=np.int32)
        return Shares(received[request.row], request.output, evaluations, {OUTPUT: weights[request.row]})
