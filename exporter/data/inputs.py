"""The inputs of a model that takes more than one table: of every kind, by the names of its arguments."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from whyport.exporter.data.images import describe_image
from whyport.exporter.data.input_choice import IMAGE, SEQUENCE, TEXT, InputChoice
from whyport.exporter.data.list_columns import arrow_or_self, list_column
from whyport.exporter.data.statistics import describe_numbers
from whyport.exporter.data.step_references import KINDS as REFERENCE_KINDS
from whyport.exporter.data.table import feature_arrays
from whyport.exporter.data.texts import describe_text, tokenizer_files
from whyport.exporter.data.varying import describe_varying, is_varying
from whyport.exporter.graphs.tensor_names import TAKEN
from whyport.runtime.bundle.class_maps import CAM
from whyport.runtime.bundle.columns import IMPUTE, LIST, REFUSE, Column
from whyport.runtime.bundle.constraints import NAME
from whyport.runtime.bundle.input_rules import unmasked_beside_others
from whyport.runtime.bundle.inputs import Axis, Input, SequencePreparation, TablePreparation
from whyport.runtime.bundle.row import Source
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ColumnError, TrainingError, UsageError, listing, unknown
from whyport.runtime.inputs.lists import ListEncoder, grouping_query
from whyport.runtime.inputs.numbers import OtherTypeError
from whyport.runtime.inputs.sources import element

NUMBERS_ALONE = "choose columns of numbers with --input"


def describe_inputs(
    frame: pd.DataFrame,
    choices: Sequence[InputChoice],
    *,
    standardise: bool,
    impute: bool,
    arguments: Sequence[str] = (),
    files: Mapping[str, bytes] = MappingProxyType({}),
) -> tuple[Input, ...]:
    """The inputs, with the statistics of a sample's rows.

    Args:
        frame: the sample.
        choices: what the user says of each.
        standardise: whether the graphs standardise the numbers.
        impute: whether missing numbers of tables are replaced by medians.
        arguments: the names of the network's arguments, where they are known: some may take masks.
        files: the content of the bundle's files, by name, such as the tokenizers of texts.

    Raises:
        ColumnError: a column is missing, or no list of numbers. UsageError: the choices do not fit the columns.
        TrainingError: a column has no values.
    """
    free = [name for name in arguments if name not in {each.name for each in choices}]
    inputs: list[Input] = []
    tokenizers = tokenizer_files(choices)
    for each in choices:
        if each.kind in (SEQUENCE, TEXT):
            mask = mask_argument(each.name, free)
            if each.kind == TEXT:
                named_columns(each, frame.columns)
                made = describe_text(frame, each, tensor_name(each.name), mask, tokenizers[each.name], files)
            else:
                made = _sequence(frame, each, standardise, mask)
            free = [name for name in free if name not in {spec.name for spec in made.tensors}]
        elif each.kind == IMAGE:
            made = _image(frame, each)
        else:
            made = _table(frame, each, standardise, impute)
        inputs.append(made)
    alone = unmasked_beside_others(inputs)
    if alone is not None:
        raise UsageError(
            f"--input {alone}: several buckets need a mask, the argument {alone}_mask, beside another input of varying "
            "length: name one bucket alone"
        )
    return tuple(inputs)


def mask_argument(name: str, arguments: Sequence[str]) -> str | None:
    """The argument among these that takes the mask of an input: NAME_mask or attention_mask; None without one."""
    return next((mask for mask in (f"{name}_mask", "attention_mask") if mask in arguments), None)


def _table(frame: pd.DataFrame, choice: InputChoice, standardise: bool, impute: bool) -> Input:
    names = named_columns(choice, frame.columns)
    arrays = feature_arrays(frame, names, NUMBERS_ALONE)
    missing = IMPUTE if impute else REFUSE
    columns = tuple(
        describe_numbers(name, own, missing=missing, advice=leave_out(choice.name))
        for name, own in zip(names, arrays, strict=True)
    )
    return Input(
        name=choice.name,
        columns=columns,
        prepare=TablePreparation("table", standardise),
        tensors=(TensorSpec(tensor_name(choice.name), "float32", ("N", len(names))),),
        axes=(Axis("feature", len(names), names),),
    )


def _image(frame: pd.DataFrame, choice: InputChoice) -> Input:
    names = named_columns(choice, frame.columns)
    if len(names) != 1:
        raise UsageError(f"--input {choice.name}: expected one column of pictures, got {listing(names)}")
    return describe_image(frame[names[0]], choice, tensor_name(choice.name))


def _sequence(frame: pd.DataFrame, choice: InputChoice, standardise: bool, mask: str | None) -> Input:
    names = named_columns(choice, frame.columns)
    choice.one_of("references", REFERENCE_KINDS)
    given = [frame[name] for name in names]
    if is_varying(choice, mask, given):
        return describe_varying(given, choice, _labels, tensor_name(choice.name), mask, standardise=standardise)
    is_wide = all(pd.api.types.is_numeric_dtype(frame[name].dtype) for name in names)
    columns, steps, labels = (_wide if is_wide else _lists)(frame, choice, names)
    return Input(
        name=choice.name,
        columns=columns,
        prepare=SequencePreparation("sequence", steps, (), standardise),
        tensors=(TensorSpec(tensor_name(choice.name), "float32", ("N", steps, len(labels))),),
        axes=(Axis("time", steps, None), Axis("feature", len(labels), labels)),
    )


def leave_out(name: str) -> str:
    """What to do about a column of an input that is no feature."""
    return f"leave it out of --input {name}"


def tensor_name(name: str) -> str:
    """The tensor of an input: its name, unless one of a bundle's other tensors has it."""
    return f"{name} (input)" if name in TAKEN or name == CAM else name


