"""From a user's own model to a bundle: open, compile, verify, write."""

import dataclasses
import logging
from functools import partial

from whyport.exporter.agreement import agreed_targets, agreed_task
from whyport.exporter.bundle.buckets import shorter_drafts
from whyport.exporter.bundle.embedded import embedded_model
from whyport.exporter.bundle.package import make_package, versions
from whyport.exporter.bundle.target import Target, check_target
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.data.public import public_form
from whyport.exporter.data.samples import Samples
from whyport.exporter.data.step_references import method_in_words, reference_kinds, with_constant_steps
from whyport.exporter.data.table import digest
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.kinds import open_kind
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.model_sample import ModelSample, read_sample
from whyport.exporter.shrink.choice import VariantChoice
from whyport.exporter.shrink.held_out import rows_beside
from whyport.exporter.shrink.shrink import add_variants
from whyport.exporter.source import ModelSource
from whyport.exporter.verify.native import NativeParity, verify_far, verify_native
from whyport.exporter.verify.tolerances import Parity
from whyport.runtime.bundle.columns import takes_missing
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.lengths import at_most
from whyport.runtime.bundle.row import lengths_of
from whyport.runtime.bundle.sidecar import Provenance
from whyport.runtime.errors import ParityError, UsageError, WhyportError

logger = logging.getLogger(__name__)


def export_bundle(
    source: ModelSource,
    target: Target,
    *,
    seed: int = 0,
    opset: int | None = None,
    variants: VariantChoice | None = None,
) -> Bundle:
    """Write a user's model as a verified bundle.

    Args:
        source: the model.
        target: the bundle to write.
        seed: seeds every draw from the sample, and the factory's random weights.
        opset: ONNX operator set; by default one that every runtime reads. An ONNX file keeps its own.
        variants: smaller variants to add; none by default.

    Raises:
        WhyportError: anything is wrong with the model, the sample or the options; nothing is written then.
    """
    check_target(target.path, overwrite=target.overwrite)
    kind = open_kind(source, seed=seed, opset=opset)
    if kind.file is not None and not kind.file.is_file():
        raise UsageError(f"there is no file {str(kind.file)!r}")
    sample = read_sample(source, kind.facts)
    draft = _draft(source, kind, sample, target.bundle_name(), seed)
    compiled = kind.compile(draft)
    parity: Parity = {}
    if kind.is_native:
        compiled, found = _compared(kind, draft, compiled)
        parity = found.parity
        if found.refused:
            draft = _draft(source, kind, sample.refusing(found.refused), target.bundle_name(), seed)
    draft = _as_compiled(draft, compiled)
    units = tuple(source.units.get(name) for name in draft.targets) if source.units else ()
    draft = dataclasses.replace(draft, units=units)
    shorter = [(each, kind.compile(each)) for each in shorter_drafts(draft)]
    view = embedded_model(kind, draft) if draft.has_texts else None
    package = make_package(draft, compiled, sample.files, parity, shorter, view)
    if variants is None:
        return write_bundle(target.path, package, overwrite=target.overwrite)
    held_out = rows_beside(sample.rows, draft.references.rows)
    finish = partial(add_variants, choice=variants, rows=held_out)
    return write_bundle(target.path, package, overwrite=target.overwrite, finish=finish)


def _compared(kind: Kind, draft: Draft, compiled: Compiled) -> tuple[Compiled, NativeParity]:
    """The model, and how it compares with its framework; the one in float64 where float32 is not enough."""
    try:
        return compiled, _compare(kind, draft, compiled)
    except ParityError as error:
        try:
            precise = kind.compile_in_float64(draft)
            found = None if precise is None else _compare(kind, draft, precise)
        except WhyportError:  # what was wrong in float32 says more
            raise error from None
        if precise is None or found is None:
            raise
        logger.warning("float32 is not enough: the model computes in float64, and has no gradients")
        return precise, found


def _compare(kind: Kind, draft: Draft, compiled: Compiled) -> NativeParity:
    draft = _as_compiled(draft, compiled)
    native = partial(kind.native, draft=draft)
    found = verify_native(draft, compiled, native, kind.native_rows, kind.advice)
    if type(kind).compile_in_float64 is not Kind.compile_in_float64:
        verify_far(draft, compiled, native)
    return found


def _as_compiled(draft: Draft, compiled: Compiled) -> Draft:
    """The draft with what is known once the model is compiled: how many scores it has, and its cells."""
    encoding = draft.encoding if compiled.graph is None else compiled.graph.encoding
    return dataclasses.replace(draft.named(compiled.outputs[0].row_shape()[0]), encoding=encoding)


def _draft(source: ModelSource, kind: Kind, sample: ModelSample, name: str, seed: int) -> Draft:
    task = agreed_task(source, sample.facts)
    features, rows = sample.columns, sample.rows
    references = source.background.take(features, rows, seed, sample.inputs, sample.files)
    public = source.background.public_rows(features, sample.inputs, sample.files)
    features, inputs = public_form(features, sample.inputs, public, rows)
    provenance = Provenance(
        source=f"export {kind.label}",
        settings={"model_digest": digest(kind.file) if kind.file else None, **source.background.record()},
        seed=seed,
        data_digest=digest(source.sample),
        versions=versions(*kind.packages),
        metrics={},
    )
    kinds = reference_kinds(source.inputs)
    lengths = lengths_of(sample.inputs)
    steps = [each.steps for each in lengths]
    rows, kept = at_most(lengths, rows, steps), None if public is None else at_most(lengths, public, steps)
    return Draft(
        name=name,
        targets=agreed_targets(source, sample.facts, task),
        features=features,
        given=inputs,
        standardise=source.standardise,
        provenance=provenance,
        references=with_constant_steps(references, sample.inputs, kinds),
        references_method=method_in_words(sample.inputs, kinds),
        samples=Samples(
            rows,
            seed,
            missing=any(takes_missing(column) for column in features),
            columns=features,
            lengths=lengths,
            kept=kept,
        ),
        summary=source.background.summary,
        task_name=task,
        precise=sample.precise,
    )
