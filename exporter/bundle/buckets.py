"""The shorter buckets of a bundle whose rows are of varying length: each with graphs of its own."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.bundle.made import Made
from whyport.exporter.data.samples import PROBE, Samples
from whyport.exporter.draft import Draft
from whyport.exporter.verify.engines import model_outputs
from whyport.exporter.verify.outputs import PROBE_ROWS
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle.buckets import inputs_at, level_count, places_at, steps_at, variant_name
from whyport.runtime.bundle.graphs import capability_of
from whyport.runtime.bundle.lengths import at_most
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.row import features_of, sources_of
from whyport.runtime.bundle.sidecar import EXPLAIN_MODEL, GRADIENT_MODEL, Capability
from whyport.runtime.errors import ParityError
from whyport.runtime.parity import deviation

SHARED = ("gradients", "deepshap", "explain-onnx", "gradient-onnx")
"""The capabilities that a bundle has only if each of its buckets has."""


def shorter_drafts(draft: Draft) -> list[Draft]:
    """The drafts of the buckets that are shorter than the longest, the longer ones first."""
    return [draft_at(draft, level) for level in range(1, level_count(draft.lengths))]


def draft_at(draft: Draft, level: int) -> Draft:
    """The draft as if a bucket were the longest: longer rows of the sample are cut."""
    lengths = draft.lengths
    places = places_at(lengths, len(draft.features), level)
    steps = steps_at(lengths, level)

    def cut(rows: NDArray[np.float32]) -> NDArray[np.float32]:
        return at_most(lengths, rows, steps)[:, places]

    inputs = inputs_at(draft.inputs, level)
    features = features_of(sources_of(inputs))
    sample = draft.samples
    shorter = replace(draft, given=inputs, features=features, precise=None)
    return replace(
        shorter,
        references=References(cut(draft.references.rows), draft.references.weights),
        samples=Samples(
            cut(sample.rows),
            sample.seed,
            sample.missing,
            features,
            shorter.lengths,
            None if sample.kept is None else cut(sample.kept),
        ),
    )


def with_chosen(draft: Draft, longest: Made) -> Draft:
    """The draft of a bucket with the references that the longest bucket's explain.onnx has."""
    chosen = longest.reasons.references
    if chosen is None:
        return replace(draft, summary=0)
    lengths = longest.draft.lengths
    level = [each.buckets[-1] for each in draft.lengths]
    (found,) = (k for k in range(1, level_count(lengths)) if list(steps_at(lengths, k)) == level)
    rows = longest.draft.references.rows
    assert rows.shape[1] == chosen.rows.shape[1]
    cut = draft_at(replace(longest.draft, references=chosen), found).references
    return replace(draft, chosen=cut)


def check_padding(longest: Made, shorter: Sequence[Made]) -> None:
    """Raise ParityError where a row's scores depend on how far it is padded."""
    draft = longest.draft
    lengths = draft.lengths
    probes, score = draft.probes(PROBE_ROWS, PROBE), draft.task.score
    if not all(each.is_masked for each in lengths):  # then no row is padded
        return
    for level, each in enumerate(shorter, start=1):
        rows = at_most(lengths, probes, steps_at(lengths, level))
        expected = model_outputs(longest.compiled, draft.feeds)(rows)[score]
        own = rows[:, places_at(lengths, rows.shape[1], level)]
        off = deviation(model_outputs(each.compiled, each.draft.feeds)(own)[score], expected)
        if not off <= TOLERANCES["outputs"]:
            most, fewer = (", ".join(map(str, steps_at(lengths, k))) for k in (0, level))
            raise ParityError(
                f"the scores of a row depend on its padding: expected the same with {fewer} steps as with {most}, got "
                f"a deviation of {off:.3g}; leave padding out by the mask, or name one bucket alone: buckets={most}"
            )


def alike(made: Sequence[Made]) -> list[Made]:
    """The buckets with what each of them has; the reason why one lacks something names the bucket."""
    obstacles: dict[str, Capability] = {}
    for each in made:
        steps = ", ".join(str(length.buckets[-1]) for length in each.draft.lengths)
        found = each.compiled.capabilities | each.reasons.capabilities
        for name in SHARED:
            if not found[name].available and name not in obstacles:
                obstacles[name] = Capability(False, f"rows of {steps} steps: {found[name].reason}")
    return [_without(each, obstacles) for each in made]


def _without(made: Made, obstacles: dict[str, Capability]) -> Made:
    compiled, reasons = made.compiled, made.reasons
    if "gradients" in obstacles:
        capabilities = compiled.capabilities | {"gradients": obstacles["gradients"]}
        compiled = replace(compiled, capabilities=capabilities, torchscript=None)
    if "deepshap" in obstacles:
        reasons = replace(
            reasons, deepshap=None, capabilities=reasons.capabilities | {"deepshap": obstacles["deepshap"]}
        )
    for name in (EXPLAIN_MODEL, GRADIENT_MODEL):
        if capability_of(name) in obstacles:
            reasons = reasons.without(name, obstacles[capability_of(name)])
    return replace(made, compiled=compiled, reasons=reasons)


def variant_of(made: Made) -> str:
    """The variant of the graphs of a bucket."""
    return variant_name([each.buckets[-1] for each in made.draft.lengths])
