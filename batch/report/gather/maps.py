"""Where a network looks along its input, for a few rows: Grad-CAM and attention from the bundle's own graphs."""

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.errors import BundleError
from whyport.runtime.session import Session


def attention_of(session: Session, rows: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """The attention weights [N, L, L] by query and key; None without attention, or with a single position."""
    outputs = {spec.name: spec for spec in session.bundle.sidecar.signature.outputs}
    if "attention" not in outputs or outputs["attention"].row_shape()[-1] < 2:
        return None
    weights: NDArray[np.float64] = session.run(rows, ["attention"])["attention"].astype(np.float64)
    return weights


def grad_cam_of(session: Session, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.float32] | None:
    """How much each input position counts for class `targets` [N], [N, F] in 0..1; None if it cannot be computed."""
    if session.variant is not None:
        return None  # model.pt is the model in full size
    capability = session.bundle.sidecar.capabilities.get("grad-cam")
    if capability is None or not capability.available:
        return None
    from whyport.batch.methods.engines.torchscript import TorchScriptModel
    from whyport.batch.methods.maps.grad_cam import GradCam
    from whyport.batch.methods.request import Request
    from whyport.batch.methods.settings import ExplainSettings
    from whyport.runtime.bundle.references import References

    model = TorchScriptModel(session.bundle, "cpu", 1)
    try:
        method = GradCam(model, References.read(session.bundle), ExplainSettings().of_method("grad-cam"))
    except BundleError:  # maps over two axes do not follow the input
        return None
    scores = np.zeros((len(rows), len(session.task.targets)), dtype=np.float32)  # the map needs no scores
    return method.attribute(Request.of_one_target(rows, scores, targets)).values
