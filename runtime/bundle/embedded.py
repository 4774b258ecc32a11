"""The view of a bundle of texts in which a row holds the embeddings of its tokens in place of their ids.

Ids have no values between them, so that a text is explained by its embeddings: as a sequence of varying length, whose
steps are tokens. The view's graphs are the variants "embedded" of the bundle's; `embed.onnx` makes its rows.
"""

import dataclasses
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import LIST, REFUSE, TOKEN, Channel, Column, NumberStatistics
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Axis, Input, SequencePreparation, TextPreparation
from whyport.runtime.bundle.row import row_size
from whyport.runtime.bundle.sidecar import CONFORMANCE, Capability, Graph, Sidecar
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.variants import variant_file
from whyport.runtime.errors import BundleFormatError

EMBEDDED = "embedded"
"""The variant of the view's graphs, and the beginning of its shorter buckets' variants and of its capabilities."""

EMBED_MODEL = "embed.onnx"
EMBEDDING = "embedding"
"""The variant of embed.onnx among the graphs that prepare."""

DEVIATION = "deviation"
"""A figure of embed.onnx, behind an input's name: the standard deviation of its embeddings."""

DIMENSION = "dimension"


def embedded_name(tensor: str) -> str:
    """The name of the tensor of embeddings, by that of the ids."""
    return f"{tensor}.{EMBEDDING}"


def has_texts(inputs: Sequence[Input]) -> bool:
    """Whether some of a model's inputs are texts."""
    return any(isinstance(each.prepare, TextPreparation) for each in inputs)


def embedded_inputs(
    inputs: Sequence[Input], dimensions: Mapping[str, int], deviations: Mapping[str, float]
) -> tuple[Input, ...]:
    """The inputs of the view: each text as a sequence of embeddings [tokens, dimensions].

    Args:
        inputs: the bundle's inputs.
        dimensions: the length of each text's embeddings, by the input's name.
        deviations: their standard deviation, by the same.
    """
    return tuple(
        _embedded(each, each.prepare, dimensions[each.name], deviations[each.name])
        if isinstance(each.prepare, TextPreparation)
        else each
        for each in inputs
    )


def embedded_rows(
    inputs: Sequence[Input], rows: NDArray[np.float32], embedded: Mapping[str, NDArray[np.float32]]
) -> NDArray[np.float32]:
    """The rows of the view, in which what is beyond a text's last token is 0.

    Args:
        inputs: the bundle's inputs.
        rows: its rows [N, F].
        embedded: the embeddings of each text's ids, [N, tokens, dimensions], by the input's name.
    """
    parts: list[NDArray[np.float32]] = []
    start = 0
    for each in inputs:
        own = rows[:, start : start + row_size(each)]
        start += row_size(each)
        if each.name not in embedded:
            parts.append(own)
            continue
        values, length = embedded[each.name], own[:, -1:]
        is_token = np.arange(values.shape[1]) < length
        parts += [np.where(is_token[:, :, None], values, 0).reshape(len(rows), -1), length]
    return np.concatenate(parts, axis=1, dtype=np.float32)


def embed_graph(sidecar: Sidecar) -> Graph | None:
    """The graph from ids to embeddings; None where the bundle has none."""
    return next((graph for graph in sidecar.graphs if graph.variant == EMBEDDING), None)


def embedded_sidecar(sidecar: Sidecar) -> Sidecar | None:
    """The sidecar of the view; None where the bundle has none."""
    embed = embed_graph(sidecar)
    if embed is None:
        return None
    texts = [each for each in sidecar.inputs if isinstance(each.prepare, TextPreparation)]
    dimensions = {each.name: _dimensions(embed, each) for each in texts}
    deviations = {each.name: embed.figures.get(f"{each.name}.{DEVIATION}", 1.0) for each in texts}
    stored = _stored(sidecar)
    own = {file: name for name, file in stored.items()}
    graphs = tuple(
        dataclasses.replace(graph, file=own[graph.file], variant=_own_variant(graph))
        for graph in sidecar.graphs
        if graph.file in own
    )
    prefix = f"{EMBEDDED}-"
    capabilities: dict[str, Capability] = {
        name.removeprefix(prefix): each for name, each in sidecar.capabilities.items() if name.startswith(prefix)
    }
    return dataclasses.replace(
        sidecar,
        inputs=embedded_inputs(sidecar.inputs, dimensions, deviations),
        baselines=(),
        graphs=graphs,
        capabilities=capabilities,
        files=sidecar.files | {name: sidecar.files[file] for name, file in stored.items() if file in sidecar.files},
    )


def explained_sidecar(sidecar: Sidecar) -> Sidecar | None:
    """The sidecar whose rows are explained: of texts the view, otherwise itself; None for texts without a view."""
    return embedded_sidecar(sidecar) if has_texts(sidecar.inputs) else sidecar


def embedded_bundle(bundle: Bundle) -> Bundle | None:
    """The view of a bundle; None where it has none."""
    sidecar = embedded_sidecar(bundle.sidecar)
    if sidecar is None:
        return None
    # The bundle may be a view itself.
    stored = {name: bundle.stored.get(file, file) for name, file in _stored(bundle.sidecar).items()}
    return dataclasses.replace(bundle, sidecar=sidecar, stored=stored, source=bundle)


def _stored(sidecar: Sidecar) -> dict[str, str]:
    """The file of the bundle that holds the content of each file of the view."""
    found = {CONFORMANCE: variant_file(CONFORMANCE, EMBEDDED)}
    for graph in sidecar.graphs:
        if graph.variant is not None and graph.variant.split("-")[0] == EMBEDDED:
            found[graph.file.replace(f".{EMBEDDED}-", ".").replace(f".{EMBEDDED}", "")] = graph.file
    return found


def _own_variant(graph: Graph) -> str | None:
    """The variant in the view: none for the longest rows."""
    assert graph.variant is not None
    return graph.variant.removeprefix(EMBEDDED).removeprefix("-") or None


def _dimensions(embed: Graph, text: Input) -> int:
    """The length of a text's embeddings; raises BundleFormatError where embed.onnx does not make them of its ids."""
    ids, name = text.tensors[0], embedded_name(text.tensors[0].name)
    found = [spec for spec in embed.outputs if spec.name == name]
    shapes = [spec.shape for spec in found if spec.dtype == "float32" and spec.shape[:-1] == ids.shape]
    if ids not in embed.inputs or not shapes or not isinstance(shapes[0][-1], int):
        expected = f"the tensor {ids.name!r} to be taken, and {name!r} float32 [N, tokens, dimensions] to be given"
        raise BundleFormatError(f"$.graphs: expected {expected} by {embed.file}")
    return shapes[0][-1]


def _embedded(text: Input, prepare: TextPreparation, dimensions: int, deviation: float) -> Input:
    (column,), most = text.columns, prepare.max_length
    numbers = NumberStatistics(0.0, 0.0, 0.0, deviation, 0.0, (), (1.0,))
    channels = tuple(Channel(str(i), numbers) for i in range(dimensions))
    return Input(
        name=text.name,
        columns=(Column(column.name, LIST, None, REFUSE, None, column.missing_fraction, None, None, channels),),
        prepare=SequencePreparation("sequence", None, prepare.buckets or (most,), standardised=False),
        tensors=(
            TensorSpec(embedded_name(text.tensors[0].name), "float32", ("N", most, dimensions)),
            TensorSpec(text.tensors[1].name, "uint8", ("N", most)),
        ),
        axes=(Axis(TOKEN, most, None), Axis(DIMENSION, dimensions, None)),
    )
