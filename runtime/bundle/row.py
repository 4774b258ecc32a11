"""The flat row of a bundle's inputs: which column of the user's table fills which of its numbers."""

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from whyport.runtime.bundle.columns import (
    IMAGE,
    LENGTH,
    LIST,
    NUMBER,
    REFUSE,
    SEVERAL,
    TOKEN,
    Column,
    NumberStatistics,
)
from whyport.runtime.bundle.inputs import ImagePreparation, Input, SequencePreparation, TextPreparation
from whyport.runtime.bundle.lengths import Length
from whyport.runtime.bundle.signature import TensorSpec


@dataclass(frozen=True)
class Source:
    """A column of the user's table, and the features of the flat row that it fills."""

    column: Column
    features: tuple[Column, ...]
    """What it fills, in the order of its own values; a column of one value is its own feature.

    The cells of one channel of an image share one description, and those of one dimension of embeddings."""
    places: Sequence[int]
    """Where these stand in the row; a range where they are many."""
    steps: int | None = None
    """The most steps of a list; null for a column of one value."""
    length: Length | None = None
    """Where the number of steps stands, if it varies: the last of its places, shared by the columns of one input."""
    feeds: Input | None = None
    """The input that it feeds, of an image, a text or the embeddings of one."""

    @property
    def is_one_value(self) -> bool:
        """Whether a value of the column is one number of the row."""
        return self.column.kind not in SEVERAL

    @property
    def names(self) -> tuple[str, ...]:
        """The names of the features, which differ."""
        name, channels = self.column.name, [f".{channel.name}" for channel in self.column.channels]
        if self.feeds is None or isinstance(self.feeds.prepare, TextPreparation):
            return tuple(feature.name for feature in self.features)
        if self.steps is not None:
            cells = (f"{name}[{step}]{channel}" for step in range(self.steps) for channel in channels)
            return (*cells, self.features[-1].name)
        height, width, _ = row_shape(self.feeds)
        return tuple(f"{name}[{y}][{x}]{channel}" for y in range(height) for x in range(width) for channel in channels)


def sources_of(inputs: Sequence[Input]) -> tuple[Source, ...]:
    """The columns of all inputs, in order. The rows of the inputs stand one after the other in the flat row."""
    found: list[Source] = []
    start = 0
    for each in inputs:
        own = list(_sources(each, start))
        found += own
        start += row_size(each)
    return tuple(found)


def lengths_of(inputs: Sequence[Input]) -> tuple[Length, ...]:
    """The numbers of steps in the flat row, one for each input whose rows are of varying length."""
    found: list[Length] = []
    start = 0
    for each in inputs:
        length = _length(each, start)
        found += [] if length is None else [length]
        start += row_size(each)
    return tuple(found)


def plain_sources(columns: Sequence[Column]) -> tuple[Source, ...]:
    """The columns of a table, each of one value."""
    return tuple(Source(column, (column,), (i,)) for i, column in enumerate(columns))


def features_of(sources: Iterable[Source]) -> tuple[Column, ...]:
    """The features of the flat row, in order, each described as a column of its own."""
    placed = {place: feature for each in sources for place, feature in zip(each.places, each.features, strict=True)}
    return tuple(placed[place] for place in range(len(placed)))


def names_of(sources: Iterable[Source]) -> tuple[str, ...]:
    """The names of the features of the flat row, in order."""
    placed = {place: name for each in sources for place, name in zip(each.places, each.names, strict=True)}
    return tuple(placed[place] for place in range(len(placed)))


def row_shape(each: Input) -> tuple[int, ...]:
    """The shape of a row of an input: of varying length, with the most steps; of an image, with its channels last."""
    if isinstance(each.prepare, ImagePreparation):
        return tuple(int(length) for length in each.tensors[0].shape[1:])
    if isinstance(each.prepare, TextPreparation):
        return (each.prepare.max_length,)
    return tuple(int(axis.length) for axis in each.axes)


def row_size(each: Input) -> int:
    """How many numbers of the flat row an input has: its cells, and their number of steps where it varies."""
    return math.prod(row_shape(each)) + varies(each)


