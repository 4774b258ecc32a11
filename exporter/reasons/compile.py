"""Compiles all that gives a bundle's reasons: deepshap.pt, explain.onnx, gradient.onnx and cam.onnx."""

import logging
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Self

from whyport.exporter.data.samples import PROBE
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile, TorchScriptFile
from whyport.exporter.graphs.graph import capability
from whyport.exporter.graphs.onnx import DEFAULT_OPSET, default_opset
from whyport.exporter.reasons.class_maps import ClassMaps, compile_class_maps
from whyport.exporter.reasons.exact import Oracle, exact_attributions
from whyport.exporter.reasons.jumps import jumping_features
from whyport.exporter.reasons.of_trees import compile_tree_reasons
from whyport.exporter.reasons.portable import compile_portable, no_graphs
from whyport.exporter.reasons.program import compile_program
from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.graphs import capability_of
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, Baseline, Capability
from whyport.runtime.errors import listing

logger = logging.getLogger(__name__)

EXPLAINED_ROWS = 16
"""How many rows DeepSHAP's program is checked with."""


@dataclass(frozen=True)
class Reasons:
    """What a bundle has to explain its predictions with."""

    capabilities: dict[str, Capability]
    deepshap: TorchScriptFile | None = None
    """deepshap.pt, in float64."""
    graphs: dict[str, OnnxFile] = field(default_factory=dict)
    """explain.onnx and gradient.onnx, by name, where the bundle has them."""
    exact: Oracle | None = None
    """What explain.onnx should give, where the bundle has it."""
    references: References | None = None
    """The few references inside explain.onnx, where it has not the whole background."""
    summary: Baseline | None = None
    maps: ClassMaps | None = None
    """cam.onnx, where the bundle has it."""

    def without(self, name: str, obstacle: Capability) -> Self:
        """The same without one of the graphs, whose capability says why; the references go with explain.onnx."""
        left = replace(
            self,
            capabilities=self.capabilities | {capability_of(name): obstacle},
            graphs={other: file for other, file in self.graphs.items() if other != name},
        )
        return replace(left, exact=None, references=None, summary=None) if name == EXPLAIN_MODEL else left


def compile_reasons(draft: Draft, compiled: Compiled) -> Reasons:
    """Compile what there can be; the capabilities say why the rest is missing.

    Args:
        draft: what is known of the bundle.
        compiled: the model, already verified: this takes longer than all the rest.
    """
    reasons = _shares(draft, compiled)
    maps, served = compile_class_maps(draft, compiled)
    return replace(reasons, maps=maps, capabilities=reasons.capabilities | {CAM: served})


def _shares(draft: Draft, compiled: Compiled) -> Reasons:
    """What gives shares of the scores."""
    graph = compiled.graph
    if compiled.trees is not None:
        of_trees = compile_tree_reasons(draft, compiled, compiled.trees)
        graphs = {} if of_trees.graph is None else {EXPLAIN_MODEL: of_trees.graph}
        exact = None if of_trees.shares is None else of_trees.shares.exact
        capabilities = {"deepshap": compiled.capabilities["deepshap"], **of_trees.capabilities}
        return Reasons(capabilities, graphs=graphs, exact=exact)
    if graph is None:
        deepshap = compiled.capabilities["deepshap"]
        return Reasons({"deepshap": deepshap, **no_graphs(deepshap.reason).capabilities})
    if draft.has_texts:
        reason = graph.capabilities["gradients"].reason
        return Reasons({"deepshap": capability(reason), **no_graphs(reason).capabilities})
    traced = draft.of_one_length(draft.impute(draft.trace_rows().numpy()))
    others = draft.of_one_length(draft.impute(draft.probes(EXPLAINED_ROWS, PROBE)), full=True)
    made, deepshap = compile_program(graph, traced, others, draft.lengths)
    if made is None:
        return Reasons({"deepshap": deepshap, **no_graphs(deepshap.reason).capabilities})
    one_number_each = len(draft.features) == others.shape[1]  # the steps of a sequence are several
    if one_number_each and graph.differentiable and (jumps := jumping_features(made.program, others)):
        logger.warning(
            "the score changes with %s by jumps, which have no gradient: methods by gradients give 0 there, and what "
            "they miss is in completeness_error; deepshap and shapley give its share",
            listing(draft.features[i].name for i in jumps),
        )
    # A user's own file may have an older operator set than these graphs are written in.
    opset = max(DEFAULT_OPSET, default_opset(compiled.onnx.model))
    portable = compile_portable(draft, graph, made.program, opset)
    capabilities = {"deepshap": deepshap, **portable.capabilities}
    references = portable.references
    exact = (
        None
        if references is None
        else partial(exact_attributions, made.file.module, references=references, lengths=draft.lengths)
    )
    return Reasons(capabilities, made.file, portable.files, exact, references, portable.summary)
