"""The reference sample that attributions are measured against."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.vectors import read_parquet, read_vectors
from whyport.runtime.errors import BundleError

WEIGHT = "weight"


@dataclass(frozen=True)
class References:
    """R reference rows with weights that sum to 1."""

    rows: NDArray[np.float32]
    """[R, F] in the features' own units; NaN only if the graphs impute."""
    weights: NDArray[np.float64]
    """[R]: the weight of each row."""

    @classmethod
    def read(cls, bundle: Bundle) -> Self:
        """The bundle's reference sample; raises BundleError if it has none."""
        name = bundle.sidecar.background
        if name is None:
            raise BundleError(f"bundle {bundle.sidecar.name!r} has no reference sample to explain against")
        return cls._read(bundle, name)

    @classmethod
    def summary(cls, bundle: Bundle) -> Self:
        """The few references of explain.onnx; raises BundleError if the bundle has none."""
        summary = bundle.sidecar.summary
        if summary is None:
            raise BundleError(f"bundle {bundle.sidecar.name!r} has no summary of its reference sample")
        return cls._read(bundle, summary.file)

    @classmethod
    def _read(cls, bundle: Bundle, name: str) -> Self:
        content = bundle.read_bytes(name)
        features = bundle.sidecar.signature.features
        rows = read_vectors(content, (features,))[features.name]
        weights = read_parquet(content)[WEIGHT].to_numpy()
        return cls(rows=rows, weights=weights / weights.sum())

    def mean(self) -> "References":
        """The weighted mean of the rows, as a sample of one row."""
        mean = self.weights @ self.rows.astype(np.float64)
        return References(rows=mean.astype(np.float32)[None], weights=np.ones(1))

    def mean_of(self, scores: Callable[[NDArray[np.float32]], NDArray[np.floating]]) -> NDArray[np.float64]:
        """The base value per class [C]: the weighted mean of a model's scores, [R, F] -> [R, C], over the rows."""
        means: NDArray[np.float64] = self.weights @ scores(self.rows).astype(np.float64)
        return means
