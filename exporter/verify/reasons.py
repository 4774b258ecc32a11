"""Compares explain.onnx and gradient.onnx with the TorchScript graphs, on other rows than they were traced with."""

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.reasons.compile import Reasons
from whyport.exporter.reasons.exact import Exact
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.verify.engines import Feeds, named_feeds
from whyport.exporter.verify.outputs import BATCH_SIZES, BATCHES_OF_A_SIZE, check_deviation
from whyport.exporter.verify.tolerances import TOLERANCES, Parity, Tolerances
from whyport.runtime.attribution import within_rounding
from whyport.runtime.batching import batch_slices, rows_per_call
from whyport.runtime.bundle.graphs import (
    BASE_VALUE,
    COMPLETENESS_ERROR,
    EXPLAINED_TARGET,
    SCORE,
    TARGET_INDEX,
    capability_of,
)
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL
from whyport.runtime.errors import ParityError
from whyport.runtime.parity import deviation, share_deviation
from whyport.runtime.task import Task

logger = logging.getLogger(__name__)

CALLS, FEWEST_ROWS = 5, 2
"""The most rows of a batch, in those of a call by the runtime: each row meets every reference, which takes memory.
Where a call is of one row, as of pictures, a batch has two, which show whether rows depend on each other."""


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
            logger.info("comparing %s with PyTorch", name)
            parity, *_ = [measure(draft, compiled, reasons, rows, parity) for rows in samples]
        except Exception as error:  # also what an engine raises by itself
            reasons = reasons.without(name, left_out(capability_of(name), error))
    return reasons, parity


def _measure_explain(
    draft: Draft, compiled: Compiled, reasons: Reasons, rows: NDArray[np.float32], parity: Parity
) -> Parity:
    assert reasons.exact is not None
    exact = reasons.exact(draft.impute(rows))
    measured = verify_explain(
        reasons.graphs[EXPLAIN_MODEL].session, rows, exact, draft.task, TOLERANCES, draft.exact_feeds
    )
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
    measured = verify_gradient(
        session, rows, compiled.torchscript.module, spread, draft.task, TOLERANCES, draft.exact_feeds
    )
    return parity | {"gradient_outputs": measured.outputs, "gradient_gradients": measured.reasons}


def asked_targets(rows: int, targets: int) -> NDArray[np.int64]:
    """The target to explain of each row, [N]: the default one, -1, then every target, in turn."""
    return np.arange(rows) % (targets + 1) - 1


def verify_explain(
    session: Any,
    rows: NDArray[np.float32],
    exact: Exact,
    task: Task,
    tolerances: Tolerances,
    feeds: Feeds | None = None,
) -> ReasonsParity:
    """Compare explain.onnx at every batch size.

    Args:
        session: ONNX Runtime's, of the graph.
        rows: raw rows [N, F], with missing values where the graph imputes.
        exact: of the same rows, imputed.
        task: says which target is explained by default.
        tolerances: how far it may be off.
        feeds: what the graph takes for rows; by default the rows are its first input.

    Raises:
        ParityError: it is further off, its attributions do not add up, or it explains another target than it should.
    """
    worst, scores_name = _Worst(), _scores_name(session)
    for size, explained, part, got in _runs(EXPLAIN_MODEL, session, rows, exact.scores, task, feeds):
        each = np.arange(len(explained)), explained
        scores, base_values = exact.scores[part], exact.base_values[explained]
        worst.compare("outputs", scores_name, got, scores, size, tolerances["outputs"])
        worst.compare("outputs", SCORE.name, got, scores[each], size, tolerances["outputs"])
        worst.compare("outputs", BASE_VALUE.name, got, base_values, size, tolerances["outputs"])
        wanted = exact.attributions[part][each]
        worst.compare("reasons", "attribution", got, wanted, size, tolerances["attributions"])
        relative = got[COMPLETENESS_ERROR.name] / within_rounding(1, scores[each], base_values)
        errors = {COMPLETENESS_ERROR.name: relative}
        nothing = np.zeros(len(relative))
        worst.compare("completeness", COMPLETENESS_ERROR.name, errors, nothing, size, tolerances["completeness"])
    return ReasonsParity(**worst.found)