def varies(each: Input) -> bool:
    """Whether the rows of an input are of varying length: steps, or tokens of a text."""
    if isinstance(each.prepare, SequencePreparation):
        return each.prepare.length is None
    return isinstance(each.prepare, TextPreparation)


def is_embedded(each: Input) -> bool:
    """Whether an input is the embeddings of a text's tokens."""
    return isinstance(each.prepare, SequencePreparation) and each.axes[0].name == TOKEN


def mask_of(each: Input) -> TensorSpec | None:
    """The tensor that tells which steps of an input of varying length are no padding; None where there is none."""
    return each.tensors[1] if varies(each) and len(each.tensors) > 1 else None


def _length(each: Input, start: int) -> Length | None:
    if not varies(each):
        return None
    assert isinstance(each.prepare, SequencePreparation | TextPreparation)
    steps, *width = row_shape(each)
    size = math.prod(width)
    buckets = each.prepare.buckets or (steps,)
    return Length(each.name, start + steps * size, start, steps, size, buckets, mask_of(each) is not None)


def _sources(each: Input, start: int) -> Iterator[Source]:
    """The columns of one input, whose row begins at `start`."""
    if isinstance(each.prepare, ImagePreparation):
        yield _picture(each, start)
        return
    if isinstance(each.prepare, TextPreparation):
        yield _text(each, each.prepare, start)
        return
    if is_embedded(each):
        yield _embeddings(each, start)
        return
    lists = [column for column in each.columns if column.kind == LIST]
    if not lists:
        yield from (Source(column, (column,), (start + i,)) for i, column in enumerate(each.columns))
        return
    steps, width = row_shape(each)
    length = _length(each, start)
    first = 0
    for column in lists:
        channels = [(f".{channel.name}", channel.numbers) for channel in column.channels]
        channels = channels or [("", column.statistics)]
        features = [
            _element(column, f"{column.name}[{step}]{name}", numbers)
            for step in range(steps)
            for name, numbers in channels
        ]
        places = [start + step * width + first + k for step in range(steps) for k in range(len(channels))]
        if length is not None:
            features.append(_steps(each.name))
            places.append(length.place)
        yield Source(column, tuple(features), tuple(places), steps, length)
        first += len(channels)


def _picture(each: Input, start: int) -> Source:
    """The one column of an image, whose cells are in the order y, x, channel."""
    (column,) = each.columns
    height, width, _ = row_shape(each)
    of_channels = tuple(
        replace(_element(column, f"{column.name}.{channel.name}", channel.numbers), kind=IMAGE)
        for channel in column.channels
    )
    return Source(column, of_channels * (height * width), range(start, start + row_size(each)), feeds=each)


def _text(each: Input, prepare: TextPreparation, start: int) -> Source:
    """A column of texts, with an id a token and their number."""
    (column,), count = each.columns, prepare.max_length
    features = tuple(_unspread(f"{column.name}[{token}]", TOKEN) for token in range(count))
    places = range(start, start + count + 1)
    return Source(column, (*features, _steps(each.name)), places, count, _length(each, start), each)


def _embeddings(each: Input, start: int) -> Source:
    """A text's column, whose cells are in the order token, dimension, and their number of tokens."""
    (column,), (tokens, _) = each.columns, row_shape(each)
    own = [_element(column, f"{column.name}.{channel.name}", channel.numbers) for channel in column.channels]
    places = range(start, start + row_size(each))
    return Source(column, (*own * tokens, _steps(each.name)), places, tokens, _length(each, start), each)


def _steps(name: str) -> Column:
    """The number of steps as a feature."""
    return _unspread(f"{name}[{LENGTH}]", LENGTH)


def _unspread(name: str, kind: str) -> Column:
    """A number that is no quantity as a feature: no method changes it, so it has no spread."""
    none = NumberStatistics(0.0, 0.0, 0.0, 0.0, 0.0, (), (1.0,))
    return Column(name, kind, None, REFUSE, None, 0.0, none, None, ())


def _element(column: Column, name: str, numbers: NumberStatistics) -> Column:
    return Column(
        name=name,
        kind=NUMBER,
        unit=column.unit,
        missing=REFUSE,
        imputation=None,
        missing_fraction=0.0,
        numbers=numbers,
        categories=None,
        channels=(),
    )
