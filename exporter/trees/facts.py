"""The facts that an ONNX file with trees knows: its task, its classes, and whether it takes missing numbers."""

from collections.abc import Callable
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.networks.labels import class_labels, names_of, own_labels
from whyport.exporter.source import AUTO, ModelSource
from whyport.exporter.trees.ensemble import is_ensemble
from whyport.exporter.trees.links import NONE, SIGMOID
from whyport.exporter.trees.read import FoundSum, find_sum
from whyport.runtime.bundle.score import CLASSIFICATION, REGRESSION
from whyport.runtime.bundle.trees import LEAF, Trees
from whyport.runtime.errors import ExportError, UsageError
from whyport.runtime.task import (
    Classification,
    ClassificationByMargin,
    ProbabilityClassification,
    Regression,
    Task,
)

CHANCE_ROUNDING = 1e-3
"""How far votes may be from adding up to 1, as the check of probabilities has it."""

FindScores = Callable[[onnx.ModelProto, type[Task], str | None], str]


def tree_facts(
    model: onnx.ModelProto, source: ModelSource, columns: tuple[str, ...], find_scores: FindScores
) -> ModelFacts:
    """What a model with trees knows; what the user says of its task goes before.

    Args:
        model: the model.
        source: what the user says of it.
        columns: the sample's columns.
        find_scores: gives the output with the scores of a task.
    """
    labels = _labels(model)
    task = _task(model, source, bool(labels), find_scores)
    return ModelFacts(
        task=None if task is None else task.name,
        targets=() if task is Regression else names_of(labels),
        takes_missing=frozenset(columns) if _knows_missing(model) else frozenset(),
    )


def _task(model: onnx.ModelProto, source: ModelSource, has_labels: bool, find_scores: FindScores) -> type[Task] | None:
    """The task that the trees' sum and its link tell; None where they tell none."""
    if source.task == REGRESSION:
        return None
    try:
        found = find_sum(model, find_scores(model, _expected(source), source.output))
    except (ExportError, UsageError):  # said again when the model is compiled
        return None
    scores = len(found.affine.offset)
    if found.link != NONE:
        tied = scores == 1 or (scores == 2 and _is_tied(found.over_cells()))
        return ClassificationByMargin if found.link != SIGMOID or tied else None
    has_labels = has_labels or any(_holds_labels(value) for value in model.graph.output)
    if has_labels and _is_vote(found):
        return ProbabilityClassification
    says_classes = source.task == CLASSIFICATION or source.classes or source.from_probabilities
    return None if has_labels or says_classes else Regression


def _expected(source: ModelSource) -> type[Task]:
    return ProbabilityClassification if source.from_probabilities or source.task == AUTO else Classification


def _labels(model: onnx.ModelProto) -> list[Any]:
    """The classes of the label that is given, or of the one classifier among the operators that hold trees."""
    found = [labels for node in model.graph.node if is_ensemble(node) and (labels := own_labels(node))]
    return class_labels(model) or (found[0] if len(found) == 1 else [])


def _holds_labels(value: onnx.ValueInfoProto) -> bool:
    kind: int = value.type.tensor_type.elem_type
    return kind in (TensorProto.INT64, TensorProto.STRING)


def _knows_missing(model: onnx.ModelProto) -> bool:
    """Whether a node says that missing numbers go its way: the trees were grown with some."""
    return any(
        attribute.name == "nodes_missing_value_tracks_true" and any(attribute.ints)
        for node in model.graph.node
        if is_ensemble(node)
        for attribute in node.attribute
    )


def _is_tied(trees: Trees) -> bool:
    """Whether the margin of the first of two classes is minus the second's."""
    same = np.array_equal(trees.weights, [[-1.0], [1.0]])
    return bool(same and abs(trees.offset.sum()) <= CHANCE_ROUNDING)


def _is_vote(found: FoundSum) -> bool:
    """Whether the scores are shares of 1 whatever the row: each tree's leaves share the same amount."""
    trees = found.over_cells()
    if len(trees.offset) == 1:
        return False
    leaf = np.flatnonzero(trees.left == LEAF)
    starts = np.searchsorted(leaf, np.sort(trees.roots))
    shares = trees.value[leaf] @ trees.weights.T
    least = trees.offset + np.minimum.reduceat(shares, starts).sum(axis=0)
    sums = shares.sum(axis=1)
    lowest, highest = (side.reduceat(sums, starts).sum() + trees.offset.sum() for side in (np.minimum, np.maximum))
    return bool((least > -CHANCE_ROUNDING).all() and max(abs(lowest - 1), abs(highest - 1)) <= CHANCE_ROUNDING)
