"""The sample of a user's own model: its columns, described, and its rows as the model takes them."""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.agreement import agreed_features
from whyport.exporter.data.categories import KEPT, describe_categories
from whyport.exporter.data.columns import encode_table
from whyport.exporter.data.fitting import fitting_rows
from whyport.exporter.data.images import affordable_rows
from whyport.exporter.data.inputs import describe_inputs
from whyport.exporter.data.statistics import describe_numbers
from whyport.exporter.data.table import choose_features, feature_arrays, read_frame
from whyport.exporter.data.texts import read_tokenizers
from whyport.exporter.kinds.facts import ModelFacts
from whyport.exporter.source import ModelSource
from whyport.runtime.bundle.columns import IMPUTE, MODEL, REFUSE, Column, takes_missing
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.row import features_of, sources_of
from whyport.runtime.errors import ExportError, MissingValueError, WhyportError
from whyport.runtime.inputs.table import Columns

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class ModelSample:
    """A sample of the rows that a model is for."""

    facts: ModelFacts
    """What the model itself knows."""
    columns: tuple[Column, ...]
    """The model's inputs, in order."""
    rows: NDArray[np.float32]
    """The rows of codes [N, F] that the model takes."""
    precise: NDArray[np.float64]
    """The same rows, before they are rounded to float32."""
    inputs: tuple[Input, ...] = ()
    """The model's inputs, where they are others than one table of the columns."""
    files: Mapping[str, bytes] = field(default_factory=dict, repr=False)
    """The content of the files that the inputs need, by their paths in the bundle."""

    def refusing(self, names: Collection[str]) -> "ModelSample":
        """The same, where rows without a value in these columns of numbers cannot be scored.

        Raises MissingValueError where no row is left.
        """
        columns = tuple(replace(each, missing=REFUSE) if each.name in names else each for each in self.columns)
        kept = _complete(self.rows, columns)
        return replace(self, columns=columns, rows=self.rows[kept], precise=self.precise[kept])


def read_sample(source: ModelSource, facts_of: Callable[[tuple[str, ...]], ModelFacts]) -> ModelSample:
    """Read the sample, with the columns of the user's choice or the model's own.

    Args:
        source: what the user says of the model.
        facts_of: gives what the model knows; it is told the columns that may be its inputs.

    Raises:
        DataError, ColumnError, ValueRangeError: the table does not fit. MissingValueError: no row is complete.
    """
    frame = read_frame(source.sample)
    try:
        if source.inputs:
            return _of_inputs(frame, source, facts_of(()).arguments)
        names = choose_features(frame, source.features, source.excluded)
        facts = facts_of(names)
        features = agreed_features(source, facts, names)
        frame = _with_texts(frame, source, facts)
        columns = _describe(frame, features, facts, impute=source.impute)
        rows = encode_table(columns, frame)
        complete = _complete(rows, columns)
        precise = _precise(frame, columns, rows)
    except ExportError:  # of the model, not of the sample
        raise
    except WhyportError as error:
        raise error.at(str(source.sample)) from None
    return ModelSample(facts, columns, rows[complete], precise[complete])


def _of_inputs(frame: pd.DataFrame, source: ModelSource, arguments: Sequence[str]) -> ModelSample:
    """The sample of a model that takes several inputs, a sequence or an image."""
    every, frame = len(frame), affordable_rows(frame, source.inputs)
    if len(frame) < every:
        logger.info("%d of %d rows are read, at even distances, in %s", len(frame), every, source.sample)
    files = read_tokenizers(source.inputs)
    described = {"standardise": source.standardise, "impute": source.impute}
    inputs = describe_inputs(frame, source.inputs, **described, arguments=arguments, files=files)
    columns = Columns.of_inputs(inputs, files.__getitem__)
    rows = columns.encode(frame).matrix
    features = features_of(sources_of(inputs))
    kept = rows[fitting_rows(frame, columns, features, rows, str(source.sample))]
    return ModelSample(ModelFacts(), features, kept, kept.astype(np.float64), inputs, files)


def _complete(rows: NDArray[np.float32], columns: Sequence[Column]) -> NDArray[np.bool_]:
    """Which rows have all values that they need; MissingValueError where none has."""
    may_lack = np.array([takes_missing(column) for column in columns])
    complete: NDArray[np.bool_] = ~(np.isnan(rows) & ~may_lack).any(axis=1)
    if not complete.any():
        raise MissingValueError("every row of the sample has a missing value; --impute replaces them by medians")
    return complete


def _with_texts(frame: pd.DataFrame, source: ModelSource, facts: ModelFacts) -> pd.DataFrame:
    """The frame whose columns of texts are that, even where all of a CSV file's look like numbers."""
    texts = [name for name, values in facts.categories.items() if all(isinstance(each, str) for each in values)]
    if all(pd.api.types.is_string_dtype(frame[name].dropna()) for name in texts):
        return frame
    return read_frame(source.sample, texts)


def _describe(frame: pd.DataFrame, features: tuple[str, ...], facts: ModelFacts, *, impute: bool) -> tuple[Column, ...]:
    numbers = [name for name in features if name not in facts.categories]
    arrays = feature_arrays(frame, numbers) if numbers else []
    values = dict(zip(numbers, arrays, strict=True))

    def describe(name: str) -> Column:
        if name in facts.categories:
            return describe_categories(name, frame[name], KEPT, facts.categories[name])
        if name in facts.imputed:
            column = describe_numbers(name, values[name], missing=IMPUTE)
            return replace(column, imputation=facts.imputed[name])
        missing = IMPUTE if impute else MODEL if name in facts.takes_missing else REFUSE
        return describe_numbers(name, values[name], missing=missing)

    return tuple(map(describe, features))


def _precise(frame: pd.DataFrame, columns: tuple[Column, ...], rows: NDArray[np.float32]) -> NDArray[np.float64]:
    precise = rows.astype(np.float64)
    numbers = [j for j, column in enumerate(columns) if column.categories is None]
    arrays = feature_arrays(frame, [columns[j].name for j in numbers]) if numbers else []
    for j, values in zip(numbers, arrays, strict=True):
        precise[:, j] = values
    return precise
