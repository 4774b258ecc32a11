"""Checks that a model gives what its task says: logits, margins, probabilities, attention, and finite references."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from whyport.exporter.data.samples import PROBE
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.tensor_names import ATTENTION
from whyport.exporter.verify.engines import Engine, model_outputs
from whyport.exporter.verify.outputs import PROBE_ROWS, run_engine
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle.columns import IMAGE, LENGTH
from whyport.runtime.errors import ExportError, ParityError
from whyport.runtime.inputs.feeds import as_pixels
from whyport.runtime.parity import deviation
from whyport.runtime.task import Classification, ClassificationByMargin, ProbabilityClassification

SUM_TOLERANCE = 1e-3
"""How far probabilities may be from adding up to 1: half precision and rounded votes are."""
FAR = (10.0, 1000.0)
"""How many standard deviations the rows far from the training rows are out."""
FAR_ROWS = 64
EDGE = 0.01
"""How near to 0 and to 1 the values of a sigmoid come, far from the training rows."""
SHOWN_ROWS = 10

_ACTIVATIONS = {"Sigmoid", "HardSigmoid", "Softmax"}
_SHAPES = {"Cast", "Concat", "Dropout", "Flatten", "Gather", "Identity", "Reshape", "Slice", "Split", "Squeeze"}
_SHAPES |= {"Transpose", "Unsqueeze"}
_SHAPES.add("Neg")  # a model with one logit gives it, and minus it

WAYS_OUT = (
    "leave the last layer out and export the logits, or take the probability itself as the score: --from-probabilities"
)


def check_meaning(draft: Draft, compiled: Compiled) -> None:
    """Refuse a model whose outputs are not what the task says, on training rows, between them, and far from them.

    Args:
        draft: what is known of the bundle.
        compiled: the model.

    Raises:
        ExportError: probabilities are taken as logits or the reverse, or a second output is no attention.
        ParityError: the model fails, or an output of a reference row is not finite.
    """
    engine, score = model_outputs(compiled, draft.feeds), draft.task.score
    check_background(draft, engine)
    probes = draft.probes(PROBE_ROWS, PROBE)
    outputs = run_engine("the model", engine, probes, len(probes))
    if draft.task_name == ProbabilityClassification.name:
        check_probabilities(outputs[score])
    if draft.task_name == ClassificationByMargin.name:
        check_margins(outputs)
    if draft.task_name == Classification.name:
        scores = _finite(outputs[score], _far_scores(draft, engine))
        in_unit_range = ends_in_activation(compiled.onnx.model, score)
        if compiled.one_logit:
            check_logit(scores[:, 1], in_unit_range)
        else:
            check_logits(scores, in_unit_range)
            check_softmax(outputs)
    if ATTENTION in outputs:
        check_attention(outputs[ATTENTION])


def check_background(draft: Draft, engine: Engine) -> None:
    """Raise ParityError where an output of a reference row is not finite: every attribution would be NaN."""
    rows = draft.background().rows
    outputs = run_engine("the model", engine, rows, len(rows))
    for name, values in outputs.items():
        bad = np.flatnonzero(~np.isfinite(values).reshape(len(rows), -1).all(axis=1))
        if len(bad):
            more = ", ..." if len(bad) > SHOWN_ROWS else ""
            raise ParityError(
                f"background: expected finite {name} of every reference row, got others in {len(bad)} of {len(rows)}: "
                f"row {', '.join(map(str, bad[:SHOWN_ROWS]))}{more} (from 0)"
            )


def check_logits(values: NDArray[np.float64], in_unit_range: bool) -> None:
    """Raise ExportError where logits are probabilities. Logarithms of probabilities are logits.

    Args:
        values: finite logits [N, C], some of rows far from the training rows.
        in_unit_range: whether the model's last step gives values from 0 to 1.
    """
    if not len(values) or values.min() < 0 or values.max() > 1 + SUM_TOLERANCE:
        return
    if (np.abs(values.sum(axis=1) - 1) <= SUM_TOLERANCE).all():
        raise ExportError(f"the output taken as logits holds probabilities: its rows sum to 1; {WAYS_OUT}")
    if in_unit_range or (values.min() < EDGE and values.max() > 1 - EDGE):
        raise ExportError(
            "the output taken as logits holds values from 0 to 1 whose rows do not sum to 1, as a sigmoid gives them; "
            "leave the last layer out and export the logits"
        )


def check_logit(values: NDArray[np.float64], in_unit_range: bool) -> None:
    """Raise ExportError where one logit a row, [N], is a probability; takes what `check_logits` takes."""
    if not len(values) or values.min() < 0 or values.max() > 1:
        return
    if in_unit_range or (values.min() < EDGE and values.max() > 1 - EDGE):
        raise ExportError(
            "the output taken as a logit holds values from 0 to 1, as a sigmoid gives them, and the sigmoid is no last "
            f"step that can be cut off; {WAYS_OUT}"
        )


def check_probabilities(values: NDArray[np.floating[Any]]) -> None:
    """Raise ExportError where a row of [N, C] is no distribution."""
    wide = values.astype(np.float64)
    outside = (wide < -SUM_TOLERANCE) | (wide > 1 + SUM_TOLERANCE)
    if outside.any():
        raise ExportError(f"--from-probabilities: expected values from 0 to 1, got {wide[outside][0]:.6g}")
    off = np.abs(wide.sum(axis=1) - 1) > SUM_TOLERANCE
    if off.any():
        raise ExportError(
            f"--from-probabilities: expected rows that sum to 1, got {wide[off][0].sum():.6g} in {int(off.sum())} of "
            f"{len(wide)} probe rows"
        )


def check_margins(outputs: Mapping[str, NDArray[Any]]) -> None:
    """Raise ExportError where probabilities [N, C] are no distribution that rises with the margins [N, C]."""
    margins, chances = outputs["margin"].astype(np.float64), outputs["probabilities"].astype(np.float64)
    if margins.shape != chances.shape or (np.abs(chances.sum(axis=1) - 1) > SUM_TOLERANCE).any():
        raise ExportError("the output 'probabilities' has no rows that sum to 1 beside the margins")
    first = margins.argmax(axis=1)
    lost = chances.max(axis=1) - chances[np.arange(len(first)), first]
    if (lost > TOLERANCES["outputs"]).any():
        raise ExportError("the output 'probabilities' is not largest where the margin is")


def check_attention(weights: NDArray[np.floating[Any]]) -> None:
    """Raise ExportError where [N, L, L] are no attention weights: of at least 0, with a sum of 1 over the keys."""
    wide = weights.astype(np.float64)
    sums = wide.sum(axis=2)
    off = np.abs(sums - 1) > SUM_TOLERANCE
    got = f"got {wide.min():.3g}" if (wide < 0).any() else f"got a sum of {sums[off][0]:.3g}" if off.any() else ""
    if got:
        raise ExportError(
            f"the network's second output is no attention: expected weights of at least 0 that sum to 1 over the last "
            f"axis, {got}; return the first output alone"
        )


def check_softmax(outputs: Mapping[str, NDArray[Any]]) -> None:
    """Raise ExportError where a model's own probabilities are not the softmax of its logits."""
    logits, probabilities = outputs["logits"].astype(np.float64), outputs["probabilities"]
    finite = np.isfinite(logits).all(axis=1)
    powers = np.exp(logits[finite] - logits[finite].max(axis=1, keepdims=True))
    expected = powers / powers.sum(axis=1, keepdims=True)
    if logits.shape != probabilities.shape or deviation(probabilities[finite], expected) > TOLERANCES["outputs"]:
        raise ExportError("the output 'probabilities' is not the softmax of the logits")


