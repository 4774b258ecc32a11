"""The facts about a bundle that are known before its graphs are compiled."""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.data.background import DEFAULT_SUMMARY
from whyport.exporter.data.samples import (
    CONFORMANCE,
    CONFORMANCE_ROWS,
    CONFORMANCE_VALUES,
    EXPLAINED_VALUES,
    PROBE_VALUES,
    TRACE,
    Samples,
    affordable,
)
from whyport.exporter.data.statistics import impute
from whyport.exporter.graphs.categories import EncodeCategories
from whyport.exporter.graphs.column_inputs import input_tensors
from whyport.exporter.graphs.lookups import Lookup
from whyport.exporter.graphs.tensor_names import INPUT, TAKEN
from whyport.runtime.bundle.columns import IMPUTE, TOKEN, Column
from whyport.runtime.bundle.inputs import Axis, ImagePreparation, Input, TablePreparation
from whyport.runtime.bundle.lengths import Length, of_length
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.row import lengths_of
from whyport.runtime.bundle.score import Players, Score, Target
from whyport.runtime.bundle.sidecar import ROW, Provenance
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.inputs.feeds import input_feeds
from whyport.runtime.task import Classification, Task, find_task


@dataclass(frozen=True)
class Draft:
    """The facts about a bundle that are known before its graphs are compiled."""

    name: str
    targets: tuple[str, ...]
    """The names of the scores, classes or quantities, in their order; empty until they are known."""
    features: tuple[Column, ...]
    standardise: bool
    """Whether the graphs standardise the features."""
    provenance: Provenance
    references: References
    samples: Samples
    references_method: str | None = None
    """How the references came about, where there is more to say than that they are rows."""
    summary: int = DEFAULT_SUMMARY
    """How many references explain.onnx has; with 0 there is none."""
    chosen: References | None = None
    """The references of explain.onnx, where they are chosen already."""
    task_name: str = Classification.name
    encoding: EncodeCategories | None = None
    """What gives a row's cells, where a column has categories."""
    units: tuple[str | None, ...] = ()
    """The unit of each quantity; empty where none is known."""
    given: tuple[Input, ...] = ()
    """The model's inputs, where they are others than one table of the features."""
    lookups: tuple[Lookup, ...] = ()
    """Where the network looks up the embeddings that are among the inputs in place of ids."""
    precise: NDArray[np.float64] | None = None
    """The sample's rows of codes [N, F] before they are rounded to float32; None where nobody asks for them."""

    @property
    def task(self) -> Task:
        """What the model's outputs mean."""
        return find_task(self.task_name, self.targets, self.units)

    @property
    def has_categories(self) -> bool:
        """Whether a column holds categories; the graphs then take a tensor a column."""
        return any(feature.categories is not None for feature in self.features)

    @property
    def has_texts(self) -> bool:
        """Whether a row holds ids of tokens."""
        return any(feature.kind == TOKEN for feature in self.features)

    @property
    def imputes(self) -> bool:
        """Whether the graphs take NaN."""
        return any(feature.missing == IMPUTE for feature in self.features)

    @property
    def imputation(self) -> tuple[float, ...] | None:
        """The value that replaces a missing one, by feature, NaN where none does; None if no feature is imputed."""
        values = tuple(math.nan if feature.imputation is None else feature.imputation for feature in self.features)
        return values if self.imputes else None

    def impute(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows without missing values, as explanations take them."""
        return impute(rows, self.features) if self.imputes else rows

    def probes(self, count: int, stream: int) -> NDArray[np.float32]:
        """Rows [count, F] like the training rows, see `Samples.draw`; fewer where rows are long."""
        return self.samples.draw(affordable(count, len(self.features), PROBE_VALUES), stream)

    def most_explained(self, rows: int) -> int:
        """How many of so many rows explanations are compared on: of pictures fewer, the more targets there are."""
        if not any(isinstance(each.prepare, ImagePreparation) for each in self.inputs):
            return rows
        return affordable(rows, len(self.features) * max(len(self.targets), 1), EXPLAINED_VALUES)

    def replayed(self) -> NDArray[np.float32]:
        """The rows of the test vectors, of as many steps as each other; fewer where rows are long."""
        count = affordable(CONFORMANCE_ROWS, len(self.features), CONFORMANCE_VALUES)
        return self.of_one_length(self.probes(count, CONFORMANCE))[: self.most_explained(count)]

    def feeds(self, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """What model.onnx takes for rows [N, F]: an array a tensor."""
        return input_feeds(self.inputs, rows)

    def exact_feeds(self, rows: NDArray[np.float32]) -> dict[str, NDArray[Any]]:
        """What the graphs that explain take for rows [N, F], whose pixels may be no whole numbers."""
        return input_feeds(self.inputs, rows, exact=True)

    def trace_rows(self) -> torch.Tensor:
        """A few rows to compile with; the engines are compared on others."""
        return torch.from_numpy(self.probes(5, TRACE))

    def background(self) -> References:
        """The references without missing values."""
        return References(self.impute(self.references.rows), self.references.weights)

    @property
    def lengths(self) -> tuple[Length, ...]:
        """Where a row says how many steps its lists have, if that varies."""
        return lengths_of(self.inputs)

    def of_one_length(self, rows: NDArray[np.float32], *, full: bool = False) -> NDArray[np.float32]:
        """The rows with as many steps as each other, as one call that explains takes them: cut or repeated.

        Args:
            rows: rows [N, F].
            full: whether they have the most steps that a row can have; otherwise some are padding, where there can be.
        """
        if not self.lengths:
            return rows
        return of_length(self.lengths, rows, [each.steps if full else each.usual for each in self.lengths])

    def named(self, outputs: int) -> Self:
        """The draft with generic names for the targets, one for each of the scores, unless they have names."""
        return self if self.targets else dataclasses.replace(self, targets=self.task.generic_names(outputs))

    @property
    def inputs(self) -> tuple[Input, ...]:
        """The model's inputs."""
        return self.given or (self._table,)

    @property
    def tensors(self) -> tuple[TensorSpec, ...]:
        """The tensors that they fill."""
        return tuple(spec for each in self.inputs for spec in each.tensors)

    @property
    def _table(self) -> Input:
        """One tensor of all features, or one a feature where some are categories."""
        names = tuple(feature.name for feature in self.features)
        row = TensorSpec(INPUT, "float32", ("N", len(names)))
        return Input(
            name="table",
            columns=self.features,
            prepare=TablePreparation("table", self.standardise),
            tensors=input_tensors(self.features, TAKEN) if self.has_categories else (row,),
            axes=(Axis("feature", len(names), names),),
        )

    @property
    def row_spec(self) -> TensorSpec:
        """A row as everything but model.onnx takes it."""
        return TensorSpec(ROW, "float32", ("N", len(self.features)))

    @property
    def players(self) -> Players:
        """Who gets a share of a score: the features, each with all its cells; of a sequence each of its cells."""
        if self.given:
            return Players(None, None)
        return Players(tuple(feature.name for feature in self.features), self.encoding and self.encoding.cells)

    @property
    def score(self) -> Score:
        """What the model's score is."""
        task = self.task
        probabilities = "probabilities" if "probabilities" in task.outputs else None
        units = self.units or (None,) * len(self.targets)
        targets = tuple(Target(name, unit) for name, unit in zip(self.targets, units, strict=True))
        return Score(task.task, task.kind, task.score, probabilities, targets)
