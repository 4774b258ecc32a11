"""The columns of a run's output: names, types, order and arrays, for writers and readers."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from whyport.batch.arrow import array_of_rows
from whyport.batch.methods.method import COUNT, Extra
from whyport.batch.methods.positions import Positions
from whyport.batch.methods.settings import ExplainSettings
from whyport.batch.output.label_maps import SegmentColumns
from whyport.batch.output.layouts import AttributionLayout
from whyport.batch.output.tokens import TokenColumns
from whyport.batch.reasons.columns import ReasonColumns
from whyport.batch.rows import ScoredRows
from whyport.batch.targets import TargetChoice
from whyport.runtime.attribution import Attribution
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ColumnError, listing
from whyport.runtime.task import PredictedColumn, Task

SOURCE_FILE, SOURCE_ROW, SCORE = "source_file", "source_row", "score"
IDENTITY = [pa.field(SOURCE_FILE, pa.string()), pa.field(SOURCE_ROW, pa.int64())]
REASON = pa.field("reason", pa.string())
IMPUTED_COUNT = pa.field("imputed_count", pa.int32())


@dataclass(frozen=True)
class ExplanationColumns:
    """Names of the columns of one method's explanation; of one target's, where all targets are explained."""

    method: str
    target: str | None
    """The explained target; None where it differs by row, as the column `explained_target` says."""
    prefix: str
    """The method's name and a dot, if there are several methods."""
    suffix: str
    """A dot and the target's name or rank, if several targets of a row are explained."""
    explained_target: str
    """The name for the column with the explained target's name, where it differs by row."""

    @property
    def score(self) -> str:
        """The name for the explained score, which all methods share."""
        return f"{SCORE}{self.suffix}"

    @property
    def base_value(self) -> str:
        """The name for the value that the score is measured against."""
        return f"{self.prefix}base_value{self.suffix}"

    @property
    def completeness_error(self) -> str:
        """The name for the distance of the attributions from adding up."""
        return f"{self.prefix}completeness_error{self.suffix}"

    @property
    def evaluations(self) -> str:
        """The name for the number of gradients, or forward passes, that the row took."""
        return f"{self.prefix}evaluations{self.suffix}"

    @property
    def converged(self) -> str:
        """The name for whether the completeness error is within the method's tolerance."""
        return f"{self.prefix}converged{self.suffix}"

    def extra(self, extra: Extra) -> str:
        """The name for an extra column of the method; the same for all targets if it does not depend on them."""
        return f"{self.prefix}{extra.name}{self.suffix if extra.per_target else ''}"


