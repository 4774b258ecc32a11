"""The rules between the keys of a sidecar's inputs and players."""

import math
from collections import Counter
from collections.abc import Sequence

import numpy as np

from whyport.runtime.bundle.columns import (
    CATEGORY,
    DAYS,
    IMAGE,
    IMPUTE,
    LIST,
    NUMBER,
    TEXT,
    TIME,
    Categories,
    Column,
    NumberStatistics,
)
from whyport.runtime.bundle.constraints import NEWER
from whyport.runtime.bundle.inputs import Axis, ImagePreparation, Input, SequencePreparation, TextPreparation
from whyport.runtime.bundle.score import Players
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import BundleFormatError, listing

ROUNDING = 1e-6
"""The error of a sum of shares that is allowed."""

KINDS = {"table": (NUMBER, TIME, CATEGORY), "sequence": (LIST, NUMBER), "image": (IMAGE,), "text": (TEXT,)}
"""The kinds of column that each kind of preparation takes."""


def check_inputs(inputs: Sequence[Input]) -> None:
    """Raise BundleFormatError for inputs that contradict themselves."""
    check_different("$.inputs", "input names", [each.name for each in inputs])
    for i, each in enumerate(inputs):
        path = f"$.inputs[{i}]"
        check_different(f"{path}.columns", "column names", [column.name for column in each.columns])
        for j, column in enumerate(each.columns):
            _check_column(f"{path}.columns[{j}]", column, each.prepare.kind)
        _check_axes(path, each)
        if each.prepare.kind == "table":
            _check_table(path, each)
        if isinstance(each.prepare, SequencePreparation):
            _check_sequence(path, each, each.prepare)
        if isinstance(each.prepare, TextPreparation):
            _check_text(path, each, each.prepare)
        if isinstance(each.prepare, ImagePreparation):
            _check_image(path, each, each.prepare)
    alone = unmasked_beside_others(inputs)
    if alone is not None:
        raise BundleFormatError(
            f"$.inputs: expected {alone!r} of several buckets to have a mask beside another input of varying length"
        )


def unmasked_beside_others(inputs: Sequence[Input]) -> str | None:
    """The first input of several buckets and no mask that stands beside another of varying length; None for none.

    All inputs of a row are in one bucket: padding that the model is not told of would be taken for steps.
    """
    varying = [each for each in inputs if isinstance(each.prepare, SequencePreparation) and each.prepare.length is None]
    for each in varying if len(varying) > 1 else ():
        assert isinstance(each.prepare, SequencePreparation)
        if len(each.tensors) == 1 and len(each.prepare.buckets) > 1:
            return each.name
    return None


def check_players(players: Players, inputs: Sequence[Input]) -> None:
    """Raise BundleFormatError for players that are not as many as their names, share a cell or leave one out."""
    cells, names = players.cells, players.names
    if cells is not None:
        if names is not None and len(cells) != len(names):
            raise BundleFormatError(
                f"$.players.cells: expected those of {len(names)} players, got those of {len(cells)}"
            )
        positions = sorted(cell for some in cells for cell in some)
        check_different("$.players.cells", "cells", positions)
        if positions != list(range(len(positions))):
            raise BundleFormatError(f"$.players.cells: expected every position from 0 on, got up to {positions[-1]}")
        return
    lengths = [axis.length for each in inputs for axis in each.axes]
    if names is not None and all(isinstance(length, int) for length in lengths):
        count = sum(math.prod(int(axis.length) for axis in each.axes) for each in inputs)
        if len(names) != count:
            raise BundleFormatError(f"$.players.names: expected {count} names, one a cell, got {len(names)}")


def check_type(path: str, spec: TensorSpec, expected: str) -> None:
    """Raise BundleFormatError for a tensor of another type."""
    if spec.dtype != expected:
        raise BundleFormatError(f"{path}: expected {expected}, got {spec.dtype}")


def check_different(path: str, what: str, names: Sequence[object]) -> None:
    """Raise BundleFormatError for names that are there twice."""
    repeated = [str(name) for name, times in Counter(names).items() if times > 1]
    if repeated:
        raise BundleFormatError(f"{path}: expected {what} to differ, got {listing(repeated)} twice")


