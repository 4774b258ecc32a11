"""The way from a training table to the rows of a model: the columns of one table, or several inputs."""

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.columns import describe_table, encode_rows
from whyport.exporter.data.fitting import fitting_rows
from whyport.exporter.data.input_choice import IMAGE, TABLE, TEXT, InputChoice
from whyport.exporter.data.inputs import describe_inputs, named_columns
from whyport.exporter.data.statistics import LEAVE_OUT
from whyport.runtime.bundle.columns import NUMBER, Column
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.row import features_of, sources_of
from whyport.runtime.errors import UsageError
from whyport.runtime.inputs.table import Columns
from whyport.runtime.limits import RowLimit


@final
@dataclass(frozen=True)
class RowForm:
    """The numbers of a model's row, with their training statistics."""

    features: tuple[Column, ...]
    inputs: tuple[Input, ...] = ()
    """The model's inputs, where they are others than one table of the features."""

    @cached_property
    def columns(self) -> Columns:
        """The columns of a table that make a row."""
        return Columns.of_inputs(self.inputs) if self.inputs else Columns.of(self.features)

    def encode(self, frame: pd.DataFrame) -> NDArray[np.float32]:
        """The rows of a table, [N, F]; raises as `encode_table`."""
        return encode_rows(self.columns, self.features, frame)

    def fitting(self, frame: pd.DataFrame, matrix: NDArray[np.float32], where: str) -> NDArray[np.int64]:
        """The places of the rows that can train or test, see `fitting_rows`."""
        return fitting_rows(frame, self.columns, self.features, matrix, where)


@dataclass(frozen=True)
class RowReader(ABC):
    """What a user chose of a table, of which no statistics are known yet."""

    kinds: Mapping[str, str]
    """The kind of each column of one value a row."""

    @property
    @abstractmethod
    def advice(self) -> str:
        """What to do about a column that is no feature."""

    @abstractmethod
    def describe(self, frame: pd.DataFrame, rows: NDArray[np.int64]) -> RowForm:
        """The form of a row, with the statistics of these rows; raises as `describe_table` and `describe_inputs`."""

    def usable(self, frame: pd.DataFrame, where: str) -> NDArray[np.int64]:
        """The places of the rows that can be trained and tested with; a warning counts the others."""
        return np.arange(len(frame))


@final
@dataclass(frozen=True)
class ColumnReader(RowReader):
    """The columns of one table. Every row is usable: a missing number is imputed, a missing category is one."""

    rare: RowLimit

    @property
    def advice(self) -> str:
        return LEAVE_OUT

    def describe(self, frame: pd.DataFrame, rows: NDArray[np.int64]) -> RowForm:
        return RowForm(describe_table(frame, self.kinds, rows, self.rare))


@final
@dataclass(frozen=True)
class InputReader(RowReader):
    """Several inputs, or a sequence. A row whose list does not fit is not usable; numbers of tables are imputed."""

    choices: Sequence[InputChoice]

    @property
    def advice(self) -> str:
        return "leave it out of its --input"

    @classmethod
    def of(cls, frame: pd.DataFrame, choices: Sequence[InputChoice]) -> "InputReader":
        """The reader of a table; raises as `named_columns`, and UsageError for settings that are for export alone."""
        for each in choices:
            if each.kind == IMAGE:
                raise UsageError(
                    f"--input {each.name}: images are for whyport export: whyport train has no network for them"
                )
            if each.kind == TEXT:
                raise UsageError(f"--input {each.name}: texts are for whyport export: whyport train takes none")
            for setting in ("buckets", "references"):
                if setting in each.settings:
                    raise UsageError(
                        f"--input {each.name}: {setting} is for whyport export: the networks of whyport train take "
                        "rows of as many steps as each other"
                    )
        tables = [each for each in choices if each.kind == TABLE]
        return cls(
            dict.fromkeys((name for each in tables for name in named_columns(each, frame.columns)), NUMBER), choices
        )

    def describe(self, frame: pd.DataFrame, rows: NDArray[np.int64]) -> RowForm:
        inputs = describe_inputs(frame.iloc[rows], self.choices, standardise=True, impute=True)
        return RowForm(features_of(sources_of(inputs)), inputs)

    def usable(self, frame: pd.DataFrame, where: str) -> NDArray[np.int64]:
        form = self.describe(frame, np.arange(len(frame)))
        return form.fitting(frame, form.encode(frame), where)