class OutputColumns:
    """The columns of one run.

    With several methods, each column of a method begins with the method's name. With several targets of a row
    explained, a column's name ends in the target's name, or with `top:K` in its rank; in a feature's column, the target
    comes before the feature.

    Args:
        task: what the model's outputs mean.
        methods: names of the explanation methods.
        settings: their options.
        choice: which targets of each row are explained.
        layout: how attributions are laid out in columns.
        outputs: the model's outputs and maps, which give some arrays their shapes; needed only for writing.
        named_by: the columns that name the explained target; None for the task's, others in an older run.
        reasons: the columns of reasons as texts; None for none.
    """

    def __init__(
        self,
        task: Task,
        methods: Sequence[str],
        settings: ExplainSettings,
        choice: TargetChoice,
        layout: AttributionLayout,
        outputs: Sequence[TensorSpec] = (),
        named_by: Sequence[str] | None = None,
        reasons: ReasonColumns | None = None,
    ) -> None:
        self._task = task
        self.layout = layout
        self.tokens = TokenColumns.of(layout.positions if methods else Positions(()))
        """The columns of the tokens of texts."""
        self.segments = SegmentColumns.of(layout.positions if methods else Positions(()))
        """The columns of the segments of pictures."""
        self.reasons = ReasonColumns() if reasons is None else reasons
        """The columns of reasons as texts."""
        self.targets = choice.targets_by_name
        """The targets that every row is explained for, by name; empty where they differ by row."""
        self._named_by = tuple(task.target_columns if named_by is None else named_by)
        self.extras = {method: settings.extras_of(method) for method in methods}
        """The extra columns of each method."""
        self.metadata = layout.metadata if methods else {}
        """A part's metadata on its own columns."""
        self.by_method = {
            method: [
                ExplanationColumns(
                    method, target, f"{method}." if len(methods) > 1 else "", suffix, f"{self._named_by[0]}{suffix}"
                )
                for target, suffix in choice.columns
            ]
            for method in methods
        }
        """The explanations of each method, one per explained target."""
        self._shapes = {spec.name: spec.row_shape() for spec in outputs}

    @property
    def explanations(self) -> list[ExplanationColumns]:
        """All explanations in the columns' order."""
        return [columns for each in self.by_method.values() for columns in each]

    @cached_property
    def fields(self) -> list[pa.Field]:
        """The columns between the kept columns and the end."""
        return [*map(prediction_field, self._task.columns), *self.explanation_schema, IMPUTED_COUNT]

    @cached_property
    def explanation_schema(self) -> pa.Schema:
        """The columns that are null in a row without explanation."""
        fields = [pa.field(name, pa.string()) for name in self.target_names]
        fields += [*self.tokens.fields, *self.segments.fields]
        for i, (method, explanations) in enumerate(self.by_method.items()):
            fields += [pa.field(each.base_value, pa.float64()) for each in explanations]
            if i == 0:  # all methods share the score
                fields += [pa.field(each.score, pa.float32()) for each in explanations]
            per_feature = [extra.name for extra in self.extras[method] if extra.per_feature]
            for each in explanations:
                fields += self.layout.fields(each.prefix, each.suffix, per_feature)
            fields += [pa.field(each.completeness_error, pa.float64()) for each in explanations]
            fields += [pa.field(each.evaluations, pa.int32()) for each in explanations]
            fields += [pa.field(each.converged, pa.bool_()) for each in explanations]
            fields += [pa.field(name, array_type(extra, self._shapes)) for name, extra, _ in self._arrays(method)]
        return pa.schema([*fields, *self.reasons.fields])

    @property
    def values_per_row(self) -> int:
        """The number of values in a row's arrays, over all explanations; counts arrays of known shape only."""
        arrays = [extra for extras in self.extras.values() for extra in extras if not extra.per_feature]
        values = sum(int(np.prod(self._shapes.get(extra.output or extra.name, ()))) for extra in arrays)
        return max([1, *map(len, self.by_method.values())]) * values

    @property
    def target_names(self) -> list[str]:
        """The columns with the names of explained targets that differ by row."""
        return [name for name, _ in self._target_names]

    @property
    def _target_names(self) -> list[tuple[str, int]]:
        """The columns with the names of explained targets that differ by row, each with the explanation it is for."""
        explanations = next(iter(self.by_method.values()), [])
        each = [(k, columns.suffix) for k, columns in enumerate(explanations) if columns.target is None]
        return [(name, k) for k, suffix in each for name in target_columns(self._named_by, suffix)]

    def array_names(self, method: str) -> list[str]:
        """The columns of a method's extra arrays and numbers; not of counts, which a last bit may change."""
        return [name for name, extra, _ in self._arrays(method) if extra.number != COUNT]

    @property
    def count_names(self) -> list[str]:
        """The columns that count a method's steps, and say whether it has converged."""
        names = [name for each in self.explanations for name in (each.evaluations, each.converged)]
        return names + [
            name for method in self.by_method for name, extra, _ in self._arrays(method) if extra.number == COUNT
        ]

    def schema(self, kept: Sequence[pa.Field], origin: str) -> pa.Schema:
        """The output's schema with these kept columns; raises ColumnError where a name would appear twice."""
        fields = [*IDENTITY, *kept, *self.fields]
        return schema_of(fields, f"rename the kept column or the {self._task.target}", origin)

    def arrays(self, scored: ScoredRows) -> list[pa.Array]:
        """The arrays of `fields`, in order; names of targets are dictionary arrays, as in `encoded_schema`."""
        names = pa.array(self._task.targets, pa.string())
        predicted = zip(self._task.columns, scored.prediction.values, strict=True)
        return [
            *(
                pa.DictionaryArray.from_arrays(pa.array(values), names) if column.names_target else pa.array(values)
                for column, values in predicted
            ),
            *self._explanations(scored, names),
            pa.array(scored.rows.imputed_count),
        ]

    def _arrays(self, method: str) -> Iterator[tuple[str, Extra, int]]:
        """The columns of a method's extra arrays: the name, the extra, and the place of the target that it is for."""
        explanations = self.by_method[method]
        for extra in self.extras[method]:
            if not extra.per_feature:
                for k, each in enumerate(explanations if extra.per_target else explanations[:1]):
                    yield each.extra(extra), extra, k

    def _explanations(self, scored: ScoredRows, names: pa.Array) -> list[pa.Array]:
        """The arrays of the explanations' columns, null in rows that are not explained."""
        if not scored.attributions:
            return []
        width = len(self.explanations) // len(self.by_method)
        steps = scored.steps
        if steps is None:
            counts = self.segments.counts(scored.segments)
            steps = self.layout.positions.steps_of(scored.explained_rows, counts)
        arrays = [names.take(pa.array(scored.targets[k::width])) for _, k in self._target_names]
        arrays += [*self.tokens.arrays(scored.tokens), *self.segments.arrays(scored.segments)]
        for i, (method, attribution) in enumerate(scored.attributions.items()):
            arrays += self._explanation(method, attribution, steps, with_score=i == 0)
        if scored.reasons is not None:
            arrays += self.reasons.arrays(*scored.reasons)
        if scored.explained is None:
            return arrays
        places = np.full(len(scored.rows.kept), -1)
        places[scored.explained] = np.arange(len(scored.explained))
        explained = pa.record_batch(arrays, schema=self.explanation_schema)
        spread: list[pa.Array] = explained.take(pa.array(places, mask=places < 0)).columns
        return spread

    def _explanation(
        self, method: str, attribution: Attribution, steps: NDArray[np.int64], with_score: bool
    ) -> list[pa.Array]:
        """The arrays of one method's columns; `steps` are of the rows that have explanations, [M, S]."""
        width, kinds = len(self.by_method[method]), self.explanation_schema

        def by_target(values: NDArray[Any]) -> NDArray[Any]:
            return values.reshape(-1, width)

        # An explanation that is not finite has no attributions, and has not converged, whatever the method claims.
        finite = attribution.is_finite
        converged = attribution.converged
        flags = np.zeros(len(finite), dtype=bool) if converged is None else converged
        claims = ~finite if converged is None else np.ones(len(finite), dtype=bool)

        def honest(array: pa.Array, k: int) -> pa.Array:
            """The array of one target, null where its explanation is not finite."""
            has = finite[k::width]
            return array if has.all() else array.take(pa.array(np.arange(len(has)), mask=~has))

        error = attribution.error if self.layout.positions.add_up else np.full_like(attribution.error, np.nan)
        per_feature = [attribution.extras[extra.name] for extra in self.extras[method] if extra.per_feature]
        shares = [
            self.layout.arrays(attribution.values[k::width], [values[k::width] for values in per_feature], steps)
            for k in range(width)
        ]
        return [
            *_columns(by_target(attribution.base_value), null_nan=True),
            *(_columns(by_target(attribution.output.astype(np.float32))) if with_score else []),
            *(honest(array, k) for k, arrays in enumerate(shares) for array in arrays),
            *_columns(by_target(error), null_nan=True),
            *_columns(by_target(attribution.evaluations)),
            *(pa.array(flags[k::width], mask=~claims[k::width]) for k in range(width)),
            *(
                honest(array_of_rows(kinds.field(name).type, attribution.extras[extra.name][k::width]), k)
                for name, extra, k in self._arrays(method)
            ),
        ]


