"""Affine steps of an ONNX graph behind its trees: weighted sums and constants of their scores."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray
from onnx import NodeProto, TensorProto, helper

from whyport.exporter.trees.parts import Parts
from whyport.runtime.errors import ExportError

ANY, FIRST, ONE = "any", "first", "one"
"""Which inputs may hold scores: all of them; the first alone; one of the first two."""

OPERATORS = {
    **dict.fromkeys(("Add", "Sub", "Sum", "Mean", "Neg", "Identity", "Concat"), ANY),
    **dict.fromkeys(("Mul", "MatMul", "Gemm"), ONE),
    **dict.fromkeys(("Cast", "Reshape", "Flatten", "Squeeze", "Unsqueeze", "Expand", "Transpose", "Div"), FIRST),
    **dict.fromkeys(("Gather", "ArrayFeatureExtractor", "Slice", "Split", "ReduceSum", "ReduceMean"), FIRST),
    **dict.fromkeys(("Scaler", "LinearRegressor", "Dropout"), FIRST),
}
"""The operators that are affine in the inputs that may hold scores."""

FLOATS = (TensorProto.FLOAT, TensorProto.DOUBLE)

GREAT = 2.0**40
"""A score beside which no constant is seen: the weight comes out as it is, times a power of 2."""

CHECKED_ROWS = 16
TOLERANCE = 1e-5


@dataclass(frozen=True)
class Affine:
    """K sums of R scores: `scores @ weights.T + offset`."""

    weights: NDArray[np.float64]
    """[K, R]"""
    offset: NDArray[np.float64]
    """[K]"""

    def then(self, after: Self) -> Self:
        """This map, and another after it."""
        return replace(after, weights=after.weights @ self.weights, offset=after.weights @ self.offset + after.offset)

    def is_identity(self) -> bool:
        """Whether it gives the scores as they are."""
        return np.array_equal(self.weights, np.eye(len(self.offset))) and not self.offset.any()

    def adds_the_first(self) -> bool:
        """Whether it gives 1 - p and p of one p."""
        return np.array_equal(self.weights, [[-1], [1]]) and np.array_equal(self.offset, [1, 0])


def find_affine(parts: Parts, nodes: Sequence[NodeProto], sources: Mapping[str, NDArray[Any]], output: str) -> Affine:
    """The affine map from some tensors' scores, side by side, to those of another tensor.

    Args:
        parts: the graph.
        nodes: the operators between them, in order.
        sources: an array [1, R] of each tensor's type, by name.
        output: the other tensor.

    Raises:
        ExportError: an operator is not affine in the scores, or does not keep to the rows.
    """
    _check_operators(nodes, set(sources))
    widths = [array.shape[1] for array in sources.values()]
    raw = sum(widths)
    random = np.random.default_rng(0).normal(size=(CHECKED_ROWS, raw)) * np.geomspace(0.1, 100, CHECKED_ROWS)[:, None]
    rows = np.concatenate([np.zeros((1, raw)), GREAT * np.eye(raw), -GREAT * np.eye(raw), random])
    split = np.split(rows, np.cumsum(widths)[:-1], axis=1)
    given = {name: part.astype(array.dtype) for (name, array), part in zip(sources.items(), split, strict=True)}
    made = parts.compute(nodes, sources, output)(given)
    if made.ndim == 0 or len(made) != len(rows):
        raise ExportError(f"what follows the trees gives shape {list(made.shape)} for {len(rows)} rows")
    scores = made.reshape(len(rows), -1).astype(np.float64)
    up, down, others = np.split(scores[1:], [raw, 2 * raw])
    affine = Affine((up - down).T / (2 * GREAT), scores[0])
    expected = random @ affine.weights.T + affine.offset
    scale = 1 + np.abs(random) @ np.abs(affine.weights.T) + np.abs(affine.offset)
    if not (np.abs(others - expected) <= TOLERANCE * scale).all():
        raise ExportError("what follows the trees is no weighted sum of a row's own scores")
    return affine


def _check_operators(nodes: Sequence[NodeProto], scores: set[str]) -> None:
    """Raise ExportError, naming it, for an operator that is not affine in the scores."""
    scores = set(scores)
    for node in nodes:
        places = [place for place, name in enumerate(node.input) if name in scores]
        inner = any(attribute.g.node or attribute.graphs for attribute in node.attribute)
        if not places and not inner:
            continue
        allowed = OPERATORS.get(node.op_type)
        attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in node.attribute}
        fits = (
            allowed == ANY
            or (allowed == FIRST and places == [0])
            or (allowed == ONE and len([place for place in places if place < 2]) <= 1)
        )
        if (
            not fits
            or (node.op_type == "Cast" and attributes["to"] not in FLOATS)
            or attributes.get("post_transform", b"NONE") != b"NONE"
        ):
            raise ExportError(f"{node.op_type} follows the trees, which is not linear in their sum")
        scores.update(node.output)
