"""The feature values of some rows, read again from the inputs, and on the way the distribution of all rows' values."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.gather.collect import Columns
from whyport.batch.report.gather.columns import TableColumns
from whyport.batch.report.gather.drift import BinCounts
from whyport.batch.report.gather.known_rows import KnownRows
from whyport.batch.report.gather.step_counts import StepCounts
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.inputs import RunInputs
from whyport.batch.review.kept_rows import kept_batches
from whyport.runtime.bundle.lengths import Length, padding
from whyport.runtime.errors import WhyportError


@dataclass
class FeatureValues:
    """The values of some rows by place, and the inputs that could not be read."""

    names: tuple[str, ...]
    """The F features."""
    lengths: tuple[Length, ...] = ()
    """Where rows of varying length have their number of steps."""
    gone: dict[str, str] = field(default_factory=dict)
    """The inputs that have changed since they were scored, with the reason."""
    _rows: dict[int, NDArray[np.int64]] = field(default_factory=dict)
    _values: dict[int, NDArray[np.float64]] = field(default_factory=dict)

    def put(self, source: int, rows: NDArray[np.int64], values: NDArray[np.float64]) -> None:
        """Store the values of rows of one input, in ascending order."""
        self._rows[source], self._values[source] = rows, values

    def known(self, places: Columns) -> NDArray[np.bool_]:
        """Whether the input of each place could be read, [n]."""
        return np.isin(places["source"], list(self._rows))

    def of(self, places: Columns, names: Sequence[str]) -> NDArray[np.float64]:
        """The values [n, K] of some features at the places' `source` and `row` [n].

        NaN if a value is missing, its row has no such step, or its input is gone; and for a name that is no feature.
        """
        place = {name: j for j, name in enumerate(self.names)}
        if not any(name in place for name in names):
            return np.full((len(places["row"]), len(names)), np.nan)
        rows = self.rows(places)
        rows[padding(self.lengths, rows)] = np.nan
        rows = np.pad(rows, ((0, 0), (0, 1)), constant_values=np.nan)
        return rows[:, [place.get(name, -1) for name in names]]

    def rows(self, places: Columns) -> NDArray[np.float64]:
        """The rows [n, F] as the model takes them; NaN if a value is missing or its input gone."""
        values = np.full((len(places["row"]), len(self.names)), np.nan)
        for source in np.unique(places["source"]):
            chosen = np.flatnonzero(places["source"] == source)
            if int(source) in self._rows:
                known = chosen[np.isin(places["row"][chosen], self._rows[source])]
                values[known] = self._values[source][np.searchsorted(self._rows[source], places["row"][known])]
        return values


def read_values(
    run: FinishedRun,
    columns: TableColumns,
    places: Iterable[Columns],
    counts: BinCounts | None = None,
    known: KnownRows | None = None,
    steps: StepCounts | None = None,
) -> FeatureValues:
    """Read the features of rows again.

    Args:
        run: the run.
        columns: the columns to read.
        places: rows to remember, by `source` and `row`.
        counts: counts the values of every row of every input; without it, only the needed rows are read.
        known: looks at these rows as well.
        steps: counts their numbers of steps.
    """
    wanted: dict[int, list[NDArray[np.int64]]] = {}
    for place in places:
        for source in np.unique(place["source"]):
            wanted.setdefault(int(source), []).append(place["row"][place["source"] == source])
    found = FeatureValues(columns.features, columns.lengths)
    for index in dict.fromkeys(span.index for span in run.parts):
        rows = np.unique(np.concatenate([np.zeros(0, dtype=np.int64), *wanted.get(index, [])]))
        if not len(rows) and counts is None:
            continue
        try:
            found.put(index, rows, _read(run, index, columns, rows, [each for each in (counts, known, steps) if each]))
        except WhyportError as error:
            found.gone[run.inputs[index].source_file] = str(error)
    return found


def _read(
    run: FinishedRun,
    index: int,
    columns: TableColumns,
    rows: NDArray[np.int64],
    counters: Sequence[BinCounts | KnownRows | StepCounts],
) -> NDArray[np.float64]:
    try:
        file = RunInputs(run, ()).open(index)
    except WhyportError:
        if not columns.names or not set(columns.names) <= set(run.settings.keep):
            raise
        return _read_kept(run, index, columns, rows, counters)
    columns = columns.among(file.schema.names)
    if not columns.names:
        return np.full((len(rows), len(columns.features)), np.nan)
    inputs = RunInputs(run, columns.names)
    if not counters:
        return columns.matrix(inputs.rows(file, rows).columns)
    taken = []
    for first, batch in inputs.batches(file):
        matrix = columns.matrix(batch.columns)
        for each in counters:
            each.add(matrix)
        taken.append(matrix[rows[(rows >= first) & (rows < first + len(matrix))] - first])
    return np.concatenate(taken) if taken else np.zeros((0, len(columns.features)))


def _read_kept(
    run: FinishedRun,
    index: int,
    columns: TableColumns,
    rows: NDArray[np.int64],
    counters: Sequence[BinCounts | KnownRows | StepCounts],
) -> NDArray[np.float64]:
    """The same from what the run has kept of an input that is gone."""
    found = np.full((len(rows), len(columns.features)), np.nan)
    for numbers, batch in kept_batches(run, index, columns.names):
        inside = np.isin(numbers, rows)
        if not (counters or inside.any()):
            continue
        matrix = columns.matrix(batch.columns)
        for each in counters:
            each.add(matrix)
        found[np.searchsorted(rows, numbers[inside])] = matrix[inside]
    return found
