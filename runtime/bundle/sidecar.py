"""The sidecar of a bundle, bundle.json: its schema as dataclasses.

models/README.md specifies the format for consumers in any language.
"""

import dataclasses
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Self

from whyport.runtime.bundle.codec import build, encode, load
from whyport.runtime.bundle.columns import IMPUTE, LENGTH, MODEL, Column
from whyport.runtime.bundle.constraints import (
    NEWER,
    AtLeastOne,
    Count,
    Digest,
    FileName,
    Name,
    Number,
    OneOf,
    Size,
    Text,
    Tolerance,
    Version,
    Whole,
    Within,
)
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.lengths import Length
from whyport.runtime.bundle.row import features_of, lengths_of, names_of, sources_of
from whyport.runtime.bundle.score import Players, Score
from whyport.runtime.bundle.signature import Signature, TensorSpec
from whyport.runtime.bundle.upgrade import upgrade
from whyport.runtime.errors import BundleFormatError
from whyport.runtime.task import TASKS, Task, find_task

# Increase it if a reader of the old version would misread the new one, or could not read it at all. Describe the change
# in models/README.md, and keep reading every older version that a released whyport has written.
FORMAT_VERSION = 3

SIDECAR = "bundle.json"
ONNX_MODEL = "model.onnx"
TORCHSCRIPT_MODEL = "model.pt"
DEEPSHAP_MODEL = "deepshap.pt"
EXPLAIN_MODEL = "explain.onnx"
GRADIENT_MODEL = "gradient.onnx"
CAM_MODEL = "cam.onnx"
TREES_FILE = "trees.npz"
BACKGROUND = "background.parquet"
SUMMARY = "summary.parquet"
CONFORMANCE = "conformance.parquet"
CONFORMANCE_JSON = "conformance.json"

ROW = "features"
"""The name of a row's cells, in the background, the test vectors and the graphs of tables without categories."""

BACKGROUND_NAME = "background"
SUMMARY_NAME = "summary"
"""The baselines of every table: the reference rows, and the few of them inside explain.onnx."""

METADATA_KEY = "whyport"
"""The key in every ONNX file's metadata_props for the embedded metadata."""
MADE_FROM_KEY = "whyport.made_from"
"""The key in a smaller variant's metadata_props for the sha256 of the graph that it was made from.

It stands in place of the metadata, which may be longer than a small graph."""

PRECISIONS = ("float16", "weights-int8", "dynamic-int8", "int8")
"""The names of the smaller variants of a bundle, see `runtime.bundle.precisions`."""


@dataclass(frozen=True)
class Capability:
    """Whether the bundle can serve a family of explanations, and if not, why not."""

    available: bool
    reason: Text


@dataclass(frozen=True)
class Graph:
    """One file that computes."""

    file: FileName
    kind: Annotated[str, OneOf(("predict", "torch", "deepshap", "explain", "gradient", "cam", "prepare", "trees"))]
    """What it is for: `predict` is the model, `torch` the same as TorchScript, the others give reasons."""
    variant: Name | None
    """The name of a smaller or faster one of its kind; null for the main one."""
    inputs: tuple[TensorSpec, ...]
    """The tensors that it takes, in order; empty where a file's own methods take others."""
    outputs: tuple[TensorSpec, ...]
    """The tensors that it gives, in order."""
    figures: dict[Text, Number]
    """Measurements of this file, by name."""

    @property
    def signature(self) -> Signature:
        """The tensors that it takes and gives."""
        return Signature(self.inputs, self.outputs)


@dataclass(frozen=True)
class Baseline:
    """What scores are measured against."""

    name: Name
    kind: Annotated[str, OneOf(("rows", "zero", "mean", "blur", "pad", "mask", "segment-mean"))]
    file: FileName | None
    """The file of the reference rows; null where the kind says all."""
    rows: Count | None
    """The number of reference rows; null where there are none, or it is not known."""
    weighted: bool
    """Whether the rows count differently."""
    method: Text | None
    """How the rows were chosen; null where it is not known."""
    figures: dict[Text, Number]
    """Measurements of the choice, by name.

    Of the summary, the distance of every way tried, on rows that the references were not chosen with: the sum of
    |difference| over the sum of magnitudes, for attributions against the whole background's."""


@dataclass(frozen=True)
class Provenance:
    """The origin of a bundle."""

    source: Text
    settings: dict[Text, Text | Whole | Number | bool | None]
    seed: Whole | None
    data_digest: Digest | None
    versions: dict[Text, Text]
    metrics: dict[Text, Number]


