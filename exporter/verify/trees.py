"""Compares a bundle's trees with its model, on rows that lie on their thresholds."""

import dataclasses

import numpy as np

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.verify.engines import onnx_outputs
from whyport.exporter.verify.native import TOLERANCE, adversarial_rows
from whyport.exporter.verify.outputs import run_engine
from whyport.runtime.errors import ParityError

COMPARED_ROWS = 5000


def with_right_trees(draft: Draft, compiled: Compiled) -> Compiled:
    """The model, without trees whose sum is not its score: treeshap would explain another model.

    A deviation is relative to the larger of 1 and the largest score: float32 sums round so.
    """
    if compiled.trees is None:
        return compiled
    sample = draft.samples.rows.astype(np.float64)
    drawn = adversarial_rows(sample, draft.features, COMPARED_ROWS, draft.samples.seed, compiled.trees)
    rows, score = drawn.astype(np.float32), draft.task.score
    engine = onnx_outputs(compiled.onnx.session, [score], draft.feeds)
    try:
        got, expected = compiled.trees.scores(rows), run_engine("the model", engine, rows, len(rows))[score]
        scale = max(1.0, float(np.abs(expected).max()))
        bad = int((np.abs(got - expected) > TOLERANCE * scale).any(axis=1).sum())
        if bad:
            raise ParityError(f"the sum of its trees is not the model's {score} in {bad} of {len(rows)} rows")
    except ParityError as error:
        obstacle = left_out("treeshap", error)
        return dataclasses.replace(compiled, trees=None, capabilities=compiled.capabilities | {"treeshap": obstacle})
    return compiled
