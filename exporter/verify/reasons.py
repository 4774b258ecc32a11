"""Compares explain.onnx and gradient.onnx with the TorchScript graphs, on other rows than they were traced with."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.reasons.compile import Reasons
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.verify.outputs import BATCH_SIZES, BATCHES_OF_A_SIZE, check_deviation
from whyport.exporter.verify.tolerances import TOLERANCES, Parity, Tolerances
from whyport.runtime.attribution import within_rounding
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.deepshap import PASS_PAIRS, Program
from whyport.runtime.bundle.graphs import (
    BASE_VALUE,
    COMPLETENESS_ERROR,
    EXPLAINED_TARGET,
    SCORE,
    TARGET_INDEX,
    capability_of,
)
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL
from whyport.runtime.errors import ParityError
from whyport.runtime.inputs.feeds import graph_feeds


@dataclass(frozen=True)
class Exact:
    """Attributions in float64."""

    attributions: NDArray[np.float64]
    """[N, C, F]"""
    scores: NDArray[np.float64]
    """[N, C]"""
    base_values: NDArray[np.float64]
    """[C]"""


@dataclass(frozen=True)
class ReasonsParity:
    """The largest deviations."""

    outputs: float
    """The deviation of scores and base values."""
    reasons: float
    completeness: float
    """The deviation of the sum of attributions; 0 for gradients."""


def verify_reasons(
    draft: Draft, compiled: Compiled, reasons: Reasons, samples: Sequence[NDArray[np.float32]], parity: Parity
) -> tuple[Reasons, Parity]:
    """Compare the graphs that give reasons, where there are some.

    Args:
        draft: what is known of the bundle.
        compiled: the model.
        reasons: what gives its reasons.
        samples: raw rows [N, F] that no graph was traced with; the first are those whose deviations are kept.
        parity: what was measured before.

    Returns:
        The reasons without a graph that fails or is further off than the tolerances allow, and the parity with what is
        measured here.
    """
    for name, measure in {EXPLAIN_MODEL: _measure_explain, GRADIENT_MODEL: _measure_gradient}.items():
        if name not in reasons.graphs:
            continue
        try:
            parity, *_ = [measure(draft, compiled, reasons, rows, parity) for rows in samples]
        except Exception as error:  # also what an engine raises by itself
            reasons = reasons.without(name, left_out(capability_of(name), error))
    return reasons, parity


def _measure_explain(
    draft: Draft, compiled: Compiled, reasons: Reasons, rows: NDArray[np.float32], parity: Parity
) -> Parity:
    assert reasons.deepshap is not None
    assert reasons.references is not None
    exact = exact_attributions(reasons.deepshap.module, draft.impute(rows), reasons.references)
    measured = verify_explain(reasons.graphs[EXPLAIN_MODEL].session, rows, exact, TOLERANCES, draft.features)
    return parity | {
        "explain_outputs": measured.outputs,
        "explain_attributions": measured.reasons,
        "explain_completeness": measured.completeness,
    }


def _measure_gradient(
    draft: Draft, compiled: Compiled, reasons: Reasons, rows: NDArray[np.float32], parity: Parity
) -> Parity:
    assert compiled.torchscript is not None
    spread = np.array([feature.spread for feature in draft.features])
    session = reasons.graphs[GRADIENT_MODEL].session
    measured = verify_gradient(session, rows, compiled.torchscript.module, spread, TOLERANCES)
    return parity | {"gradient_outputs": measured.outputs, "gradient_gradients": measured.reasons}


def explained_classes(rows: int, classes: int) -> NDArray[np.int64]:
    """The class to explain of each row, [N]: the predicted one, then every class, in turn."""
    return np.arange(rows) % (classes + 1) - 1


def exact_attributions(deepshap: Program, rows: NDArray[np.float32], references: References) -> Exact:
    """Attributions of finite rows in every class.

    Args:
        deepshap: deepshap.pt in float64.
        rows: raw rows [N, F].
        references: without missing values.
    """
    weights = torch.from_numpy(references.weights)
    with torch.no_grad():
        of_references = deepshap.activations(torch.from_numpy(references.rows).double())
        of_rows = deepshap.activations(torch.from_numpy(rows).double())
        values = [
            deepshap.attribute([value[part] for value in of_rows], of_references, weights)
            for part in batch_slices(len(rows), max(1, PASS_PAIRS // len(references.rows)))
        ]
    return Exact(torch.cat(values).numpy(), of_rows[0].numpy(), (weights @ of_references[0]).numpy())


def verify_explain(
    session: Any, rows: NDArray[np.float32], exact: Exact, tolerances: Tolerances, columns: Sequence[Column] = ()
) -> ReasonsParity:
    """Compare explain.onnx at every batch size.

    Args:
        session: ONNX Runtime's, of the graph.
        rows: raw rows [N, F], with missing values where the graph imputes.
        exact: of the same rows, imputed.
        tolerances: how far it may be off.
        columns: what the graph's inputs hold, where it has one a column.

    Raises:
        ParityError: it is further off, its attributions do not add up, or it explains another class than it should.
    """
    worst, scores_name = _Worst(), _scores_name(session)
    runs = _runs(EXPLAIN_MODEL, session, rows, exact.scores, tolerances["outputs"], columns)
    for size, explained, part, got in runs:
        each = np.arange(len(explained)), explained
        scores, base_values = exact.scores[part], exact.base_values[explained]
        worst.compare("outputs", scores_name, got, scores, size, tolerances["outputs"])
        worst.compare("outputs", SCORE.name, got, scores[each], size, tolerances["outputs"])
        worst.compare("outputs", BASE_VALUE.name, got, base_values, size, tolerances["outputs"])
        wanted = exact.attributions[part][each]
        worst.compare("reasons", "attribution", got, wanted, size, tolerances["attributions"])
        relative = got[COMPLETENESS_ERROR.name] / within_rounding(1, scores[each] - base_values)
        errors = {COMPLETENESS_ERROR.name: relative}
        nothing = np.zeros(len(relative))
        worst.compare("completeness", COMPLETENESS_ERROR.name, errors, nothing, size, tolerances["completeness"])
    return ReasonsParity(**worst.found)


def verify_gradient(
    session: Any,
    rows: NDArray[np.float32],
    torchscript: Any,
    spread: NDArray[np.float64],
    tolerances: Tolerances,
) -> ReasonsParity:
    """Compare gradient.onnx with the derivatives of model.pt, at every batch size.

    Args:
        session: ONNX Runtime's, of the graph.
        rows: raw rows [N, F], with missing values where the graph imputes.
        torchscript: model.pt, loaded.
        spread: [F], the features' training standard deviations.
        tolerances: how far it may be off.

    Raises:
        ParityError: it is further off.
    """
    worst, scores_name = _Worst(), _scores_name(session)
    leaf = torch.from_numpy(rows).clone().requires_grad_()
    of_rows = torchscript(leaf)[0]
    classes = of_rows.shape[1]
    every = [torch.autograd.grad(of_rows[:, k].sum(), leaf, retain_graph=True)[0].numpy() for k in range(classes)]
    gradients, scores = np.stack(every, axis=1) * spread, of_rows.detach().numpy().astype(np.float64)
    for size, explained, part, got in _runs(GRADIENT_MODEL, session, rows, scores, tolerances["outputs"]):
        each = np.arange(len(explained)), explained
        worst.compare("outputs", scores_name, got, scores[part], size, tolerances["outputs"])
        worst.compare("outputs", SCORE.name, got, scores[part][each], size, tolerances["outputs"])
        scaled = {"gradient": got["gradient"] * spread}
        worst.compare("reasons", "gradient", scaled, gradients[part][each], size, tolerances["gradients"])
    return ReasonsParity(**worst.found)


class _Worst:
    """Keeps the largest deviation of each kind."""

    def __init__(self) -> None:
        self.found = dict.fromkeys(("outputs", "reasons", "completeness"), 0.0)

    def compare(
        self,
        kind: str,
        output: str,
        got: Mapping[str, NDArray[Any]],
        expected: NDArray[np.floating[Any]],
        size: int,
        tolerance: float,
    ) -> None:
        """Raises ParityError where the deviation exceeds the tolerance."""
        off = check_deviation(f"{output}: ONNX Runtime's reasons", got[output], expected, size, tolerance)
        self.found[kind] = max(self.found[kind], off)


def _scores_name(session: Any) -> str:
    """The name of the scores [N, C], the first output of both graphs."""
    name: str = session.get_outputs()[0].name
    return name


def _runs(
    name: str,
    session: Any,
    rows: NDArray[np.float32],
    scores: NDArray[np.float64],
    tolerance: float,
    columns: Sequence[Column] = (),
) -> Iterator[tuple[int, NDArray[np.int64], slice, dict[str, NDArray[Any]]]]:
    """Batches of every size: the size, the explained classes, which rows they are, and what the graph gives."""
    names, tensors = [output.name for output in session.get_outputs()], session.get_inputs()[:-1]
    index = explained_classes(len(rows), scores.shape[1])
    for size in BATCH_SIZES:
        for part in list(batch_slices(len(rows), size))[:BATCHES_OF_A_SIZE]:
            feeds = graph_feeds(columns, tensors, rows[part])
            got = dict(zip(names, session.run(None, feeds | {TARGET_INDEX.name: index[part]}), strict=True))
            explained = got[EXPLAINED_TARGET.name]
            _check_class(name, explained, index[part], scores[part], tolerance)
            yield size, explained, part, got


def _check_class(
    name: str,
    explained: NDArray[np.int64],
    index: NDArray[np.int64],
    scores: NDArray[np.float64],
    tolerance: float,
) -> None:
    """The class that was asked for, or one whose score is the largest but for rounding."""
    best = scores.max(axis=1)
    is_best = scores[np.arange(len(scores)), explained] >= best - tolerance * np.maximum(1, np.abs(best))
    wrong = np.where(index < 0, ~is_best, explained != index)
    if wrong.any():
        row = int(wrong.argmax())
        raise ParityError(f"explained_class: {name}: expected that of index {index[row]}, got {explained[row]}")