def target_columns(named_by: Sequence[str], suffix: str) -> tuple[str, ...]:
    """The columns that name an explained target; the older name has no ranks."""
    return tuple(named_by) if not suffix else (f"{named_by[0]}{suffix}",)


def prediction_field(column: PredictedColumn) -> pa.Field:
    """One column of a prediction, with the type that readers get."""
    return pa.field(column.name, pa.string() if column.names_target else pa.float32())


def array_type(extra: Extra, shapes: Mapping[str, tuple[int, ...]]) -> pa.DataType:
    """The type of an extra column: a number, a tensor with the shape of the model's output, or a list of any length."""
    if extra.number is not None:
        return pa.type_for_alias(extra.number)
    shape = shapes.get(extra.name) if extra.output is None else shapes[extra.output]
    if shape is None:
        return pa.list_(pa.float32())
    return pa.fixed_shape_tensor(pa.float32(), shape, dim_names=extra.axes)


def _columns(values: NDArray[Any], null_nan: bool = False) -> list[pa.Array]:
    """One Arrow array per column of [N, K]."""
    return [pa.array(column, from_pandas=null_nan) for column in np.ascontiguousarray(values.T)]


def schema_of(fields: Sequence[pa.Field], advice: str, origin: str) -> pa.Schema:
    """The schema with these fields; raises ColumnError with the advice where a name would appear twice."""
    repeated = [name for name, count in Counter(field.name for field in fields).items() if count > 1]
    if repeated:
        raise ColumnError(f"columns {listing(repeated)} would appear twice in the output: {advice}, in {origin}")
    return pa.schema(fields)
