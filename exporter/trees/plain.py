"""ONNX files with trees as models of a bundle: their trees are read, and their margins taken for scores."""

import logging
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.graphs.conform import conform
from whyport.exporter.graphs.onnx import open_onnx
from whyport.exporter.networks.compile import score_values
from whyport.exporter.reasons.of_trees import tree_capabilities
from whyport.exporter.trees.compile import compile_trees
from whyport.exporter.trees.links import NONE, apply_link
from whyport.exporter.trees.read import TreeSum, read_trees
from whyport.exporter.verify.engines import onnx_outputs
from whyport.exporter.verify.native import TOLERANCE, adversarial_rows
from whyport.runtime.errors import ExportError, ParityError
from whyport.runtime.parity import row_deviations
from whyport.runtime.task import Classification, ClassificationByMargin

logger = logging.getLogger(__name__)

COMPARED_ROWS = 5000
WAY_OUT = "--from-probabilities takes the probability itself as the score"


def compile_onnx_trees(model: onnx.ModelProto, draft: Draft, scores: str) -> Compiled:
    """An ONNX model with one input [N, F] that holds trees, as a bundle's.

    A classifier by margins is written anew: the sum is the score, and the link gives the probabilities. Any other model
    stays as it is, and its trees are read where its scores are their sum.

    Args:
        model: the model; it is changed.
        draft: what is known of the bundle.
        scores: the output with the scores, or with the probabilities that margins are behind.

    Raises:
        ParityError: the model fails on rows of the sample, or its trees do not give what it gives.
        ExportError: it gives no scores, or no margins where these are asked for.
    """
    task, names = type(draft.task), tuple(column.name for column in draft.features)
    values = score_values(model, draft, scores)
    obstacle = ""
    try:
        found = read_trees(model, scores, draft.samples.rows, names).of_two_classes(task)
        if task is not ClassificationByMargin and found.link != NONE:
            obstacle = f"the scores are the {found.link} of the trees' sum, and no sum of trees themselves"
    except ExportError as error:
        obstacle = str(error)
    if task is ClassificationByMargin:
        if obstacle:
            raise ExportError(f"{obstacle}; {WAY_OUT}")
        return _by_margin(model, draft, scores, found)
    if obstacle:
        logger.info("the bundle will not serve treeshap: %s", obstacle)
    shape = values.shape[1:]
    one_logit = task is Classification and shape in ((), (1,))
    outputs = conform(model, scores, len(names), shape, task)
    trees = None if obstacle else found.trees
    return Compiled(outputs, tree_capabilities(obstacle), OnnxFile(model), one_logit=one_logit, trees=trees)


def _by_margin(model: onnx.ModelProto, draft: Draft, scores: str, found: TreeSum) -> Compiled:
    """The model written anew, whose probabilities are the file's own."""
    sample = draft.samples.rows.astype(np.float64)
    rows = adversarial_rows(sample, draft.features, COMPARED_ROWS, draft.samples.seed, found.trees).astype(np.float32)
    expected = onnx_outputs(open_onnx(model.SerializeToString()), [scores])(rows)[scores].reshape(len(rows), -1)
    _check(apply_link(found.link, found.trees.scores(rows)), expected)
    logger.info("the %s behind the trees is cut off: the score is the margin before it", found.link)
    return compile_trees(found, draft)


def _check(got: NDArray[np.float64], expected: NDArray[Any]) -> None:
    """Raise ParityError where probabilities [N, K] are not the file's, [N, K] or [N, 1] of the second class."""
    if expected.shape[1] == 1:
        expected = np.hstack([1 - expected, expected])
    off = row_deviations(got, expected)
    bad = int((off > TOLERANCE).sum())
    if bad:
        raise ParityError(
            f"the trees of the file give other probabilities than ONNX Runtime in {bad} of {len(off)} rows; {WAY_OUT}"
        )
