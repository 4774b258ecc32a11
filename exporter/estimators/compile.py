"""Estimators other than trees as a bundle's model: explained by gradients where a network can be made of them."""

import dataclasses
import logging

import numpy as np
import onnx
import torch

from whyport.exporter.draft import Draft
from whyport.exporter.estimators.assembly import SCORES, all_in_float64, behind_cells, behind_steps, over_codes
from whyport.exporter.estimators.columns import FirstStep
from whyport.exporter.estimators.convert import convert, scores_name
from whyport.exporter.estimators.fitted import Fitted
from whyport.exporter.estimators.forest import is_forest
from whyport.exporter.graphs.categories import EncodeCategories, Numbers, Part, Table
from whyport.exporter.graphs.column_inputs import take_inputs
from whyport.exporter.graphs.compiled import Compiled
from whyport.exporter.kinds.pytorch import compile_network
from whyport.exporter.networks.compile import compile_forward, compile_onnx_network
from whyport.exporter.networks.importer import import_network
from whyport.exporter.networks.logits import before_both, before_sigmoid, before_softmax
from whyport.exporter.networks.lower import lower
from whyport.runtime.errors import WhyportError
from whyport.runtime.task import Classification

logger = logging.getLogger(__name__)

IN_FLOAT64 = "the model computes in float64, as float32 loses what it tells apart"
"""Why such a model has no gradients."""


def compile_estimator(fitted: Fitted, draft: Draft) -> Compiled:
    """Compile an estimator by skl2onnx.

    Raises ExportError where skl2onnx has no way with a step, or a step mixes categories.
    """
    complete = dataclasses.replace(draft, samples=dataclasses.replace(draft.samples, missing=False))
    first, is_tree = FirstStep(fitted, draft), is_forest(fitted.model)
    if not draft.has_categories:
        if first.is_apart:
            model = behind_cells(first, in_float64=is_tree)
        else:
            model = behind_steps(fitted) if is_tree else convert(fitted.model, len(draft.features))
        return compile_onnx_network(model, complete, scores_name(model))
    behind = behind_cells(first, in_float64=is_tree)
    encoding = _encoding(first)
    try:
        network = _network(behind, encoding, complete)
        return compile_network(network, dataclasses.replace(complete, encoding=encoding))
    except WhyportError as error:
        logger.info("the bundle will predict, and explain by forward passes alone: %s", error)
    model = over_codes(first, behind)
    compiled = compile_onnx_network(model, dataclasses.replace(complete, encoding=encoding), SCORES)
    take_inputs(compiled.onnx.model, draft.inputs)
    return compiled


def compile_in_float64(fitted: Fitted, draft: Draft) -> Compiled:
    """Compile an estimator other than trees by skl2onnx, with all that it computes in float64.

    It predicts, and explains by forward passes alone. Raises what `compile_estimator` does.
    """
    draft = dataclasses.replace(draft, samples=dataclasses.replace(draft.samples, missing=False))
    first = FirstStep(fitted, draft)
    if not draft.has_categories:
        model = behind_cells(first, in_float64=True) if first.is_apart else all_in_float64(fitted)
        return compile_forward(model, draft, SCORES, IN_FLOAT64)
    model = over_codes(first, behind_cells(first, in_float64=True))
    compiled = compile_forward(model, dataclasses.replace(draft, encoding=_encoding(first)), SCORES, IN_FLOAT64)
    take_inputs(compiled.onnx.model, draft.inputs)
    return compiled


def _encoding(first: FirstStep) -> EncodeCategories:
    parts: list[Part] = []
    for place in range(len(first.draft.features)):
        table = first.tables.get(place)
        parts.append(Numbers(place, place + 1) if table is None else Table(place, torch.from_numpy(table)))
    return EncodeCategories(parts)


def _network(behind: onnx.ModelProto, encoding: EncodeCategories, draft: Draft) -> torch.nn.Module:
    """The network from cells to scores; of a classification, to its logits."""
    rows = encoding(torch.from_numpy(np.ascontiguousarray(draft.probes(5, 0))))
    model = lower(behind, SCORES)
    scores = SCORES
    if draft.task_name == Classification.name:
        found = [find(model.graph, SCORES) for find in (before_softmax, before_both, before_sigmoid)]
        scores = next(name for name in [*found, SCORES] if name is not None)
    return import_network(model, scores, rows).network