def _check_table(path: str, table: Input) -> None:
    """The columns of a table fill one tensor, or one each."""
    width = len(table.columns)
    if [axis.length for axis in table.axes] != [width]:
        lengths = listing(str(axis.length) for axis in table.axes)
        raise BundleFormatError(f"{path}.axes: expected one axis of {width}, the columns, got {lengths}")
    shapes = [spec.shape for spec in table.tensors]
    if any(column.categories for column in table.columns):
        if shapes != [("N", 1)] * width:
            got = listing(f"{spec.name} {list(spec.shape)}" for spec in table.tensors)
            raise BundleFormatError(f"{path}.tensors: expected a tensor [N, 1] for each of {width} columns, got {got}")
        for j, (column, spec) in enumerate(zip(table.columns, table.tensors, strict=True)):
            text = column.categories is not None and column.categories.type == "text"
            check_type(f"{path}.tensors[{j}].dtype", spec, "string" if text else "float32")
        return
    if shapes != [("N", width)]:
        got = listing(f"{spec.name} {list(spec.shape)}" for spec in table.tensors)
        raise BundleFormatError(f"{path}.tensors: expected one tensor [N, {width}] fed by the columns, got {got}")
    check_type(f"{path}.tensors[0].dtype", table.tensors[0], "float32")


def _check_sequence(path: str, sequence: Input, prepare: SequencePreparation) -> None:
    """Buckets stand where the length varies, up to the longest row; the types of its tensors are known."""
    if bool(prepare.buckets) == bool(prepare.length):
        raise BundleFormatError(f"{path}.prepare.buckets: expected some where the length varies, and only there")
    steps = sequence.axes[0].length
    if prepare.buckets and isinstance(steps, int) and prepare.buckets[-1] != steps:
        raise BundleFormatError(f"{path}.prepare.buckets: expected the last to be {steps}, got {prepare.buckets[-1]}")
    if prepare.buckets:
        width = sum(max(len(column.channels), 1) for column in sequence.columns)
        if any(column.kind != LIST for column in sequence.columns) or [a.length for a in sequence.axes[1:]] != [width]:
            raise BundleFormatError(f"{path}.columns: expected lists of as many features as the second axis has")
    for j, (spec, expected) in enumerate(zip(sequence.tensors, ("float32", "uint8"), strict=False)):
        check_type(f"{path}.tensors[{j}].dtype", spec, expected)


def _check_image(path: str, image: Input, prepare: ImagePreparation) -> None:
    """One column fills one tensor [N, height, width, channels], of the size that the preparation gives."""
    for key, size in (("resize", prepare.resize), ("crop", prepare.crop)):
        if len(size) not in (0, 2):
            raise BundleFormatError(f"{path}.prepare.{key}: expected height and width, or none, got {size}")
    size = prepare.crop or prepare.resize
    if not size:
        raise BundleFormatError(f"{path}.prepare.resize: expected height and width, as there is no crop, got none")
    if prepare.resize and any(cut > whole for cut, whole in zip(size, prepare.resize, strict=True)):
        raise BundleFormatError(f"{path}.prepare.crop: expected at most {list(prepare.resize)}, got {list(size)}")
    if len(image.columns) != 1:
        raise BundleFormatError(f"{path}.columns: expected one column of pictures, got {len(image.columns)}")
    channels = len(image.columns[0].channels)
    if channels != len(prepare.mode):
        raise BundleFormatError(f"{path}.columns[0].channels: expected {len(prepare.mode)}, got {channels}")
    expected = ("N", *size, channels)
    if [spec.shape for spec in image.tensors] != [expected]:
        got = listing(f"{spec.name} {list(spec.shape)}" for spec in image.tensors)
        raise BundleFormatError(f"{path}.tensors: expected one tensor {list(expected)}, got {got}")
    check_type(f"{path}.tensors[0].dtype", image.tensors[0], "uint8")
    if [axis.length for axis in image.axes] != list(size):
        got = listing(str(axis.length) for axis in image.axes)
        raise BundleFormatError(f"{path}.axes: expected height and width, {list(size)}, got {got}")


def _check_text(path: str, text: Input, prepare: TextPreparation) -> None:
    """One column of texts fills ids and masks of whole numbers, up to the most tokens."""
    if len(text.columns) != 1:
        raise BundleFormatError(f"{path}.columns: expected one column of texts, got {len(text.columns)}")
    if prepare.buckets and prepare.buckets[-1] != prepare.max_length:
        expected = f"expected the last to be {prepare.max_length}, the max_length"
        raise BundleFormatError(f"{path}.prepare.buckets: {expected}, got {prepare.buckets[-1]}")
    for j, spec in enumerate(text.tensors):
        check_type(f"{path}.tensors[{j}].dtype", spec, "int64")


