"""What is known of a bundle before its graphs are compiled."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from whyport.exporter.data import samples
from whyport.exporter.data.background import DEFAULT_SUMMARY
from whyport.exporter.data.statistics import impute
from whyport.exporter.graphs.graph import INPUT
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import Feature, Preprocessing, Provenance
from whyport.runtime.bundle.signature import Signature, TensorSpec
from whyport.runtime.task import Classification, Task, find_task


@dataclass(frozen=True)
class Draft:
    """What is known of a bundle before its graphs are compiled."""

    name: str
    classes: tuple[str, ...]
    features: tuple[Feature, ...]
    preprocessing: Preprocessing
    provenance: Provenance
    rows: NDArray[np.float32]
    """Training or sample rows that the graphs can take, [N, F], in the features' own units."""
    references: References
    seed: int
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
        """Rows like the training rows, see `samples.draw_probes`."""
        return samples.draw_probes(self.rows, count, (self.seed, stream), missing=self.imputes)

    def trace_rows(self) -> torch.Tensor:
        """A few rows to compile with; the engines are compared on others."""
        return torch.from_numpy(self.probes(5, samples.TRACE))

    def background(self) -> References:
        """The references without missing values."""
        return References(self.impute(self.references.rows), self.references.weights)

    def signature(self, outputs: tuple[TensorSpec, ...]) -> Signature:
        """What the model takes, the features, and gives."""
        names = tuple(feature.name for feature in self.features)
        rows = TensorSpec(name=INPUT, dtype="float32", shape=("N", len(names)), columns=names)
        return Signature(inputs=(rows,), outputs=outputs)