@dataclass(frozen=True)
class Sidecar:
    """The contents of bundle.json."""

    format_version: Annotated[int, Within(1, FORMAT_VERSION)]
    """The file's format version; older versions are converted on reading."""
    name: Text
    inputs: Annotated[tuple[Input, ...], AtLeastOne()]
    """What the model takes, from the user's table on; several for several kinds of data."""
    players: Players
    """Who gets a share of a score."""
    score: Score
    """The score: what it predicts, and what is explained."""
    baselines: tuple[Baseline, ...]
    """What scores are measured against: `background`, and `summary` inside explain.onnx."""
    graphs: Annotated[tuple[Graph, ...], AtLeastOne()]
    capabilities: dict[Text, Capability]
    tolerances: dict[Text, Tolerance]
    """The largest difference between two engines that is allowed, |a - b| / max(1, |b|), by what is compared.

    `gradients` are in units of the score per training standard deviation; `completeness` is the tolerance for adding up
    to score - base value: error / max(1, |score - base value|, |score| / 100, |base value| / 100)."""
    parity: dict[Text, Size]
    """The largest deviations measured at export, in the terms of `tolerances`."""
    provenance: Provenance
    files: dict[FileName, Digest]
    """sha256 of every file but bundle.json, by path inside the bundle."""
    opset: Version
    ir_version: Version

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of the table that feed the model, in order."""
        return tuple(column for each in self.inputs for column in each.columns)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Their names."""
        return tuple(column.name for column in self.columns)

    @cached_property
    def features(self) -> tuple[Column, ...]:
        """The numbers of a row as whyport holds it, each described: the columns, and every element of a list.

        The cells of one channel of an image share one description; `feature_names` tells them apart."""
        return features_of(sources_of(self.inputs))

    @cached_property
    def lengths(self) -> tuple[Length, ...]:
        """The numbers of steps in a row as whyport holds it, of the inputs whose rows are of varying length."""
        return lengths_of(self.inputs)

    @cached_property
    def shared_places(self) -> tuple[int, ...]:
        """The positions of the features that can have a share: all but numbers of steps."""
        return tuple(i for i, feature in enumerate(self.features) if feature.kind != LENGTH)

    @cached_property
    def feature_names(self) -> tuple[str, ...]:
        """Their names."""
        return names_of(sources_of(self.inputs))

    @property
    def targets(self) -> tuple[str, ...]:
        """The names of the score's targets."""
        return self.score.names

    @property
    def has_categories(self) -> bool:
        """Whether a column holds categories; the graphs then take a tensor a column."""
        return any(column.categories is not None for column in self.columns)

    @property
    def imputes(self) -> bool:
        """Whether the graphs replace missing numbers."""
        return any(column.missing == IMPUTE for column in self.columns)

    @property
    def imputation(self) -> tuple[float, ...]:
        """The value that replaces a missing one, by feature; NaN where none does."""
        return tuple(math.nan if feature.imputation is None else feature.imputation for feature in self.features)

    @property
    def models_missing(self) -> tuple[bool, ...]:
        """Whether the model itself has a way with a missing value, by feature."""
        return tuple(feature.missing == MODEL for feature in self.features)

    @property
    def row_spec(self) -> TensorSpec:
        """A row as whyport holds it: a number a feature, and of a category its code."""
        return TensorSpec(ROW, "float32", ("N", len(self.features)))

    @cached_property
    def cells(self) -> tuple[tuple[int, ...], ...]:
        """The positions of each feature's cells among the P cells of a row, which gradients are taken with respect to.

        A number has one cell, and a category those that its code is encoded into.
        """
        return self.players.cells or tuple((i,) for i in range(len(self.features)))

    @cached_property
    def width(self) -> int:
        """The number of cells of a row, P."""
        return sum(map(len, self.cells))

    @property
    def signature(self) -> Signature:
        """What model.onnx takes and gives."""
        graph = self.graph("predict")
        assert graph is not None
        return graph.signature

    def graph(self, kind: str) -> Graph | None:
        """The main graph of a kind; None if there is none."""
        return next((graph for graph in self.graphs if graph.kind == kind and graph.variant is None), None)

    def baseline(self, name: str) -> Baseline | None:
        """The baseline of that name; None if there is none."""
        return next((baseline for baseline in self.baselines if baseline.name == name), None)

    def described(self) -> Self:
        """The part of the sidecar that ONNX files carry: without what is not known yet.

        That is parity, digests, and smaller variants."""
        graphs = tuple(graph for graph in self.graphs if precision_of(graph.variant) is None)
        own = tuple(f"{name}." for name in PRECISIONS)
        tolerances = {name: value for name, value in self.tolerances.items() if not name.startswith(own)}
        return dataclasses.replace(self, graphs=graphs, tolerances=tolerances, parity={}, files={})

    def embedded(self) -> str:
        """The metadata that every ONNX file carries."""
        return encode(self.described())


def precision_of(variant: str | None) -> str | None:
    """The precision that a graph's variant begins with; None for a graph of full size."""
    starts = (name for name in PRECISIONS if variant is not None and f"{variant}-".startswith(f"{name}-"))
    return next(starts, None)


def decode_sidecar(text: str) -> Sidecar:
    """A sidecar of this or an older format version; raises BundleFormatError for any other text."""
    return build(Sidecar, upgrade(load(text), FORMAT_VERSION))


def known_task(sidecar: Sidecar) -> Task | None:
    """The meaning of a model's outputs; None for a task that this version does not know."""
    score = sidecar.score
    for name, task in TASKS.items():
        if (task.task, task.kind) == (score.task, score.kind):
            return find_task(name, score.names, [target.unit for target in score.targets])
    return None


def task_of(sidecar: Sidecar) -> Task:
    """The meaning of a model's outputs; raises BundleFormatError for a task that this version does not know."""
    task = known_task(sidecar)
    if task is None:
        got = f"{sidecar.score.task!r} of kind {sidecar.score.kind!r}"
        raise BundleFormatError(f"$.score: no task is known with {got}: {NEWER}")
    return task
