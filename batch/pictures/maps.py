"""Where a network looks along its input, for a few rows: Grad-CAM and attention, from the bundle's own graphs.

Grad-CAM: Selvaraju et al. 2017, arXiv:1610.02391, on the last convolution block: the maps weighted by their mean
gradient over positions, summed, what is negative cut off, scaled to 0..1, and interpolated linearly to the input's
length.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from runtime.session import Session


def attention_of(session: Session, rows: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """The attention weights [N, L, L] by query and key; None where the model has none, or one position alone."""
    outputs = {spec.name: spec for spec in session.bundle.sidecar.signature.outputs}
    if "attention" not in outputs or outputs["attention"].row_shape()[-1] < 2:
        return None
    weights: NDArray[np.float64] = session.run(rows, ["attention"])["attention"].astype(np.float64)
    return weights


def grad_cam_of(session: Session, rows: NDArray[np.float32], targets: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """How much each place of the input counts for class `targets` [N], [N, F] in 0..1; None where it cannot be said."""
    capability = session.bundle.sidecar.capabilities.get("grad-cam")
    if capability is None or not capability.available:
        return None
    import torch

    from batch.explainers.torchscript import TorchScriptModel
    from runtime.bundle import TORCHSCRIPT_MODEL

    module: Any = TorchScriptModel(session.bundle, "cpu", 1).load(TORCHSCRIPT_MODEL)
    with torch.no_grad():
        maps = module.features(torch.tensor(rows))
    if maps.ndim != 3:
        return None
    maps = maps.detach().requires_grad_()
    place = [spec.name for spec in session.bundle.sidecar.signature.outputs].index("logits")
    answer = module.classify(maps)
    logits = answer[place] if isinstance(answer, tuple) else answer
    (gradient,) = torch.autograd.grad(logits.gather(1, torch.tensor(targets)[:, None]).sum(), maps)
    cam = torch.relu((gradient.mean(dim=2, keepdim=True) * maps.detach()).sum(dim=1)).numpy().astype(np.float64)
    return upsample(cam / np.maximum(cam.max(axis=1, keepdims=True), np.finfo(np.float64).tiny), rows.shape[1])


def upsample(values: NDArray[np.float64], length: int) -> NDArray[np.float64]:
    """Each row of [N, L] interpolated linearly to [N, length], where the cells of both cover the same stretch."""
    centres = (np.arange(length) + 0.5) / length * values.shape[1] - 0.5
    return np.stack([np.interp(centres, np.arange(values.shape[1]), row) for row in values])