def named_columns(choice: InputChoice, columns: Iterable[str]) -> tuple[str, ...]:
    """The columns that a choice names, patterns resolved: of several, all features of the first step first.

    Args:
        choice: the input.
        columns: the names of the table's columns.

    Raises:
        ColumnError: there is no such column. UsageError: patterns of different numbers of columns.
    """
    known = list(map(str, columns))
    groups = [_matching(choice, name, known) if name.endswith("*") else [name] for name in choice.columns]
    lengths = {name: len(group) for name, group in zip(choice.columns, groups, strict=True)}
    if len(set(lengths.values())) > 1:
        got = ", ".join(f"{name} {count}" for name, count in lengths.items())
        raise UsageError(f"--input {choice.name}: expected as many columns of each pattern, got {got}")
    names = tuple(name for step in zip(*groups, strict=True) for name in step)
    for name in names:
        if name not in known:
            raise ColumnError(f"--input {choice.name}: {unknown('column', name, known)}")
    return names


def _matching(choice: InputChoice, pattern: str, known: Sequence[str]) -> list[str]:
    """The columns behind a pattern `hr_*`, in the order of the numbers that their names end with."""
    found = {
        int(name[len(pattern) - 1 :]): name
        for name in known
        if name.startswith(pattern[:-1]) and name[len(pattern) - 1 :].isdecimal()
    }
    if not found:
        ending = "expected columns that end with a number"
        raise ColumnError(f"--input {choice.name}: {pattern}: {ending}, got none; known: {listing(known)}")
    return [found[number] for number in sorted(found)]


def _wide(
    frame: pd.DataFrame, choice: InputChoice, names: tuple[str, ...]
) -> tuple[tuple[Column, ...], int, tuple[str, ...]]:
    """Columns of numbers, steps x features, all features of the first step first."""
    patterns = [name for name in choice.columns if name.endswith("*")]
    width = len(patterns) if patterns else _width(choice, len(names))
    if len(names) % width:
        raise UsageError(f"--input {choice.name}: expected {width} columns a step, got {len(names)} columns in all")
    steps = len(names) // width
    _check_steps(choice, steps)
    arrays = feature_arrays(frame, names, NUMBERS_ALONE)
    columns = tuple(
        describe_numbers(name, own, missing=REFUSE, advice=leave_out(choice.name))
        for name, own in zip(names, arrays, strict=True)
    )
    given = [name[:-1].rstrip("_.-[") or name for name in patterns] if patterns else []
    return columns, steps, _labels(choice, width, given)


def _width(choice: InputChoice, columns: int) -> int:
    width, steps = choice.count("features"), choice.count("steps")
    named = choice.settings.get("names")
    if width is None and named is not None:
        width = len(named.split("|"))
    if width is None and steps is not None and columns >= steps and not columns % steps:
        width = columns // steps
    if width is None:
        raise UsageError(
            f"--input {choice.name}: {columns} columns of numbers: expected features=, the columns of a step, or a "
            f"pattern a feature, such as hr_*,pressure_*{long_format(choice)}"
        )
    return width


def _lists(
    frame: pd.DataFrame, choice: InputChoice, names: tuple[str, ...]
) -> tuple[tuple[Column, ...], int, tuple[str, ...]]:
    """A column of lists a feature, or one column of steps of several features."""
    shapes = {name: _list_shape(choice, name, frame[name]) for name in names}
    several = [name for name, (_, width) in shapes.items() if width > 1]
    if several and len(names) > 1:
        raise UsageError(
            f"--input {choice.name}: expected one column of steps, or a column of numbers a feature, got steps of "
            f"several numbers in {listing(several)}, beside other columns"
        )
    steps = {length for length, _ in shapes.values()}
    if len(steps) > 1:
        got = ", ".join(f"{name} {length}" for name, (length, _) in shapes.items())
        raise UsageError(f"--input {choice.name}: expected as many steps in every column, got {got}")
    width = shapes[names[0]][1]
    labels = _labels(choice, max(width, len(names)), names if width == 1 else [])
    columns = []
    for name, (length, own) in shapes.items():
        columns.append(_describe_list(choice, frame[name], length, labels if own > 1 else ()))
    _check_steps(choice, next(iter(steps)))
    return tuple(columns), next(iter(steps)), labels


