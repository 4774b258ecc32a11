"""explain.onnx of a model that is a sum of trees, or why there is none."""

from dataclasses import dataclass

import onnx

from whyport.exporter.draft import Draft
from whyport.exporter.graphs.column_inputs import take_inputs
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.graphs.graph import capability
from whyport.exporter.graphs.join import joined
from whyport.exporter.graphs.onnx import default_opset
from whyport.exporter.reasons.left_out import left_out
from whyport.exporter.trees.explain_graph import LEAST_OPSET, tree_graph
from whyport.exporter.trees.tables import TreeShares, of_single_scores, share_tables
from whyport.exporter.trees.units import MOST_BITS, UnitChoice
from whyport.runtime.bundle.graphs import capability_of
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL, Capability
from whyport.runtime.bundle.trees import Trees

MOST_BYTES = 32_000_000
"""The largest explain.onnx of trees: pages in browsers load it whole."""
NO_GRADIENTS = "the scores of trees jump at thresholds and are constant between them; treeshap explains them exactly"
"""Why there is no gradient.onnx."""
NO_DERIVATIVES = "the scores of trees jump at thresholds and are constant between them"
"""The same where treeshap has no trees to explain."""


def tree_capabilities(obstacle: str) -> dict[str, Capability]:
    """The capabilities of a model with trees.

    Args:
        obstacle: why its scores are no sum of trees over the columns; empty where they are one.
    """
    no_gradients = capability(NO_DERIVATIVES if obstacle else NO_GRADIENTS)
    return {
        **dict.fromkeys(("gradients", "grad-cam", "deepshap"), no_gradients),
        "attention": capability("trees have no attention weights"),
        "treeshap": capability(obstacle),
    }


@dataclass(frozen=True)
class TreeReasons:
    """What explains trees without Python."""

    capabilities: dict[str, Capability]
    graph: OnnxFile | None = None
    """explain.onnx"""
    shares: TreeShares | None = None
    """The same in float64."""


def compile_tree_reasons(draft: Draft, compiled: Compiled, trees: Trees) -> TreeReasons:
    """explain.onnx against the whole background, or the reason why it was left out."""
    explains = capability_of(EXPLAIN_MODEL)
    capabilities = {capability_of(GRADIENT_MODEL): capability(NO_GRADIENTS)}
    trees = of_single_scores(trees)
    choice = UnitChoice(trees)
    if obstacle := _obstacle(draft, compiled.onnx.model, choice):
        return TreeReasons(capabilities | {explains: capability(obstacle)})
    try:
        codes = [None if column.categories is None else column.categories.codes for column in draft.features]
        shares = share_tables(trees, choice, codes, draft.background())
        part = tree_graph(shares, draft.task, len(codes), draft.imputation, default_opset(compiled.onnx.model))
        take_inputs(part, draft.inputs)
        graph = OnnxFile(joined(compiled.onnx.model, part))
    except Exception as error:  # of another package, on trees that nobody has thought of
        return TreeReasons(capabilities | {explains: left_out(explains, error)})
    return TreeReasons(capabilities | {explains: capability("")}, graph, shares)


def _obstacle(draft: Draft, model: onnx.ModelProto, choice: UnitChoice) -> str:
    """Why the graph cannot be made, before anything is; empty where nothing is in its way."""
    if draft.summary == 0:
        return "it was left out, by --explain-references 0"
    opset = default_opset(model)
    if opset < LEAST_OPSET:
        return f"the model has opset {opset}; the graph needs {LEAST_OPSET} at least"
    smaller = "a smaller max_depth or max_leaf_nodes fits"
    if choice.most_columns > MOST_BITS:
        return f"a leaf of the trees asks about {choice.most_columns} columns, more than {MOST_BITS}: {smaller}"
    size = choice.size + model.ByteSize()
    if size > MOST_BYTES:
        return f"it would have {size / 1e6:.0f} MB, more than {MOST_BYTES / 1e6:.0f}: fewer trees or {smaller}"
    return ""