def _check_axes(path: str, each: Input) -> None:
    """An axis has as many labels as places, and is free only where a tensor is."""
    check_different(f"{path}.axes", "axes", [axis.name for axis in each.axes])
    free = {length for spec in each.tensors for length in spec.shape[1:] if isinstance(length, str)}
    for j, axis in enumerate(each.axes):
        if isinstance(axis.length, str) and axis.length not in free:
            got = f"{axis.length!r}; the tensors have {listing(sorted(free)) or 'none'}"
            raise BundleFormatError(f"{path}.axes[{j}].length: expected a free axis of the tensors, got {got}")
        if axis.labels is not None and len(axis.labels) != axis.length:
            raise BundleFormatError(_too_few_labels(f"{path}.axes[{j}].labels", axis, len(axis.labels)))


def _too_few_labels(path: str, axis: Axis, got: int) -> str:
    expected = f"{axis.length} labels" if isinstance(axis.length, int) else "none along a free axis"
    return f"{path}: expected {expected}, got {got}"


def _check_column(path: str, column: Column, prepare: str) -> None:
    if column.kind not in KINDS[prepare]:
        expected = " or ".join(KINDS[prepare])
        got = f"{column.kind!r}: {NEWER}"
        raise BundleFormatError(f"{path}.kind: expected a column of a {prepare}, {expected}, got {got}")
    if (column.kind == CATEGORY) != (column.categories is not None):
        raise BundleFormatError(f"{path}.categories: expected them for a column of categories, and for no other")
    if column.kind in (NUMBER, TIME) and column.numbers is None:
        raise BundleFormatError(f"{path}.numbers: expected the statistics of a column of numbers, got null")
    if column.kind == TIME and column.unit != DAYS:
        raise BundleFormatError(f"{path}.unit: expected {DAYS!r}, got {column.unit!r}")
    if (column.missing == IMPUTE) != (column.imputation is not None):
        raise BundleFormatError(f"{path}.imputation: expected a value where missing ones are imputed, and only there")
    if column.numbers is not None:
        _check_statistics(f"{path}.numbers", column.numbers)
    if column.categories is not None:
        if column.missing == IMPUTE:
            raise BundleFormatError(f"{path}.missing: expected refuse or model for categories, got {column.missing!r}")
        _check_categories(f"{path}.categories", column.categories)


def _check_categories(path: str, categories: Categories) -> None:
    if len(categories.counts) != len(categories.values):
        expected = f"expected one for each of {len(categories.values)} categories"
        raise BundleFormatError(f"{path}.counts: {expected}, got {len(categories.counts)}")
    if categories.type == "text" and "" in categories.values:
        place = categories.values.index("")
        raise BundleFormatError(f"{path}.values[{place}]: expected a text, got an empty one, which is a missing value")
    if categories.type == "boolean" and not set(categories.values) <= {"false", "true"}:
        raise BundleFormatError(f"{path}.values: expected 'false' and 'true', got {listing(categories.values)}")
    if categories.type == "number":
        for i, value in enumerate(categories.values):
            if not _is_number(value):
                raise BundleFormatError(f"{path}.values[{i}]: expected a number of float32, got {value!r}")
        check_different(f"{path}.values", "numbers", [float(np.float32(value)) for value in categories.values])


def _is_number(text: str) -> bool:
    try:
        return abs(float(text)) <= float(np.finfo(np.float32).max)  # false for NaN
    except ValueError:
        return False


def _check_statistics(path: str, numbers: NumberStatistics) -> None:
    if not numbers.minimum <= numbers.median <= numbers.maximum:
        got = f"{numbers.minimum}, {numbers.median}, {numbers.maximum}"
        raise BundleFormatError(f"{path}: expected minimum <= median <= maximum, got {got}")
    edges, fractions = numbers.bin_edges, numbers.bin_fractions
    if len(fractions) != len(edges) + 1:
        raise BundleFormatError(
            f"{path}.bin_fractions: expected one more than the {len(edges)} edges, got {len(fractions)}"
        )
    if abs(math.fsum(fractions) - 1) > ROUNDING:
        raise BundleFormatError(f"{path}.bin_fractions: expected a sum of 1, got {math.fsum(fractions)}")
