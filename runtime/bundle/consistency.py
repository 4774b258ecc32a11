"""The rules between the keys of a sidecar, which neither a type nor a constraint on one value can say."""

import math

from whyport.runtime.bundle.class_maps import check_cam
from whyport.runtime.bundle.constraints import NEWER
from whyport.runtime.bundle.graphs import (
    KINDS,
    TARGET_INDEX,
    capability_of,
    named_as_in,
    reasons_graphs,
    reasons_inputs,
    reasons_outputs,
)
from whyport.runtime.bundle.input_rules import check_different, check_inputs, check_players, check_type
from whyport.runtime.bundle.inputs import (
    ImagePreparation,
    Input,
    SequencePreparation,
    TablePreparation,
    TextPreparation,
)
from whyport.runtime.bundle.pictures import check_prepare
from whyport.runtime.bundle.precision_rules import check_precisions
from whyport.runtime.bundle.score import CLASSIFICATION
from whyport.runtime.bundle.sidecar import CONFORMANCE, CONFORMANCE_JSON, Graph, Sidecar, known_task, task_of
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError, listing
from whyport.runtime.task import Task

MOST_VALUES = 1 << 24
"""The most values in one row of a tensor."""


TOLERANCES = ("outputs", "gradients", "attributions", "completeness")
"""The tolerances that every bundle has."""


def check_consistency(sidecar: Sidecar) -> None:
    """Raise BundleFormatError for a sidecar that contradicts itself."""
    check_inputs(sidecar.inputs)
    check_players(sidecar.players, sidecar.inputs)
    _check_graphs(sidecar)
    _check_score(sidecar)
    _check_baselines(sidecar)
    for name in TOLERANCES:
        if name not in sidecar.tolerances:
            raise BundleFormatError(f"$.tolerances: missing key {name!r}")
    check_precisions(sidecar)
    _check_files(sidecar)


def check_usable(sidecar: Sidecar) -> None:
    """Raise BundleFormatError for inputs, players and scores that this version describes, and does not run yet."""
    inputs = sidecar.inputs
    if not all(map(_is_read, inputs)):
        got = listing(f"{each.name} ({each.prepare.kind})" for each in inputs)
        raise BundleFormatError(
            f"expected tables, images, sequences and texts without free axes, got the inputs {got}: {NEWER}"
        )
    if sidecar.players.names not in (None, sidecar.feature_names):
        raise BundleFormatError(f"$.players.names: expected the features' names, got others: {NEWER}")
    count, cells = len(sidecar.features), sidecar.cells
    if len(cells) != count or not all(cells):
        raise BundleFormatError(f"$.players.cells: expected cells of each of {count} features, got others: {NEWER}")
    if not sidecar.has_categories and cells != tuple((i,) for i in range(count)):
        raise BundleFormatError(f"$.players.cells: expected the features themselves without categories: {NEWER}")
    check_different("$.inputs", "the features' names", sidecar.feature_names)
    task = task_of(sidecar)
    _check_reasons(sidecar, task)
    check_cam(sidecar, task.targets, sidecar.signature.output(task.score))
    check_prepare(sidecar)


def _is_read(each: Input) -> bool:
    """Whether an input is a table, an image, a text, or a sequence in one tensor of values and at most one mask.

    The tensors of a sequence are of fixed shape.
    """
    if isinstance(each.prepare, TextPreparation):
        shape = ("N", each.prepare.max_length)
        return len(each.tensors) in (2, 3) and all(spec.shape == shape for spec in each.tensors)
    if isinstance(each.prepare, SequencePreparation):
        steps, *width = (axis.length for axis in each.axes)
        shapes = [("N", steps, *width), ("N", steps)]
        most = 1 if each.prepare.length is not None else 2
        return isinstance(steps, int) and [spec.shape for spec in each.tensors] in (shapes[:1], shapes[:most])
    return isinstance(each.prepare, TablePreparation | ImagePreparation)


