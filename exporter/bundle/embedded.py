"""The embedded view of a model of texts: the same network, from the embeddings of tokens on."""

import dataclasses
import logging
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray
from onnx import TensorProto, helper, numpy_helper

from whyport.exporter.bundle.buckets import SHARED, shorter_drafts, variant_of
from whyport.exporter.bundle.made import Made
from whyport.exporter.data.samples import PROBE, PROBE_VALUES, Samples, affordable
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.graphs.lookups import Lookup
from whyport.exporter.graphs.onnx import DEFAULT_IR, DEFAULT_OPSET
from whyport.exporter.kinds.kind import Kind
from whyport.exporter.verify.engines import model_outputs
from whyport.exporter.verify.outputs import PROBE_ROWS
from whyport.exporter.verify.tolerances import TOLERANCES
from whyport.runtime.bundle.embedded import (
    DEVIATION,
    EMBED_MODEL,
    EMBEDDED,
    EMBEDDING,
    embedded_inputs,
    embedded_name,
    embedded_rows,
)
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.row import features_of, sources_of
from whyport.runtime.bundle.sidecar import Capability, Graph
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ParityError, WhyportError
from whyport.runtime.parity import deviation

logger = logging.getLogger(__name__)

ROWS = 512
"""The most rows of the sample that are embedded."""


@dataclass(frozen=True)
class Embedding:
    """The look-ups of a model of texts, which embed.onnx does alone."""

    draft: Draft
    """The bundle's draft, whose rows hold ids."""
    lookups: tuple[Lookup, ...]

    @cached_property
    def file(self) -> OnnxFile:
        """embed.onnx: from the ids of each text to their embeddings."""
        tables = [numpy_helper.from_array(each.table.numpy(), f"{each.input}.table") for each in self.lookups]
        nodes = [
            helper.make_node("Gather", [table.name, ids.name], [given.name], axis=0)
            for table, ids, given in zip(tables, self._ids, self._embeddings, strict=True)
        ]
        values = [
            helper.make_tensor_value_info(spec.name, kind, spec.shape)
            for specs, kind in ((self._ids, TensorProto.INT64), (self._embeddings, TensorProto.FLOAT))
            for spec in specs
        ]
        count = len(self.lookups)
        graph = helper.make_graph(nodes, "embed", values[:count], values[count:], tables)
        opset = helper.make_opsetid("", DEFAULT_OPSET)
        return OnnxFile(helper.make_model(graph, opset_imports=[opset], ir_version=DEFAULT_IR))

    @property
    def graph(self) -> Graph:
        """The entry of embed.onnx in the sidecar."""
        figures = {f"{name}.{DEVIATION}": value for name, value in self._deviations.items()}
        return Graph(EMBED_MODEL, "prepare", EMBEDDING, self._ids, self._embeddings, figures)

    def rows(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Rows of ids [N, F] as rows of embeddings."""
        tables = {each.input: each.table.numpy() for each in self.lookups}
        embedded = {name: table[self._of(rows, name)] for name, table in tables.items()}
        return embedded_rows(self.draft.inputs, rows, embedded)

    @cached_property
    def view(self) -> Draft:
        """The draft whose rows hold embeddings."""
        draft = self.draft
        dimensions = {each.input: each.dimensions for each in self.lookups}
        inputs = embedded_inputs(draft.inputs, dimensions, self._deviations)
        features = features_of(sources_of(inputs))
        view = dataclasses.replace(draft, given=inputs, features=features, precise=None, summary=0)
        few = affordable(ROWS, len(features), PROBE_VALUES)
        sample = draft.samples
        kept = None if sample.kept is None else self.rows(sample.kept[:few])
        return dataclasses.replace(
            view,
            references=References(self.rows(draft.references.rows[:1]), np.ones(1)),
            samples=Samples(self.rows(sample.rows[:few]), sample.seed, False, features, view.lengths, kept),
            lookups=self.lookups,
        )

    def check(self, of_ids: Made, longest: Made) -> None:
        """Raise ParityError where the network has other scores for embeddings than for the ids that they are of.

        A network that reads ids elsewhere too, such as one that makes its mask of them, is one.
        """
        draft, view = of_ids.draft, longest.draft
        probes = draft.probes(affordable(PROBE_ROWS, len(view.features), PROBE_VALUES), PROBE)
        score = draft.task.score
        expected = model_outputs(of_ids.compiled, draft.feeds)(probes)[score]
        given = model_outputs(longest.compiled, view.feeds)(self.rows(probes))[score]
        off = deviation(given, expected)
        if not off <= TOLERANCES["outputs"]:
            raise ParityError(
                f"the network reads token ids beside their embeddings: expected the scores of the ids, got a deviation "
                f"of {off:.3g}"
            )

    @cached_property
    def _ids(self) -> tuple[TensorSpec, ...]:
        by_name = {each.name: each for each in self.draft.inputs}
        return tuple(by_name[each.input].tensors[0] for each in self.lookups)

    @cached_property
    def _embeddings(self) -> tuple[TensorSpec, ...]:
        pairs = zip(self._ids, self.lookups, strict=True)
        return tuple(
            TensorSpec(embedded_name(ids.name), "float32", (*ids.shape, each.dimensions)) for ids, each in pairs
        )

    @cached_property
    def _deviations(self) -> dict[str, float]:
        """The standard deviation of each text's embeddings in the sample, or of all where that is none."""
        found = {}
        for each in self.lookups:
            table = each.table.numpy()
            own = table[np.unique(self._of(self.draft.samples.rows[:ROWS], each.input))]
            found[each.input] = float(own.std()) or float(table.std()) or 1.0
        return found

    def _of(self, rows: NDArray[np.float32], name: str) -> NDArray[np.int64]:
        """The ids [N, T] of a text in rows [N, F]."""
        (length,) = [each for each in self.draft.lengths if each.name == name]
        return rows[:, length.cells].astype(np.int64)


@dataclass(frozen=True)
class EmbeddedModel:
    """The embedded view of a model, compiled."""

    embedding: Embedding
    models: tuple[tuple[Draft, Compiled], ...]
    """The view's draft and model in each bucket, that of the longest rows first."""


def embedded_model(kind: Kind, draft: Draft) -> EmbeddedModel | Capability:
    """The view of a model of texts, or the reason why there is none.

    Args:
        kind: the model.
        draft: the bundle's draft, whose rows hold ids.
    """
    try:
        embedding = Embedding(draft, kind.lookups(draft))
        drafts = (embedding.view, *shorter_drafts(embedding.view))
        return EmbeddedModel(embedding, tuple((each, kind.compile(each)) for each in drafts))
    except WhyportError as error:
        return no_view(error)


def no_view(error: WhyportError) -> Capability:
    """The capability of a bundle of texts without the view."""
    logger.warning("texts are not explained: %s", error)
    return Capability(available=False, reason=f"token ids have no values between them, and {error}")


def view_variant(made: Made, longest: Made) -> str:
    """The variant of the graphs of the view, or of a shorter bucket of it."""
    return EMBEDDED if made is longest else f"{EMBEDDED}-{variant_of(made)}"


def view_capabilities(longest: Made) -> dict[str, Capability]:
    """The capabilities of the view as the bundle's sidecar has them."""
    found = longest.compiled.capabilities | longest.reasons.capabilities
    return {f"{EMBEDDED}-{name}": found[name] for name in SHARED}
