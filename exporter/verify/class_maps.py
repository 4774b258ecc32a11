"""Compares cam.onnx with the model: its scores, and that the means of its maps with the biases are the scores."""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.reasons.class_maps import ClassMaps
from whyport.exporter.reasons.compile import Reasons
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.verify.engines import model_outputs, onnx_outputs
from whyport.exporter.verify.outputs import check_deviation, measure
from whyport.exporter.verify.tolerances import TOLERANCES, Parity
from whyport.runtime.bundle.class_maps import CAM, mean_scores


def with_right_maps(
    draft: Draft, compiled: Compiled, reasons: Reasons, rows: NDArray[np.float32], parity: Parity
) -> tuple[Reasons, Parity]:
    """The reasons, without maps that are further off than the tolerances allow, and the parity with theirs.

    Args:
        draft: what is known of the bundle.
        compiled: the model, already verified.
        reasons: what gives its reasons.
        rows: raw rows [N, F] that no graph was traced with.
        parity: what was measured before.
    """
    if reasons.maps is None:
        return reasons, parity
    try:
        return reasons, parity | _measured(draft, compiled, reasons.maps, rows)
    except Exception as error:  # also what an engine raises by itself
        lost = reasons.capabilities | {CAM: left_out(CAM, error)}
        return replace(reasons, maps=None, capabilities=lost), parity


def _measured(draft: Draft, compiled: Compiled, maps: ClassMaps, rows: NDArray[np.float32]) -> Parity:
    """The largest deviations; ParityError where one exceeds its tolerance."""
    score = draft.task.score
    expected = model_outputs(compiled, draft.feeds)(rows)[score]
    engine = onnx_outputs(maps.file.session, [score, CAM], draft.feeds)
    whole = engine(rows)
    outputs = measure("cam.onnx", engine, rows, whole | {score: expected}, TOLERANCES["outputs"])
    sums = mean_scores(whole[CAM], maps.bias)
    off = check_deviation("the means of cam.onnx's maps", sums, expected, len(rows), TOLERANCES["completeness"])
    return {"cam_outputs": outputs, "cam_completeness": off}
