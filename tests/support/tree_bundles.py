"""Bundles of small trees, made as a kind of trees makes them."""

from pathlib import Path

import numpy as np

from support.trees import random_rows, random_trees, tree_model
from whyport.exporter.bundle.package import make_package
from whyport.exporter.bundle.write import write_bundle
from whyport.exporter.data.samples import Samples
from whyport.exporter.data.statistics import describe_columns
from whyport.exporter.draft import Draft
from whyport.exporter.graphs.compiled import Compiled, OnnxFile
from whyport.exporter.graphs.graph import capability
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Provenance
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.bundle.trees import Trees
from whyport.runtime.task import TASKS, ClassificationByMargin

NAMES = ("age", "dose", "weight", "pulse")


def tree_draft(
    targets: tuple[str, ...] = ("no", "yes"), task: str = ClassificationByMargin.name, *, summary: int = 10
) -> Draft:
    """What is known before the model: four columns of numbers, a background of 40 rows that count differently."""
    generator = np.random.default_rng(2)
    rows = random_rows(generator, 200, (None,) * len(NAMES), missing=0)
    features = describe_columns(NAMES, list(rows.T.astype(np.float64)))
    references = References(rows[:40], generator.dirichlet(np.ones(40)))
    provenance = Provenance("test", {}, 0, None, {}, {})
    samples = Samples(rows, 0, missing=False)
    return Draft("trees", targets, features, False, provenance, references, samples, summary, task)


def margin_trees(count: int = 8, depth: int = 4) -> Trees:
    """Boosted trees of one margin z, as the scores (-z, z)."""
    return random_trees(
        np.random.default_rng(3), count, depth, codes=(None,) * len(NAMES), weights=np.array([[-1.0], [1.0]])
    )


def tree_compiled(draft: Draft, trees: Trees) -> Compiled:
    """The model of the trees."""
    task = TASKS[draft.task_name](draft.targets)
    outputs = tuple(TensorSpec(name, "float32", ("N", len(draft.targets))) for name in task.outputs)
    jumps = capability("trees jump at thresholds")
    capabilities = {
        "gradients": jumps,
        "grad-cam": jumps,
        "deepshap": capability("trees have no layers; treeshap explains them"),
        "attention": capability("trees have none"),
        "treeshap": capability(""),
    }
    return Compiled(outputs, capabilities, OnnxFile(tree_model(trees, task, len(NAMES))), trees=trees)


def tree_bundle(path: Path) -> Bundle:
    """A classifier by margins."""
    draft = tree_draft()
    return write_bundle(path, make_package(draft, tree_compiled(draft, margin_trees()), {}))