def ends_in_activation(model: onnx.ModelProto, output: str) -> bool:
    """Whether an output's values come from sigmoids or softmaxes alone, but for steps that only move them."""
    makers = {name: node for node in model.graph.node for name in node.output}
    found, waiting, seen = False, [output], set()
    while waiting:
        node = makers.get(waiting.pop())
        if node is None:
            return False
        if node.op_type in _SHAPES:
            names = node.input if node.op_type == "Concat" else node.input[:1]
            waiting += [name for name in names if name not in seen]
            seen.update(names)
        elif node.op_type in _ACTIVATIONS:
            found = True
        else:
            return False
    return found


def _far_scores(draft: Draft, engine: Engine) -> NDArray[np.float64]:
    """Scores of rows far from the training rows; none where the model cannot take such rows."""
    numbers = [j for j, each in enumerate(draft.features) if each.numbers is not None and each.kind != LENGTH]
    mean = np.array([draft.features[j].statistics.mean for j in numbers])
    spread = np.array([draft.features[j].spread or 1.0 for j in numbers])
    pixels = [j for j in numbers if draft.features[j].kind == IMAGE]
    rows = draft.probes(PROBE_ROWS, PROBE)[:FAR_ROWS].copy()  # their categories stay
    normal = np.random.default_rng(0).normal(size=(len(rows), len(numbers)))
    scores = [np.empty((0, len(draft.targets)))]
    for scale in FAR:
        try:
            rows[:, numbers] = (mean + scale * spread * normal).astype(np.float32)
            rows[:, pixels] = as_pixels(rows[:, pixels])
            outputs = engine(rows)
        except Exception:  # an index outside a table of embeddings, say
            continue
        scores.append(outputs[draft.task.score])
    return np.concatenate(scores)


def _finite(*scores: NDArray[Any]) -> NDArray[np.float64]:
    """The finite rows of [N, C] arrays, in float64."""
    values = np.concatenate(scores).astype(np.float64)
    return values[np.isfinite(values).all(axis=1)]
