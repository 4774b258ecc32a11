"""The facts about a bundle that are known before its graphs are compiled."""

import dataclasses
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.data.background import DEFAULT_SUMMARY
from whyport.exporter.data.samples import TRACE, Samples
from whyport.exporter.data.statistics import impute
from whyport.exporter.graphs.graph import INPUT
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Feature, Preprocessing, Provenance
from whyport.runtime.bundle.signature import Signature, TensorSpec
from whyport.runtime.task import Classification, Task, find_task


@dataclass(frozen=True)
class Draft:
    """The facts about a bundle that are known before its graphs are compiled."""

    name: str
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    preprocessing: Preprocessing
    provenance: Provenance
    references: References
    samples: Samples
    summary: int = DEFAULT_SUMMARY
    """How many references explain.onnx has; with 0 there is none."""
    task_name: str = Classification.name

    @property
    def task(self) -> Task:
        """What the model's outputs mean."""
        return find_task(self.task_name, self.classes)

    @property
    def imputes(self) -> bool:
        """Whether the graphs take NaN."""
        return self.preprocessing.imputation is not None

    def impute(self, rows: NDArray[np.float32]) -> NDArray[np.float32]:
        """The rows without missing values, as explanations take them."""
        return impute(rows, self.features) if self.imputes else rows

    def probes(self, count: int, stream: int) -> NDArray[np.float32]:
        """Rows [count, F] like the training rows, see `Samples.draw`."""
        return self.samples.draw(count, stream)

    def trace_rows(self) -> torch.Tensor:
        """A few rows to compile with; the engines are compared on others."""
        return torch.from_numpy(self.probes(5, TRACE))

    def background(self) -> References:
        """The references without missing values."""
        return References(self.impute(self.references.rows), self.references.weights)

    def named(self, outputs: int) -> Self:
        """The draft with generic names for the classes, one for each of the scores, unless they have names."""
        return self if self.classes else dataclasses.replace(self, classes=tuple(f"class {i}" for i in range(outputs)))

    def signature(self, outputs: tuple[TensorSpec, ...]) -> Signature:
        """What the model takes, the features, and gives."""
        names = tuple(feature.name for feature in self.features)
        rows = TensorSpec(name=INPUT, dtype="float32", shape=("N", len(names)), columns=names)
        return Signature(inputs=(rows,), outputs=outputs)
