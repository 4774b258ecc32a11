"""A bundle that keeps no value of a training row: what shows single values is of a table that anyone may see.

Means, spreads, shares of rows, counts and the names of categories are of the training rows as ever. No row has one of
these for itself alone, unless there is one such row.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.bins import bin_edges, bin_places, just_above
from whyport.runtime.bundle.columns import IMPUTE, LENGTH, SEVERAL, Column, NumberStatistics
from whyport.runtime.bundle.inputs import ImagePreparation, Input, TextPreparation
from whyport.runtime.bundle.lengths import padding
from whyport.runtime.bundle.row import Source, features_of, lengths_of, plain_sources, sources_of

Rows = NDArray[np.float32]


def public_columns(columns: Sequence[Column], public: Rows, training: Rows) -> tuple[Column, ...]:
    """The columns of one table with statistics that show values of the public rows alone.

    Args:
        columns: the columns with the statistics of the training rows.
        public: rows of the public table [M, F].
        training: the training rows [N, F].
    """
    return tuple(_shown(each, public, training) for each in plain_sources(columns))


def public_inputs(inputs: Sequence[Input], public: Rows, training: Rows) -> tuple[Input, ...]:
    """The same of a model's inputs; pictures and texts stay as they are: pixels and tokens are no values of a row."""
    lengths = lengths_of(inputs)
    hidden = [np.where(padding(lengths, rows), np.float32(np.nan), rows) for rows in (public, training)]
    shown = {each.column.name: _shown(each, hidden[0], hidden[1]) for each in sources_of(inputs)}
    return tuple(
        each
        if isinstance(each.prepare, ImagePreparation | TextPreparation)
        else replace(each, columns=tuple(shown[column.name] for column in each.columns))
        for each in inputs
    )


def public_form(
    features: Sequence[Column], inputs: Sequence[Input], public: Rows | None, training: Rows
) -> tuple[tuple[Column, ...], tuple[Input, ...]]:
    """The numbers of a row and the inputs, as they are where there are no public rows."""
    if public is None:
        return tuple(features), tuple(inputs)
    if not inputs:
        return public_columns(features, public, training), ()
    shown = public_inputs(inputs, public, training)
    return features_of(sources_of(shown)), shown


def _shown(source: Source, public: Rows, training: Rows) -> Column:
    """A column with statistics of the public rows, channel by channel where it has several."""
    column = source.column
    if column.channels:
        width = len(column.channels)
        cells = [i for place, i in enumerate(source.places) if source.features[place].kind != LENGTH]
        channels = [
            replace(each, numbers=_numbers(each.numbers, public[:, cells[k::width]], training[:, cells[k::width]]))
            for k, each in enumerate(column.channels)
        ]
        return replace(column, channels=tuple(channels))
    if column.numbers is None:
        return column
    places = list(source.places)
    if column.kind in SEVERAL:
        places = [i for place, i in enumerate(places) if source.features[place].kind != LENGTH]
    numbers = _numbers(column.numbers, public[:, places], training[:, places])
    return replace(
        column, numbers=numbers, imputation=numbers.median if column.missing == IMPUTE else column.imputation
    )


def _numbers(known: NumberStatistics, public: Rows, training: Rows) -> NumberStatistics:
    """The statistics with the order statistics of the public values, and the shares of the training values between."""
    values, learned = (rows[~np.isnan(rows)].astype(np.float64) + 0.0 for rows in (public, training))
    if not len(values):
        values = np.array([known.mean])
    edges = bin_edges(values)
    counts = np.bincount(bin_places(edges, learned), minlength=len(edges) + 1)
    largest = values.max()
    if len(learned) and edges[-1] == largest < learned.max():  # the last bin does not hold this value alone
        largest = just_above(values.max(keepdims=True))[0]
    return replace(
        known,
        minimum=float(values.min()),
        maximum=float(largest),
        median=float(np.median(values)),
        bin_edges=tuple(map(float, edges)),
        bin_fractions=tuple(map(float, counts / max(counts.sum(), 1))),
    )
