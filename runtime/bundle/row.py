"""The flat row of a bundle's inputs: which column of the user's table fills which of its numbers."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from whyport.runtime.bundle.columns import LIST, NUMBER, REFUSE, Column, NumberStatistics
from whyport.runtime.bundle.inputs import Input


@dataclass(frozen=True)
class Source:
    """A column of the user's table, and the features of the flat row that it fills."""

    column: Column
    features: tuple[Column, ...]
    """What it fills, in the order of its own values; a column of one value is its own feature."""
    places: tuple[int, ...]
    """Where these stand in the row."""
    steps: int | None = None
    """The number of steps of a list; null for a column of one value."""


def sources_of(inputs: Sequence[Input]) -> tuple[Source, ...]:
    """The columns of all inputs, in order. The rows of the inputs stand one after the other in the flat row."""
    found: list[Source] = []
    start = 0
    for each in inputs:
        own = list(_sources(each, start))
        found += own
        start += sum(len(source.places) for source in own)
    return tuple(found)


def plain_sources(columns: Sequence[Column]) -> tuple[Source, ...]:
    """The columns of a table, each of one value."""
    return tuple(Source(column, (column,), (i,)) for i, column in enumerate(columns))


def features_of(sources: Iterable[Source]) -> tuple[Column, ...]:
    """The features of the flat row, in order, each described as a column of its own."""
    placed = {place: feature for each in sources for place, feature in zip(each.places, each.features, strict=True)}
    return tuple(placed[place] for place in range(len(placed)))


def row_shape(each: Input) -> tuple[int, ...]:
    """The shape of a row of an input whose axes are all of fixed length."""
    return tuple(int(axis.length) for axis in each.axes)


def _sources(each: Input, start: int) -> Iterator[Source]:
    """The columns of one input, whose row begins at `start`."""
    lists = [column for column in each.columns if column.kind == LIST]
    if not lists:
        yield from (Source(column, (column,), (start + i,)) for i, column in enumerate(each.columns))
        return
    steps, width = row_shape(each)
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
        yield Source(column, tuple(features), tuple(places), steps)
        first += len(channels)


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
