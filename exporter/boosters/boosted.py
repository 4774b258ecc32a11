"""A boosted model, whatever library made it: sums of trees, and what is made of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from whyport.exporter.boosters.cover import with_covers
from whyport.exporter.boosters.ensemble import Ensemble
from whyport.exporter.graphs.column_inputs import ML, ML_VERSION
from whyport.exporter.graphs.onnx import DEFAULT_IR, DEFAULT_OPSET
from whyport.exporter.graphs.tensor_names import INPUT
from whyport.exporter.trees.links import NONE, SOFTMAX
from whyport.exporter.trees.links import SIGMOID as SIGMOID_LINK
from whyport.exporter.trees.read import TreeSum, read_trees
from whyport.runtime.errors import ExportError
from whyport.runtime.task import ClassificationByMargin, Regression, Task

IDENTITY, EXPONENTIAL, SIGMOID, SOFTPLUS, SIGNED_SQUARE = (
    "identity",
    "exponential",
    "sigmoid",
    "softplus",
    "signed square",
)

PROBABILITIES = "probabilities"

LINKS: dict[str, tuple[str, ...]] = {
    IDENTITY: (),
    EXPONENTIAL: ("Exp",),
    SIGMOID: ("Sigmoid",),
    SOFTPLUS: ("Softplus",),
    SIGNED_SQUARE: ("Abs", "Mul"),
}
"""By name: the operators from a sum of trees to the value that a regression predicts; Mul multiplies by the sum."""


@dataclass(frozen=True)
class Boosted:
    """A boosted model: R sums of trees, and what they mean.

    One sum of a classification is the margin of the second of two classes; otherwise every class has its sum.
    """

    trees: Ensemble
    base: NDArray[np.float64]
    """[R]: what is added to each sum."""
    task: type[Task]
    """The classification by margin, or a regression."""
    features: int
    link: str = IDENTITY
    """What makes a regression's value of a sum, a name of `LINKS`."""
    covers: NDArray[np.float64] | None = None
    """The training weight of each leaf: of all trees in order, from left to right; None where nothing is known."""
    thresholds: NDArray[np.float64] | None = None
    """[M]: the thresholds in float64, of all nodes from left to right, where the library compares float64."""
    names: tuple[str, ...] = ()
    """The names of the features in their order; empty where the model knows none."""
    classes: tuple[str, ...] = ()
    """The names of the classes; empty where they are mere numbers from 0."""
    unit: float = 1.0
    """What the library's own sums are multiplied by, to be margins: a mean's share, or the steepness of a sigmoid."""

    def outputs(self, rows: str, names: Mapping[str, str]) -> list[NodeProto]:
        """The operators from rows [N, F] to what the task gives.

        Args:
            rows: the name of the rows.
            names: the names of the task's outputs [N, K], by output.
        """
        score = names[self.task.score]
        if self.task is Regression:
            return self._values(rows, score)
        probabilities = names[PROBABILITIES]
        if len(self.base) > 1:
            softmax = helper.make_node("Softmax", [score], [probabilities], axis=1)
            return [self.trees.node(rows, score, self.base.tolist()), softmax]
        second, first = f"{score}.second", f"{score}.first"
        return [
            self.trees.node(rows, second, self.base.tolist()),
            helper.make_node("Neg", [second], [first]),
            helper.make_node("Concat", [first, second], [score], axis=1),
            helper.make_node("Sigmoid", [score], [probabilities]),
        ]

    def model(self, outputs: Sequence[str] = ()) -> onnx.ModelProto:
        """The whole model: rows [N, F] under a bundle's name to outputs [N, K], by default all of the task."""
        taken = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["N", self.features])
        given = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["N", self.targets])
            for name in outputs or self.task.outputs
        ]
        nodes = self.outputs(INPUT, {name: name for name in self.task.outputs})
        graph = helper.make_graph(nodes, "booster", [taken], given)
        operators = [helper.make_opsetid("", DEFAULT_OPSET), helper.make_opsetid(ML, ML_VERSION)]
        return helper.make_model(graph, opset_imports=operators, ir_version=DEFAULT_IR)

    @property
    def targets(self) -> int:
        """The number of scores."""
        return max(2, len(self.base)) if self.task is ClassificationByMargin else len(self.base)

    def tree_sum(self, rows: NDArray[np.float32], names: Sequence[str] = ()) -> TreeSum:
        """The trees whose sum the score is, over the columns of typical rows [M, F], with what the library knows.

        Raises ExportError where the score is no sum of trees.
        """
        if self.link != IDENTITY:
            raise ExportError(f"the value is the {self.link} of the trees' sum, and no sum of trees itself")
        trees = read_trees(self.model(), self.task.score, rows, names).trees
        if self.covers is not None:
            trees = with_covers(trees, self.covers)
        if self.task is Regression:
            return TreeSum(trees, NONE)
        return TreeSum(trees, SIGMOID_LINK if len(self.base) == 1 else SOFTMAX)

    def _values(self, rows: str, score: str) -> list[NodeProto]:
        operators = LINKS[self.link]
        names = [f"{score}.sum", *(f"{score}.{operator.lower()}" for operator in operators)]
        names[-1] = score
        nodes = [self.trees.node(rows, names[0], self.base.tolist())]
        for operator, taken, given in zip(operators, names, names[1:], strict=False):
            nodes.append(helper.make_node(operator, [taken, names[0]] if operator == "Mul" else [taken], [given]))
        return nodes