def _list_shape(choice: InputChoice, name: str, column: pd.Series) -> tuple[int, int]:
    """The steps, and the numbers of a step, of most of a column's lists; of flat ones as the settings say."""
    present = column.dropna()
    if not len(present):
        raise TrainingError(f"column {name!r}: expected values, got only missing ones")
    first: Any = element(present, 0)
    if isinstance(first, str | bytes | Mapping) or not hasattr(first, "__len__"):
        raise ColumnError(
            f"--input {choice.name}: column {name!r}: expected a list of numbers a row, got {column.dtype}"
            + long_format(choice)
        )
    shapes = Counter(_shape(element(present, row)) for row in range(len(present)))
    ((length, inner),) = (most for most, _ in shapes.most_common(1))
    if inner is not None:
        return length, inner
    width = 1 if len(choice.columns) > 1 else _flat_width(choice, length)
    if length % width:
        raise UsageError(f"--input {choice.name}: expected steps of {width} numbers, got lists of {length} in {name!r}")
    return length // width, width


def _shape(value: Any) -> tuple[int, int | None]:
    """The length of a list, and of its first element where that is a list."""
    return len(value), len(value[0]) if len(value) and hasattr(value[0], "__len__") else None


def _flat_width(choice: InputChoice, length: int) -> int:
    steps, named = choice.count("steps"), choice.settings.get("names")
    if width := choice.count("features") or (len(named.split("|")) if named else None):
        return width
    return length // steps if steps and not length % steps else 1


def long_format(choice: InputChoice) -> str:
    """What to do with a table that has a row a step."""
    return f"; {grouping_query(choice.columns, choice.name)}"


def _describe_list(choice: InputChoice, column: pd.Series, steps: int, labels: Sequence[str]) -> Column:
    name, width = str(column.name), max(len(labels), 1)
    if not NAME.holds(name):
        raise TrainingError(f"column {name!r}: expected {NAME.expected}")
    values = _values(name, column, steps, width)
    if np.isnan(values).all():
        wanted = f"expected lists of {steps} x {width} finite numbers, got none"
        raise TrainingError(f"column {name!r}: {wanted}; {leave_out(choice.name)}")
    known = [
        describe_numbers(label, values[..., k].reshape(-1), missing=REFUSE) for k, label in enumerate(labels or [name])
    ]
    return list_column(name, labels, known, float(1 - np.isfinite(values).all(axis=(1, 2)).mean()))


def _values(name: str, column: pd.Series, steps: int, width: int) -> NDArray[np.float64]:
    """A column's numbers [N, steps, width]; NaN in rows whose lists do not fit."""
    blank = Column(name, LIST, None, REFUSE, None, 0.0, None, None, ())
    source = Source(blank, (blank,) * (steps * width), tuple(range(steps * width)), steps)
    try:
        numbers, _ = ListEncoder(source).encode(arrow_or_self(column))
    except OtherTypeError as error:
        raise ColumnError(f"column {name!r}: expected lists of {steps} x {width} numbers, got {error}") from None
    values: NDArray[np.float64] = numbers.astype(np.float64).reshape(-1, steps, width)
    infinite = np.argwhere(np.isinf(values))
    for row, step, _ in infinite:
        raise ColumnError(f"column {name!r}, row {row}, step {step}: expected a finite number, got infinity")
    values[~np.isfinite(values).all(axis=(1, 2))] = np.nan
    return values


def _labels(choice: InputChoice, width: int, given: Sequence[str]) -> tuple[str, ...]:
    """The names of the features of a step."""
    named = choice.settings.get("names")
    if named is not None:
        labels = tuple(label.strip() for label in named.split("|"))
        if len(labels) != width or len(set(labels)) != width:
            raise UsageError(f"--input {choice.name}: names: expected {width} that differ, got {named!r}")
        return labels
    asked = choice.count("features")
    if asked not in (None, width):
        raise UsageError(f"--input {choice.name}: features={asked}: the columns have {width} a step")
    return tuple(given) or tuple(str(k) for k in range(width))


def _check_steps(choice: InputChoice, steps: int) -> None:
    asked = choice.count("steps")
    if asked not in (None, steps):
        raise UsageError(f"--input {choice.name}: steps={asked}: the sample's rows have {steps}")
