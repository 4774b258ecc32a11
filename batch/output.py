"""The columns of a run's output: their names, types and order."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.attributions import AttributionLayout
from batch.beside import BesideColumns
from batch.columns import CleanRows
from batch.explainers.settings import ExplainSettings
from runtime.attribution import Attribution
from runtime.bundle import Sidecar
from runtime.errors import ColumnError, listing

IDENTITY = [pa.field("source_file", pa.string()), pa.field("source_row", pa.int64())]
REASON = pa.field("reason", pa.string())
IMPUTED_COUNT = pa.field("imputed_count", pa.int32())


@dataclass(frozen=True)
class ScoredRows:
    """A batch's clean rows with what the engines said about them."""

    rows: CleanRows
    probabilities: NDArray[np.float32]
    """[N, C]"""
    predicted: NDArray[np.int64]
    """[N]: the class that is most probable."""
    targets: NDArray[np.int64]
    """[M] for the M rows that are explained or, where every class is, [M * C], row by row."""
    attributions: dict[str, Attribution]
    """By method, for the targets."""
    explained: NDArray[np.int64] | None = None
    """[M]: which of the N rows are explained, ascending; None where all are."""

    @property
    def explained_count(self) -> int:
        """How many rows are explained."""
        return len(self.rows.kept) if self.explained is None else len(self.explained)


class OutputColumns:
    """The columns between the kept ones and the end, for one bundle, its methods and the explained classes.

    With several methods, each one's own columns carry its name in front; with every class explained, the class
    stands at the end of a column's name, and before the feature.

    Args:
        sidecar: the bundle's.
        methods: names of the explanation methods.
        settings: their options.
        all_classes: whether every class is explained.
        attributions: how they stand in their columns.
    """

    def __init__(
        self,
        sidecar: Sidecar,
        methods: Sequence[str],
        settings: ExplainSettings,
        all_classes: bool,
        attributions: AttributionLayout,
    ) -> None:
        self._classes = sidecar.classes
        self.attributions = attributions
        """How they stand in their columns."""
        self._prefixes = {method: f"{method}." if len(methods) > 1 else "" for method in methods}
        self.beside = {method: BesideColumns(sidecar, method, settings) for method in methods}
        """What each method writes beside its attributions."""
        self.per_class = sidecar.classes if all_classes else ()
        """The classes, where every one is explained."""
        explained = self._explanation_fields()
        self.metadata = attributions.metadata if methods else {}
        """What a part says of its own columns."""
        self.fields = [
            pa.field("prediction", pa.string()),
            *(pa.field(f"probability.{name}", pa.float32()) for name in self._classes),
            *explained,
            IMPUTED_COUNT,
        ]
        self.explanation_schema = pa.schema(explained)
        """The columns that are null in a row that is not explained."""

    @property
    def values(self) -> int:
        """How many values a row's arrays have, in all explanations."""
        return max(1, len(self.per_class)) * sum(beside.values for beside in self.beside.values())

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
        """The arrays of `fields`, in order; the prediction's is a dictionary array, as `encoded_schema` has it."""
        names = pa.array(self._classes, pa.string())
        return [
            pa.DictionaryArray.from_arrays(pa.array(scored.predicted), names),
            *_columns(scored.probabilities),
            *self._explanations(scored, names),
            pa.array(scored.rows.imputed_count),
        ]

    def _explanation_fields(self) -> list[pa.Field]:
        fields = [pa.field("explained_class", pa.string())] if self._prefixes and not self.per_class else []
        suffixes = [f".{name}" for name in self.per_class] or [""]
        for i, (method, prefix) in enumerate(self._prefixes.items()):
            beside = self.beside[method]
            fields += [pa.field(f"{prefix}base_value{suffix}", pa.float64()) for suffix in suffixes]
            if i == 0:  # the score is every method's
                fields += [pa.field(f"score{suffix}", pa.float32()) for suffix in suffixes]
            fields += [
                field for suffix in suffixes for field in self.attributions.fields(prefix, suffix, beside.per_feature)
            ]
            for name, kind in (
                ("completeness_error", pa.float64()),
                ("evaluations", pa.int32()),
                ("converged", pa.bool_()),
            ):
                fields += [pa.field(f"{prefix}{name}{suffix}", kind) for suffix in suffixes]
            fields += beside.fields(prefix, suffixes)
        return fields

    def _explanations(self, scored: ScoredRows, names: pa.Array) -> list[pa.Array]:
        """The arrays of the explanations' columns, null where a row is not explained."""
        if not scored.attributions:
            return []
        arrays = [] if self.per_class else [names.take(pa.array(scored.targets))]
        for i, (method, attribution) in enumerate(scored.attributions.items()):
            arrays += self._explanation(attribution, self.beside[method], with_score=i == 0)
        if scored.explained is None:
            return arrays
        places = np.full(len(scored.rows.kept), -1)
        places[scored.explained] = np.arange(len(scored.explained))
        explained = pa.record_batch(arrays, schema=self.explanation_schema)
        spread: list[pa.Array] = explained.take(pa.array(places, mask=places < 0)).columns
        return spread

    def _explanation(self, attribution: Attribution, beside: BesideColumns, with_score: bool) -> list[pa.Array]:
        width = len(self.per_class) or 1

        def by_class(values: NDArray[Any]) -> NDArray[Any]:
            return values.reshape(-1, width)

        converged = attribution.converged
        flags = np.zeros(len(attribution.target), dtype=bool) if converged is None else converged
        per_feature = [attribution.beside[name] for name in beside.per_feature]
        return [
            *_columns(by_class(attribution.base_value), null_nan=True),
            *(_columns(by_class(attribution.output.astype(np.float32))) if with_score else []),
            *(
                array
                for k in range(width)
                for array in self.attributions.arrays(
                    attribution.values[k::width], [values[k::width] for values in per_feature]
                )
            ),
            *_columns(by_class(attribution.error), null_nan=True),
            *_columns(by_class(attribution.evaluations)),
            *(pa.array(column, mask=np.full(len(column), converged is None)) for column in by_class(flags).T),
            *beside.arrays(attribution.beside, width),
        ]


def _columns(values: NDArray[Any], null_nan: bool = False) -> list[pa.Array]:
    """One Arrow array a column of [N, K]."""
    return [pa.array(column, from_pandas=null_nan) for column in np.ascontiguousarray(values.T)]