def verify_gradient(
    session: Any,
    rows: NDArray[np.float32],
    torchscript: Any,
    spread: NDArray[np.float64],
    task: Task,
    tolerances: Tolerances,
    feeds: Feeds | None = None,
) -> ReasonsParity:
    """Compare gradient.onnx with the derivatives of model.pt, at every batch size.

    Args:
        session: ONNX Runtime's, of the graph.
        rows: raw rows [N, F], with missing values where the graph imputes.
        torchscript: model.pt, loaded.
        spread: [F], the features' training standard deviations.
        task: says which target is explained by default.
        tolerances: how far it may be off.
        feeds: what the graph takes for rows; by default the rows are its first input.

    Raises:
        ParityError: it is further off.
    """
    worst, scores_name = _Worst(), _scores_name(session)
    leaf = torch.from_numpy(rows).clone().requires_grad_()
    of_rows = torchscript(leaf)[0]
    scores = of_rows.detach().numpy().astype(np.float64)

    @cache
    def gradients(target: int) -> NDArray[np.float64]:
        """The gradient of one target in every row, [N, F]. Of many targets, few are asked for."""
        (found,) = torch.autograd.grad(of_rows[:, target].sum(), leaf, retain_graph=True)
        each: NDArray[np.float64] = found.numpy() * spread
        return each

    for size, explained, part, got in _runs(GRADIENT_MODEL, session, rows, scores, task, feeds):
        each = np.arange(len(explained)), explained
        worst.compare("outputs", scores_name, got, scores[part], size, tolerances["outputs"])
        worst.compare("outputs", SCORE.name, got, scores[part][each], size, tolerances["outputs"])
        scaled = {"gradient": got["gradient"] * spread}
        wanted = np.stack([gradients(target)[part][i] for i, target in enumerate(explained.tolist())])
        worst.compare("reasons", "gradient", scaled, wanted, size, tolerances["gradients"])
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
        compare = share_deviation if kind == "reasons" else deviation
        off = check_deviation(f"{output}: ONNX Runtime's reasons", got[output], expected, size, tolerance, compare)
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
    task: Task,
    feeds: Feeds | None = None,
) -> Iterator[tuple[int, NDArray[np.int64], slice, dict[str, NDArray[Any]]]]:
    """Batches of every size: the size, the explained targets, which rows they are, and what the graph gives."""
    names, inputs = ([each.name for each in some] for some in (session.get_outputs(), session.get_inputs()[:-1]))
    index = asked_targets(len(rows), scores.shape[1])
    of_call = rows_per_call(rows.shape[1])["cpu"]
    most = CALLS * of_call if of_call > 1 else FEWEST_ROWS
    for size in sorted({min(size, most) for size in BATCH_SIZES}):
        for part in list(batch_slices(len(rows), size))[:BATCHES_OF_A_SIZE]:
            given = named_feeds(inputs, rows[part], feeds)
            got = dict(zip(names, session.run(None, given | {TARGET_INDEX.name: index[part]}), strict=True))
            explained = got[EXPLAINED_TARGET.name]
            _check_target(name, explained, index[part], scores[part], task)
            yield size, explained, part, got


def _check_target(
    name: str, explained: NDArray[np.int64], index: NDArray[np.int64], scores: NDArray[np.float64], task: Task
) -> None:
    """Raise ParityError unless each target is the one asked for, or by default one whose score is as the default's."""
    each = np.arange(len(scores))
    default = scores[each, task.predicted(scores)]
    off = np.abs(scores[each, explained] - default)
    is_default = off <= TOLERANCES["outputs"] * np.maximum(1, np.abs(default))
    wrong = np.where(index < 0, ~is_default, explained != index)
    if wrong.any():
        row = int(wrong.argmax())
        raise ParityError(f"{EXPLAINED_TARGET.name}: {name}: expected that of index {index[row]}, got {explained[row]}")
