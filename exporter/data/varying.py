"""Sequences of varying length among the inputs, described by a sample."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.input_choice import InputChoice
from whyport.exporter.data.list_columns import arrow_or_self, list_column
from whyport.exporter.data.statistics import describe_numbers
from whyport.runtime.bundle.columns import LIST, REFUSE, Column
from whyport.runtime.bundle.constraints import NAME
from whyport.runtime.bundle.inputs import Axis, Input, SequencePreparation
from whyport.runtime.bundle.lengths import Length
from whyport.runtime.bundle.row import Source
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ColumnError, TrainingError, UsageError
from whyport.runtime.inputs.lists import grouping_query
from whyport.runtime.inputs.numbers import OtherTypeError
from whyport.runtime.inputs.sources import element
from whyport.runtime.inputs.varying_lists import VaryingListEncoder

MOST_STEPS = 1 << 16
"""The most steps of a row that graphs are made for."""
FEWEST_STEPS = 4
HALVINGS = 2
"""Without a choice, the buckets are the longest row's steps, a half and a quarter of them, where these are not few."""


def is_varying(choice: InputChoice, mask: str | None, columns: Sequence[pd.Series]) -> bool:
    """Whether rows of a sequence may differ in length: buckets are named, or the network takes a mask of lists."""
    if choice.settings.get("buckets") is not None:
        return True
    return mask is not None and not any(pd.api.types.is_numeric_dtype(column.dtype) for column in columns)


def describe_varying(
    columns: Sequence[pd.Series],
    choice: InputChoice,
    name_features: Callable[[InputChoice, int, Sequence[str]], tuple[str, ...]],
    tensor: str,
    mask: str | None,
    *,
    standardise: bool,
) -> Input:
    """A sequence of varying length, with the statistics of a sample's rows.

    Args:
        columns: a column of lists a feature, or one column of steps of several features.
        choice: what the user says of it.
        name_features: gives the names of a step's features, as the user has them, or else as given.
        tensor: the name of the tensor of values.
        mask: the name of the mask; None where the network takes none, and rows have exactly as many steps as a bucket.
        standardise: whether the graphs standardise the numbers.

    Raises:
        ColumnError: a column holds no lists of numbers. UsageError: the choice does not fit. TrainingError: no values.
    """
    names = [str(column.name) for column in columns]
    counted = {name: _counted(choice, column) for name, column in zip(names, columns, strict=True)}
    inner = {name: Counter(width for _, width in own).most_common(1)[0][0] for name, own in counted.items()}
    width = _width(choice, inner)
    own_width = 1 if len(names) > 1 else width
    steps = [
        count if inner[name] is not None else count // own_width for name, own in counted.items() for count, _ in own
    ]
    buckets = _buckets(choice, max(steps), is_masked=mask is not None)
    given = name_features(choice, width, names if len(names) > 1 else ())
    length = Length(choice.name, 0, 0, buckets[-1], width, buckets, mask is not None)
    described = tuple(
        _describe(column, given if len(names) == 1 and width > 1 else (), own_width, length) for column in columns
    )
    values = TensorSpec(tensor, "float32", ("N", buckets[-1], width))
    masks = () if mask is None else (TensorSpec(mask, "uint8", ("N", buckets[-1])),)
    return Input(
        name=choice.name,
        columns=described,
        prepare=SequencePreparation("sequence", None, buckets, standardise),
        tensors=(values, *masks),
        axes=(Axis("time", buckets[-1], None), Axis("feature", width, given)),
    )


def _counted(choice: InputChoice, column: pd.Series) -> list[tuple[int, int | None]]:
    """The length of every list of a column, and of its first element where that is a list."""
    present = column.dropna()
    if not len(present):
        raise TrainingError(f"column {column.name!r}: expected values, got only missing ones")
    found: list[tuple[int, int | None]] = []
    for row in range(len(present)):
        value: Any = element(present, row)
        if isinstance(value, str | bytes) or not hasattr(value, "__len__"):
            raise ColumnError(
                f"--input {choice.name}: column {column.name!r}: expected a list of numbers a row, got {column.dtype}; "
                + grouping_query(choice.columns, choice.name)
            )
        if not len(value):
            continue
        nested = hasattr(value[0], "__len__") and not isinstance(value[0], str | bytes)
        found.append((len(value), len(value[0]) if nested else None))
    if not found:
        raise TrainingError(f"column {column.name!r}: expected steps, got only empty lists")
    return found


def _width(choice: InputChoice, inner: dict[str, int | None]) -> int:
    """The number of features of a step."""
    several = [width for width in inner.values() if width is not None and width > 1]
    if len(inner) > 1:
        if several:
            raise UsageError(f"--input {choice.name}: expected one column of steps, or a column of numbers a feature")
        return len(inner)
    (own,) = inner.values()
    named = choice.settings.get("names")
    asked = choice.count("features") or (len(named.split("|")) if named else None)
    return own if own is not None else asked or 1


def _buckets(choice: InputChoice, longest: int, *, is_masked: bool) -> tuple[int, ...]:
    """The numbers of steps that rows are padded to, up to the longest row's."""
    most = choice.count("steps")
    asked = choice.counts("buckets")
    if most is not None and asked and asked[-1] != most:
        raise UsageError(f"--input {choice.name}: expected the last of buckets to be steps={most}, got {asked[-1]}")
    longest = most or longest
    for steps in (*asked, longest):
        if not 0 < steps <= MOST_STEPS:
            raise UsageError(f"--input {choice.name}: expected rows of 1 to {MOST_STEPS} steps, got {steps}")
    if asked:
        return asked
    halves = [longest >> k for k in range(HALVINGS, -1, -1)]
    return tuple(sorted({steps for steps in halves if steps >= FEWEST_STEPS or steps == longest}))


def _describe(column: pd.Series, labels: Sequence[str], width: int, length: Length) -> Column:
    name = str(column.name)
    if not NAME.holds(name):
        raise TrainingError(f"column {name!r}: expected {NAME.expected}")
    values = _values(column, width, length)
    fits = np.isfinite(values[:, -1])
    if not fits.any():
        raise TrainingError(
            f"column {name!r}: expected lists of {length.expected} steps of {width} numbers, got none in the sample"
        )
    held = np.arange(length.steps) < values[fits, -1, None]
    steps = values[fits, :-1].reshape(-1, length.steps, width)[held]
    known = [describe_numbers(label, steps[:, k], missing=REFUSE) for k, label in enumerate(labels or [name])]
    return list_column(name, labels, known, float(1 - fits.mean()))


def _values(column: pd.Series, width: int, length: Length) -> NDArray[np.float64]:
    """A column's numbers [N, steps x width + 1]; NaN in rows whose lists do not fit, or lack a number."""
    blank = Column(str(column.name), LIST, None, REFUSE, None, 0.0, None, None, ())
    count = length.steps * width + 1
    source = Source(blank, (blank,) * count, tuple(range(count)), length.steps, length)
    try:
        values = VaryingListEncoder(source).encode(arrow_or_self(column))[0].astype(np.float64)
    except OtherTypeError as error:
        raise ColumnError(f"column {column.name!r}: expected lists of steps of {width} numbers, got {error}") from None
    for row, _ in np.argwhere(np.isinf(values)):
        raise ColumnError(f"column {column.name!r}, row {row}: expected finite numbers, got infinity")
    values[~np.isfinite(values).all(axis=1)] = np.nan
    return values
