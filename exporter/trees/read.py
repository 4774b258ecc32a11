"""The trees of an ONNX graph: the sum that an output is, with what comes before and after it."""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto

from whyport.exporter.trees.affine import FLOATS, Affine, find_affine
from whyport.exporter.trees.combine import combine, simplify
from whyport.exporter.trees.ensemble import is_ensemble, read_ensemble
from whyport.exporter.trees.fold import Encoder, fold
from whyport.exporter.trees.links import NONE, SIGMOID, SOFTMAX
from whyport.exporter.trees.parts import Parts
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.errors import ExportError
from whyport.runtime.task import ProbabilityClassification, Regression, Task

MOVES = {
    *("ArrayFeatureExtractor", "Cast", "Concat", "Constant", "Flatten", "Gather", "Identity", "Reshape", "Slice"),
    *("Split", "Squeeze", "Unsqueeze"),
}
"""Operators that only move elements."""

LINKS = {"Sigmoid": SIGMOID, "Softmax": SOFTMAX}
"""The operators that are links."""

STAND_INS = 7
"""Rows of numbers that stand in for cells, to see where each one goes."""

BOTH = Affine(np.array([[-1.0], [1.0]]), np.zeros(2))
"""From a margin z to -z and z."""

BETWEEN = "a sigmoid or a softmax comes between the trees' sum and the scores"


@dataclass(frozen=True)
class TreeSum:
    """What a tensor of a graph is: the link of a sum of trees."""

    trees: Trees
    """Their scores are what the link is applied to: margins, where there is one."""
    link: str
    """One of `links`."""

    def of_two_classes(self, task: type[Task]) -> Self:
        """The sums of both classes of a classification, where there is one score, the second class's.

        A probability p makes 1 - p and p, a margin or a logit z makes -z and z.
        """
        if len(self.trees.offset) != 1 or task is Regression:
            return self
        is_chance = task is ProbabilityClassification
        both = Affine(BOTH.weights, np.array([1.0, 0.0])) if is_chance else BOTH
        return dataclasses.replace(self, trees=combine([self.trees], both))


@dataclass(frozen=True)
class FoundSum:
    """The sum of trees behind a tensor of a graph, over the cells that the trees take."""

    parts: Parts
    ensembles: dict[str, Trees]
    """The trees by the tensor of their scores."""
    affine: Affine
    """From all their scores, side by side, to those that the link is applied to."""
    link: str

    def over_columns(self, rows: NDArray[np.float32], names: Sequence[str] = ()) -> TreeSum:
        """The trees over the columns of the model's one input; see `read_trees`."""
        columns = tuple(names) or tuple(f"column {j}" for j in range(rows.shape[1]))
        over = [_over_columns(self.parts, end, trees, rows, columns) for end, trees in self.ensembles.items()]
        return TreeSum(combine(over, self.affine), self.link)

    def over_cells(self) -> Trees:
        """The trees over the cells of their operators, whatever these are."""
        return combine(list(self.ensembles.values()), self.affine)


def read_trees(model: onnx.ModelProto, output: str, rows: NDArray[np.float32], names: Sequence[str] = ()) -> TreeSum:
    """The trees whose sum gives a tensor, over the columns of the model's one input.

    Monotone steps in front of the trees, a scaler or an imputer, are folded into their thresholds.

    Args:
        model: takes rows [N, F] float32.
        output: one of its tensors, [N, K] or [N].
        rows: typical rows [M, F], to see which cells depend on which columns.
        names: the columns' names, for messages.

    Raises:
        ExportError: the tensor is no sum of trees over single columns; the reason names the operator or the columns.
    """
    return find_sum(model, output).over_columns(rows, names)


