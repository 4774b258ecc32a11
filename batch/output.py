"""The columns of a run's output: their names, types and order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.columns import CleanRows
from runtime.attribution import Attribution
from runtime.bundle import Sidecar
from runtime.errors import ColumnError, listing

IDENTITY = [pa.field("source_file", pa.string()), pa.field("source_row", pa.int64())]
REASON = pa.field("reason", pa.string())


@dataclass(frozen=True)
class ScoredRows:
    """A batch's clean rows with what the engines said about them."""

    rows: CleanRows
    probabilities: NDArray[np.float32]
    """[N, C]"""
    targets: NDArray[np.int64]
    """[N] or, where every class is explained, [N * C], row by row."""
    attributions: dict[str, Attribution]
    """By method, for the targets."""


class OutputColumns:
    """The columns between the kept ones and the end, for one bundle, its methods and the explained classes.

    With several methods, each one's own columns carry its name in front; with every class explained, the class
    stands at the end of a column's name, and before the feature.
    """

    def __init__(self, sidecar: Sidecar, methods: Sequence[str], all_classes: bool) -> None:
        self._classes = sidecar.classes
        self._features = [feature.name for feature in sidecar.features]
        self._prefixes = {method: f"{method}." if len(methods) > 1 else "" for method in methods}
        self._per_class = list(sidecar.classes) if all_classes else []
        self.fields = self._fields()

    def schema(self, kept: Sequence[pa.Field], origin: str) -> pa.Schema:
        """The output's schema with these kept columns; ColumnError where a name would stand twice."""
        fields = [*IDENTITY, *kept, *self.fields]
        repeated = [name for name, count in Counter(field.name for field in fields).items() if count > 1]
        if repeated:
            raise ColumnError(
                f"columns {listing(repeated)} would stand twice in the output: rename the kept column or the class, "
                f"in {origin}"
            )
        return pa.schema(fields)

    def arrays(self, scored: ScoredRows) -> list[pa.Array]:
        """The arrays of `fields`, in order."""
        names = pa.array(self._classes, pa.string())
        arrays = [
            names.take(pa.array(scored.probabilities.argmax(axis=1))),
            *_columns(scored.probabilities),
        ]
        if scored.attributions and not self._per_class:
            arrays.append(names.take(pa.array(scored.targets)))
        for i, attribution in enumerate(scored.attributions.values()):
            arrays += self._explanation(attribution, with_score=i == 0)
        return [*arrays, pa.array(scored.rows.imputed_count)]

    def _fields(self) -> list[pa.Field]:
        fields = [("prediction", pa.string()), *((f"probability.{name}", pa.float32()) for name in self._classes)]
        if self._prefixes and not self._per_class:
            fields.append(("explained_class", pa.string()))
        suffixes = [f".{name}" for name in self._per_class] or [""]
        for i, prefix in enumerate(self._prefixes.values()):
            fields += [(f"{prefix}base_value{suffix}", pa.float64()) for suffix in suffixes]
            if i == 0:  # the score is every method's
                fields += [(f"score{suffix}", pa.float32()) for suffix in suffixes]
            fields += [
                (f"{prefix}attribution{suffix}.{feature}", pa.float32())
                for suffix in suffixes
                for feature in self._features
            ]
            for name, kind in (
                ("completeness_error", pa.float64()),
                ("evaluations", pa.int32()),
                ("converged", pa.bool_()),
            ):
                fields += [(f"{prefix}{name}{suffix}", kind) for suffix in suffixes]
        return [pa.field(*field) for field in (*fields, ("imputed_count", pa.int32()))]

    def _explanation(self, attribution: Attribution, with_score: bool) -> list[pa.Array]:
        width = len(self._per_class) or 1

        def by_class(values: NDArray[Any]) -> NDArray[Any]:
            return values.reshape(-1, width)

        converged = attribution.converged
        flags = np.zeros(len(attribution.target), dtype=bool) if converged is None else converged
        return [
            *_columns(by_class(attribution.base_value), null_nan=True),
            *(_columns(by_class(attribution.output.astype(np.float32))) if with_score else []),
            *_columns(attribution.values.reshape(-1, width * len(self._features))),
            *_columns(by_class(attribution.error), null_nan=True),
            *_columns(by_class(attribution.evaluations)),
            *(pa.array(column, mask=np.full(len(column), converged is None)) for column in by_class(flags).T),
        ]


def _columns(values: NDArray[Any], null_nan: bool = False) -> list[pa.Array]:
    """One Arrow array a column of [N, K]."""
    return [pa.array(column, from_pandas=null_nan) for column in np.ascontiguousarray(values.T)]
