"""The test vectors of a bundle: what its graphs take, and what they should give."""

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.reasons.compile import Reasons
from whyport.exporter.verify.engines import model_outputs, torch_gradients
from whyport.exporter.verify.reasons import asked_targets
from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.graphs import EXPLAINED_TARGET, TARGET_INDEX


def make_vectors(draft: Draft, compiled: Compiled, reasons: Reasons) -> dict[str, NDArray[Any]]:
    """Arrays by tensor, N long on the first axis: by eager PyTorch where there is a graph, else by ONNX Runtime."""
    rows = draft.replayed()
    outputs = model_outputs(compiled, draft.feeds)(rows)
    scores = outputs[draft.task.score]
    index = asked_targets(len(rows), scores.shape[1])
    explained = np.where(index < 0, draft.task.predicted(scores), index)
    vectors: dict[str, NDArray[Any]] = {
        **draft.feeds(rows),
        INPUT: rows,
        TARGET_INDEX.name: index,
        **outputs,
        EXPLAINED_TARGET.name: explained,
    }
    maps = {} if reasons.maps is None else {CAM: reasons.maps.maps(draft.feeds(rows))}
    return vectors | maps | _attributions(draft, reasons, vectors) | _gradients(draft, compiled, reasons, vectors)


def _attributions(draft: Draft, reasons: Reasons, vectors: Mapping[str, NDArray[Any]]) -> dict[str, NDArray[Any]]:
    """What explain.onnx should give, where the bundle has it."""
    if reasons.exact is None:
        return {}
    rows, explained = vectors[INPUT], vectors[EXPLAINED_TARGET.name]
    each = np.arange(len(rows)), explained
    exact = reasons.exact(draft.impute(rows))
    difference = exact.scores[each] - exact.base_values[explained]
    attribution = exact.attributions[each]
    made = {
        "score": exact.scores[each],
        "base_value": exact.base_values[explained],
        "attribution": attribution,
        "completeness_error": np.abs(attribution.sum(axis=1) - difference),
    }
    return {name: values.astype(np.float32) for name, values in made.items()}


def _gradients(
    draft: Draft, compiled: Compiled, reasons: Reasons, vectors: Mapping[str, NDArray[Any]]
) -> dict[str, NDArray[Any]]:
    """The gradient of the explained class's score in the raw values, where there is one for every value."""
    if compiled.graph is None or not compiled.graph.differentiable or compiled.graph.encoding:
        return {}
    rows, explained = vectors[INPUT], vectors[EXPLAINED_TARGET.name]
    each = np.arange(len(rows)), explained
    per_unit = np.ones(len(draft.features), dtype=np.float32)
    chosen = np.unique(explained).tolist()
    of_class = torch_gradients(compiled.graph.module, draft.targets, per_unit, chosen=chosen)(rows)
    gradients = dict(zip(chosen, of_class.values(), strict=True))
    made = {"gradient": np.stack([gradients[target][row] for row, target in enumerate(explained.tolist())])}
    # explain.onnx's scores come first, where there are some: they were computed in float64.
    return made if reasons.exact is not None else made | {"score": vectors[draft.task.score][each]}