def _check_reasons(sidecar: Sidecar, task: Task) -> None:
    """The graphs that explain are there where the capabilities say so, with the tensors that whyport takes of them."""
    graphs = reasons_graphs(sidecar)
    scores = [spec for spec in sidecar.signature.outputs if spec.name in task.outputs]
    for file, kind in KINDS.items():
        capability = sidecar.capabilities.get(capability_of(file))
        if capability is None or not capability.available:
            continue
        if file not in graphs:
            raise BundleFormatError(f"$.graphs: expected one of kind {kind!r}, as the capabilities say, got none")
        graph = graphs[file]
        for specs, expected in (
            (graph.inputs, (*reasons_inputs(sidecar.signature.inputs), TARGET_INDEX)),
            (graph.outputs, reasons_outputs(file, scores, len(sidecar.features))),
        ):
            for spec in expected:
                named = named_as_in(graph, spec)
                if named not in specs:
                    wanted = f"{named.name} {named.dtype} [{', '.join(map(str, named.shape))}]"
                    raise BundleFormatError(f"$.graphs: expected the tensor {wanted} of {graph.file}")


def _check_graphs(sidecar: Sidecar) -> None:
    if sidecar.graph("predict") is None:
        raise BundleFormatError("$.graphs: expected a graph of kind 'predict'")
    kinds = [f"{graph.kind} {graph.variant or ''}".strip() for graph in sidecar.graphs]
    check_different("$.graphs", "kinds and variants", kinds)
    for i, graph in enumerate(sidecar.graphs):
        _check_tensors(f"$.graphs[{i}]", graph)
    predict = sidecar.signature
    tensors = tuple(spec for each in sidecar.inputs for spec in each.tensors)
    if predict.inputs != tensors:
        got, expected = (listing(spec.name for spec in specs) for specs in (predict.inputs, tensors))
        raise BundleFormatError(f"$.graphs: expected the inputs' tensors ({expected}) in the model, got {got}")
    attention = sidecar.capabilities.get("attention")
    if attention is not None and attention.available and not any(map(_is_attention, predict.outputs)):
        raise BundleFormatError("$.capabilities.attention: expected an output 'attention' of shape [N, L, L]")


def _check_tensors(path: str, graph: Graph) -> None:
    for role, specs in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        for i, spec in enumerate(specs):
            values = math.prod(length for length in spec.shape[1:] if isinstance(length, int))
            if spec.shape[0] != "N" or values > MOST_VALUES:
                raise BundleFormatError(
                    f"{path}.{role}[{i}].shape: expected N rows of at most {MOST_VALUES} values, got {list(spec.shape)}"
                )
    check_different(path, "tensor names", [spec.name for spec in (*graph.inputs, *graph.outputs)])


def _check_score(sidecar: Sidecar) -> None:
    """The score and its probabilities are outputs of the model; the names of a known task's outputs are fixed."""
    score, outputs = sidecar.score, {spec.name: spec for spec in sidecar.signature.outputs}
    task = known_task(sidecar)
    if task is not None:
        if score.output != task.score:
            raise BundleFormatError(f"$.score.output: expected {task.score!r}, got {score.output!r}")
        task.check_outputs({name: outputs[name].row_shape() for name in task.outputs if name in outputs})
    if (score.probabilities is None) == (score.task == CLASSIFICATION):
        raise BundleFormatError("$.score.probabilities: expected them for a classification, and for no other task")
    count = len(score.targets)
    for key, name in (("output", score.output), ("probabilities", score.probabilities)):
        if name is not None:
            if name not in outputs or outputs[name].shape != ("N", count):
                raise BundleFormatError(f"$.score.{key}: expected an output {name!r} of shape [N, {count}]")
            check_type(f"output {name!r}", outputs[name], "float32")


def _check_baselines(sidecar: Sidecar) -> None:
    check_different("$.baselines", "names", [baseline.name for baseline in sidecar.baselines])
    for i, baseline in enumerate(sidecar.baselines):
        if baseline.kind == "rows" and baseline.file is None:
            raise BundleFormatError(f"$.baselines[{i}].file: expected the file of the rows, got null")


def _is_attention(spec: TensorSpec) -> bool:
    return spec.name == "attention" and len(spec.shape) == 3 and spec.shape[1] == spec.shape[2]


def _check_files(sidecar: Sidecar) -> None:
    required = [graph.file for graph in sidecar.graphs]
    required += [CONFORMANCE, *(baseline.file for baseline in sidecar.baselines if baseline.file is not None)]
    required += [each.prepare.tokenizer for each in sidecar.inputs if isinstance(each.prepare, TextPreparation)]
    if sidecar.format_version > 1:
        required.append(CONFORMANCE_JSON)
    for name in required:
        if name not in sidecar.files:
            raise BundleFormatError(f"expected a digest of {name!r}, got digests of {listing(sidecar.files)}")