def find_sum(model: onnx.ModelProto, output: str) -> FoundSum:
    """The sum of trees that gives a tensor; ExportError, naming an operator, where none does."""
    parts = Parts(model)
    stage = _after_link(parts, output)
    nodes, ends = parts.above(stage.source, is_ensemble)
    found = {end: read_ensemble(_ensemble(parts, end)) for end in ends}
    if not found:
        raise ExportError(f"the output {output!r} is made by no trees")
    sources = {end: _zeros(parts, end, len(trees.offset)) for end, (trees, _) in found.items()}
    affine = find_affine(parts, nodes, sources, stage.source)
    link, outer = stage.link, None
    if link != NONE:
        linked = {stage.linked: np.zeros((1, len(affine.offset)), dtype=np.float32)}
        outer = find_affine(parts, stage.nodes, linked, output)
    own = {own_link for _, own_link in found.values()} - {NONE}
    if own:
        if len(found) > 1 or link != NONE:
            raise ExportError(BETWEEN)
        (link,) = own
        width = affine.weights.shape[1]
        outer, affine = affine, Affine(np.eye(width), np.zeros(width))
    if outer is not None and not outer.is_identity():
        if not (link == SIGMOID and outer.adds_the_first()):
            raise ExportError(BETWEEN)
        affine = affine.then(BOTH)
    return FoundSum(parts, {end: trees for end, (trees, _) in found.items()}, affine, link)


def has_trees(model: onnx.ModelProto) -> bool:
    """Whether the graph has an operator that holds trees."""
    return any(is_ensemble(node) for node in model.graph.node)


@dataclass(frozen=True)
class _Stage:
    """The steps from a link to an output; where there is no link, they are none."""

    link: str
    source: str
    """The tensor that the link takes."""
    linked: str
    """The tensor that the link gives."""
    nodes: list[NodeProto]


def _after_link(parts: Parts, output: str) -> _Stage:
    nodes, ends = parts.above(output, lambda node: is_ensemble(node) or node.op_type in LINKS)
    links = [node for node in map(parts.maker, ends) if node is not None and not is_ensemble(node)]
    if not links:
        return _Stage(NONE, output, output, [])
    if len(ends) > 1:
        raise ExportError(BETWEEN)
    (node,) = links
    axes = [attribute.i for attribute in node.attribute if attribute.name == "axis"]
    if axes and axes[0] not in (1, -1):
        raise ExportError(BETWEEN)
    return _Stage(LINKS[node.op_type], node.input[0], node.output[0], nodes)


def _ensemble(parts: Parts, end: str) -> NodeProto:
    """The operator whose scores a tensor is."""
    node = parts.maker(end)
    if node is None:
        raise ExportError(f"the scores take {end!r} beside the trees")
    if node.op_type == "TreeEnsembleClassifier" and end == node.output[0]:
        raise ExportError("the scores are made of the trees' label")
    return node


def _zeros(parts: Parts, end: str, width: int) -> NDArray[Any]:
    """A row [1, K] of the type of an operator's scores."""
    node = _ensemble(parts, end)
    tensors = [attribute.t for attribute in node.attribute if attribute.name == "leaf_weights"]
    is_double = bool(tensors) and tensors[0].data_type == TensorProto.DOUBLE
    return np.zeros((1, width), dtype=np.float64 if is_double else np.float32)


def _over_columns(parts: Parts, end: str, trees: Trees, rows: NDArray[np.float32], names: tuple[str, ...]) -> Trees:
    """Trees over an operator's cells as trees over the columns that these are, or are made of."""
    cells = _ensemble(parts, end).input[0]
    nodes, ends = parts.above(cells, is_ensemble)
    if [end for end in ends if end not in parts.inputs] or len(ends) != 1:
        raise ExportError("its trees take what other trees give, or several inputs")
    features = rows.shape[1]
    encode = parts.compute(nodes, {ends[0]: np.zeros((1, features), dtype=np.float32)}, cells)
    if all(_moves(node) for node in nodes):
        given = np.arange(STAND_INS * features, dtype=np.float32).reshape(STAND_INS, features)
        made = encode({ends[0]: given})
        columns = made[0].astype(np.int64) if made.ndim == 2 and len(made) == STAND_INS else np.zeros(0, dtype=np.int64)
        expected = columns[None] + np.arange(STAND_INS)[:, None] * features
        if made.shape == expected.shape and (made == expected).all() and (columns < features).all():
            return simplify(dataclasses.replace(trees, columns=columns[trees.columns].astype(np.int32)))
    encoder = Encoder(lambda given: encode({ends[0]: given}), rows, names, missing=(True,) * features)
    return fold(trees, encoder)


def _moves(node: NodeProto) -> bool:
    types = [attribute.i for attribute in node.attribute if node.op_type == "Cast" and attribute.name == "to"]
    return node.op_type in MOVES and all(type_ in FLOATS for type_ in types)
