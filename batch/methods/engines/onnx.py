"""The bundle's ONNX graphs: scores from model.onnx, gradients from gradient.onnx. Needs no PyTorch."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.model import Gradients, Model
from whyport.runtime.bundle.sidecar import GRADIENT_MODEL
from whyport.runtime.session import Session


class OnnxModel(Model):
    """A session with the interface that explainers use.

    Args:
        session: runs the graphs; gradient.onnx is opened when the first gradient is needed.
    """

    engine = "ONNX Runtime"

    def __init__(self, session: Session) -> None:
        super().__init__(session.bundle)
        self.session = session

    def scores(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        name = self.session.task.score
        return self.run(rows, [name])[name]

    def gradients(self, cells: NDArray[np.float32], targets: NDArray[np.int64]) -> Gradients:
        outputs = self.session.run_graph(GRADIENT_MODEL, cells, targets)
        return outputs["gradient"], outputs["score"].astype(np.float64)

    def run(self, rows: NDArray[np.float32], outputs: Sequence[str]) -> dict[str, NDArray[Any]]:
        """The named outputs for rows [N, F], by name."""
        return self.session.run(rows, outputs)
