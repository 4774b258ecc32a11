"""The columns of a run's output: their names, types and order."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import takewhile
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import Beside, beside_of
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.layouts import AttributionLayout
from whyport.batch.rows import ScoredRows
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import ColumnError, listing

PREDICTION = "prediction"
PROBABILITY = "probability."


@dataclass(frozen=True)
class ExplanationColumns:
    """The columns of one method's explanation, of one class where all are explained."""

    method: str
    explained_class: str | None
    """None where the column `explained_class` says it row by row."""
    prefix: str
    """The method's name and a dot, where there are several."""
    suffix: str
    """A dot and the class's name, where all are explained."""

    @property
    def score(self) -> str:
        """The column of the explained logit, which is every method's."""
        return f"score{self.suffix}"

    @property
    def base_value(self) -> str:
        """The column of what the score is measured against."""
        return f"{self.prefix}base_value{self.suffix}"

    @property
    def completeness_error(self) -> str:
        """The column of how far the attributions are from adding up."""
        return f"{self.prefix}completeness_error{self.suffix}"

    @property
    def converged(self) -> str:
        """The column of whether that is within the method's tolerance."""
        return f"{self.prefix}converged{self.suffix}"


def kept_columns(names: Sequence[str]) -> list[str]:
    """The columns that were copied from the input, among all the columns of an output."""
    return list(names[2 : names.index(PREDICTION)])


def classes(names: Sequence[str]) -> list[str]:
    """The classes, by the columns of their probabilities."""
    after = names[names.index(PREDICTION) + 1 :]
    return [name.removeprefix(PROBABILITY) for name in takewhile(lambda name: name.startswith(PROBABILITY), after)]


def explanations(methods: Sequence[str], all_classes: Sequence[str]) -> list[ExplanationColumns]:
    """The explanations of a run in the columns' order.

    Args:
        methods: the run's methods.
        all_classes: the model's classes, where all are explained; otherwise none.
    """
    explained: list[tuple[str | None, str]] = [(name, f".{name}") for name in all_classes] or [(None, "")]
    return [
        ExplanationColumns(method, class_name, f"{method}." if len(methods) > 1 else "", suffix)
        for method in methods
        for class_name, suffix in explained
    ]


AXES = {"attention": ("query", "key")}
"""What the axes of the model's outputs are called."""


class BesideColumns:
    """Those of one method.

    Args:
        sidecar: has the outputs' shapes.
        method: its name.
        settings: the methods' options.
    """

    def __init__(self, sidecar: Sidecar, method: str, settings: ExplainSettings) -> None:
        declared = beside_of(method, settings)
        self.per_feature = [b.name for b in declared if b.per_feature]
        """Names of what each feature has, in the layout of the attributions."""
        self._arrays = [b for b in declared if not b.per_feature]
        shapes = {spec.name: spec.row_shape() for spec in sidecar.signature.outputs}
        self._types = {b.name: array_type(b, shapes) for b in self._arrays}
        self.values = sum(int(np.prod(shapes.get(b.output or "", ()))) for b in self._arrays)
        """How many values the arrays of a row have, where their shape is known."""

    def names(self, prefix: str, suffixes: Sequence[str]) -> list[str]:
        """The names of the arrays' columns, where `prefix` names the method and each of `suffixes` a class."""
        return [f"{prefix}{b.name}{suffix}" for b in self._arrays for suffix in (suffixes if b.per_class else [""])]

    def fields(self, prefix: str, suffixes: Sequence[str]) -> list[pa.Field]:
        """The arrays' columns."""
        kinds = [self._types[b.name] for b in self._arrays for _ in (suffixes if b.per_class else [""])]
        return [pa.field(name, kind) for name, kind in zip(self.names(prefix, suffixes), kinds, strict=True)]

    def arrays(self, beside: Mapping[str, NDArray[np.float32]], width: int) -> list[pa.Array]:
        """The arrays of `fields`, of rows that come `width` times, once for every class."""
        return [
            _array(self._types[b.name], beside[b.name][k::width])
            for b in self._arrays
            for k in (range(width) if b.per_class else (0,))
        ]


def array_type(beside: Beside, shapes: Mapping[str, tuple[int, ...]]) -> pa.DataType:
    """A tensor of the shape of the model's output, or a list of any length."""
    if beside.output is None:
        return pa.list_(pa.float32())
    return pa.fixed_shape_tensor(pa.float32(), shapes[beside.output], dim_names=AXES.get(beside.output))


def _array(kind: pa.DataType, values: NDArray[np.float32]) -> pa.Array:
    flat, length = pa.array(np.ascontiguousarray(values).reshape(-1)), values[0].size if len(values) else 0
    if isinstance(kind, pa.BaseExtensionType):
        lists = pa.FixedSizeListArray.from_arrays(flat, type=kind.storage_type)
        return pa.ExtensionArray.from_storage(kind, lists)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * length
    return pa.ListArray.from_arrays(pa.array(offsets), flat)


IDENTITY = [pa.field("source_file", pa.string()), pa.field("source_row", pa.int64())]
REASON = pa.field("reason", pa.string())
IMPUTED_COUNT = pa.field("imputed_count", pa.int32())


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
