"""Bundles of small trees over numbers and categories, made as a kind of trees makes them."""

import dataclasses
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from support.trees import random_rows, random_trees
from whyport.exporter.bundle.package import make_package
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.data.categories import describe_categories
from whyport.exporter.data.samples import Samples
from whyport.exporter.data.statistics import describe_numbers
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.column_inputs import take_inputs
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.graphs.graph import capability
from whyport.exporter.trees.links import SIGMOID
from whyport.exporter.trees.read import TreeSum
from whyport.exporter.trees.write import write_trees
from whyport.runtime.bundle.columns import MODEL, Column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Provenance
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.task import ClassificationByMargin

NAMES = ("age", "ward", "dose", "grade")
WARDS, GRADES = ("medicine", "stroke", "surgery"), (1, 2)
CODES = (None, len(WARDS) + 2, None, len(GRADES) + 2)
BOTH = np.array([[-1.0], [1.0]])
"""From a margin z to -z and z."""


def tree_rows(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    """Rows of codes [count, 4], some with missing numbers, unseen categories and missing ones."""
    return random_rows(generator, count, CODES)


def tree_table(rows: NDArray[np.float32]) -> pd.DataFrame:
    """Rows of codes as a person's table."""
    wards, grades = (*WARDS, "chapel", None), (*GRADES, 9, None)
    values = {
        "age": rows[:, 0],
        "ward": [wards[int(code)] for code in rows[:, 1]],
        "dose": rows[:, 2],
        "grade": [grades[int(code)] for code in rows[:, 3]],
    }
    return pd.DataFrame(values)


def columns_of(rows: NDArray[np.float32]) -> tuple[Column, ...]:
    """The columns; the model has its own way with a missing number."""
    table = tree_table(rows)
    return tuple(
        describe_numbers(name, table[name].to_numpy(dtype=np.float64), missing=MODEL)
        if codes is None
        else describe_categories(name, table[name].to_numpy(dtype=object), known=WARDS if name == "ward" else GRADES)
        for name, codes in zip(NAMES, CODES, strict=True)
    )


def tree_draft(*, summary: int = 10) -> Draft:
    """What is known before the model; a background of 40 rows that count differently."""
    generator = np.random.default_rng(2)
    rows = tree_rows(generator, 200)
    rows[:, 1], rows[:, 3] = rows[:, 1] % len(WARDS), rows[:, 3] % len(GRADES)
    features = columns_of(rows)
    return Draft(
        name="trees",
        targets=("no", "yes"),
        features=features,
        standardise=False,
        provenance=Provenance("test", {}, 0, None, {}, {}),
        references=References(rows[:40], generator.dirichlet(np.ones(40))),
        samples=Samples(rows, 0, missing=True, columns=features),
        summary=summary,
        task_name=ClassificationByMargin.name,
    )


def margin_trees(count: int = 8, depth: int = 4) -> Trees:
    """Boosted trees of one margin z, as the scores (-z, z)."""
    trees = random_trees(np.random.default_rng(3), count, depth, codes=CODES, weights=BOTH)
    return dataclasses.replace(trees, offset=np.array([0.3, -0.3]))


def tree_compiled(draft: Draft, trees: Trees) -> Compiled:
    """The model of the trees."""
    model = write_trees(TreeSum(trees, SIGMOID), draft.task, len(NAMES))
    take_inputs(model, draft.inputs)
    jumps = capability("trees jump at thresholds")
    capabilities = {
        "gradients": jumps,
        "grad-cam": jumps,
        "deepshap": capability("trees have no layers; treeshap explains them"),
        "attention": capability("trees have none"),
        "treeshap": capability(""),
    }
    outputs = tuple(TensorSpec(name, "float32", ("N", len(draft.targets))) for name in draft.task.outputs)
    return Compiled(outputs, capabilities, OnnxFile(model), trees=trees)


def tree_bundle(path: Path) -> Bundle:
    """A classifier by margins."""
    draft = tree_draft()
    return write_bundle(path, make_package(draft, tree_compiled(draft, margin_trees()), {}))
