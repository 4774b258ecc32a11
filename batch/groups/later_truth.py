"""Truth that arrives later, joined to a run's rows by a key: partition by partition, in bounded memory."""

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.groups.keys import are_numbers, key_texts, partitions_of
from whyport.batch.groups.label_files import LabelFiles, number_texts
from whyport.batch.groups.tallies import Tally
from whyport.runtime.errors import DataError, listing
from whyport.runtime.inputs.categories import is_text

ROWS_AT_ONCE = 1 << 20
"""Rows of a partition that are joined in memory, about."""
MOST_PARTITIONS = 128
KEY, GROUP = "key", "group"


@dataclass
class JoinCounts:
    """How the keys of a run and of labels met."""

    matched: int = 0
    rows_without_label: int = 0
    """The scored rows whose key no label has."""
    rows_without_key: int = 0
    labels_without_row: int = 0
    """The labels whose key no scored row has."""
    labels_without_key: int = 0


@dataclass
class _Partitions:
    """Tables on a disk, each row in the partition of its key."""

    folder: Path
    name: str
    count: int
    _writers: dict[int, Any] = field(default_factory=dict)

    def add(self, columns: Mapping[str, pa.Array]) -> int:
        """Write rows by the column `key`; returns how many have none and are left out."""
        table = pa.table(dict(columns))
        has_key = table[KEY].is_valid()
        table = table.filter(has_key)
        keys = table[KEY].combine_chunks()
        places = partitions_of(keys, self.count)
        order = np.argsort(places, kind="stable")
        own, starts, lengths = np.unique(places[order], return_index=True, return_counts=True)
        ordered = table.take(pa.array(order))
        for place, start, length in zip(own.tolist(), starts.tolist(), lengths.tolist(), strict=True):
            if place not in self._writers:
                self._writers[place] = pa.ipc.new_file(self._path(place), table.schema)
            self._writers[place].write_table(ordered.slice(start, length))
        return len(has_key) - int(table.num_rows)

    def close(self) -> None:
        """End the files."""
        for writer in self._writers.values():
            writer.close()

    def read(self, place: int) -> pa.Table | None:
        """The rows of a partition; None where it has none."""
        if place not in self._writers:
            return None
        with pa.OSFile(str(self._path(place))) as file:
            return pa.ipc.open_file(file).read_all()

    def _path(self, place: int) -> Path:
        return self.folder / f"{self.name}-{place}.arrow"


class LaterTruth:
    """Joins labels to the rows of a run, which are told first.

    Args:
        files: the labels.
        key: the key's name, in the run and in the labels.
        columns: the columns with the truth, one for each that the task has; None where there is none.
        kind: the type of the run's keys.
        rows: the number of rows of the run.
        quantities: whether the truth is numbers.
    """

    def __init__(
        self,
        files: LabelFiles,
        key: str,
        columns: Sequence[str | None],
        kind: pa.DataType,
        rows: int,
        *,
        quantities: bool,
    ) -> None:
        self._files, self._key = files, key
        self._all = list(columns)
        self._columns = [name for name in columns if name is not None]
        self._are_whole = are_numbers(kind)
        self._quantities = quantities
        self._scratch = tempfile.TemporaryDirectory(prefix="whyport-labels-")
        count = min(-(-max(rows, files.most_rows, 1) // ROWS_AT_ONCE), MOST_PARTITIONS)
        self._rows = _Partitions(Path(self._scratch.name), "rows", count)
        self._labels = _Partitions(Path(self._scratch.name), "labels", count)
        self.counts = JoinCounts()

    def __enter__(self) -> "LaterTruth":
        return self

    def __exit__(self, *_: object) -> None:
        self._rows.close()
        self._labels.close()
        self._scratch.cleanup()

    def add(self, keys: pa.Array, groups: NDArray[np.int64], outcomes: Mapping[str, NDArray[Any]]) -> None:
        """Remember scored rows [N]: their keys, groups and outcomes."""
        texts = key_texts(keys, self._key, are_whole=self._are_whole)
        columns = {name: pa.array(values) for name, values in outcomes.items()}
        self.counts.rows_without_key += self._rows.add({KEY: texts, GROUP: pa.array(groups), **columns})

    def join(self, tally: Tally) -> None:
        """Count every remembered row with its truth; raises DataError for a key that is there twice on either side."""
        for place, batch in self._files.batches([self._key, *self._columns]):
            texts = key_texts(batch.column(0), self._key, are_whole=self._are_whole)
            truths = {f"truth.{k}": self._truth(batch.column(k + 1), k, place) for k in range(len(self._columns))}
            self.counts.labels_without_key += self._labels.add({KEY: texts, **truths})
        self._rows.close()
        self._labels.close()
        for i in range(self._rows.count):
            self._join(tally, self._rows.read(i), self._labels.read(i))

    def _truth(self, column: pa.Array, k: int, place: str) -> pa.Array:
        """A column of truths in one type over all files."""
        if self._quantities:
            name = self._columns[k]
            return number_texts(column, name, place) if is_text(column.type) else pc.cast(column, pa.float64())
        plain = column.dictionary_decode() if pa.types.is_dictionary(column.type) else column
        if pa.types.is_boolean(plain.type):
            return pa.array([None if each is None else str(each) for each in plain.to_pylist()], pa.large_string())
        return key_texts(plain, self._columns[k], are_whole=False)

    def _join(self, tally: Tally, rows: pa.Table | None, labels: pa.Table | None) -> None:
        if labels is not None:
            _check_once(labels[KEY], f"the labels {self._files.place}", self._key)
        if rows is None:
            self.counts.labels_without_row += 0 if labels is None else labels.num_rows
            return
        _check_once(rows[KEY], "the run", self._key)
        if labels is None:
            self.counts.rows_without_label += rows.num_rows
            return
        places = pc.index_in(rows[KEY], value_set=labels[KEY].combine_chunks()).combine_chunks()
        found = places.is_valid()
        matched = pc.sum(found).as_py() or 0
        self.counts.matched += matched
        self.counts.rows_without_label += rows.num_rows - matched
        self.counts.labels_without_row += labels.num_rows - matched
        if not matched:
            return
        own, theirs = rows.filter(found), labels.take(places.drop_null())
        outcomes = {name: own[name].to_numpy() for name in own.column_names if name not in (KEY, GROUP)}
        truths = [self._of_target(theirs, name) for name in self._all]
        tally.add_truths(own[GROUP].to_numpy(), outcomes, truths)

    def _of_target(self, labels: pa.Table, name: str | None) -> pa.Array:
        if name is None:
            return pa.nulls(labels.num_rows, pa.float64())
        return labels[f"truth.{self._columns.index(name)}"].combine_chunks()


def _check_once(keys: pa.ChunkedArray, where: str, name: str) -> None:
    """Raise DataError naming keys that are there more than once."""
    if pc.count_distinct(keys).as_py() == len(keys):
        return
    counted = keys.value_counts()
    twice = counted.filter(pc.greater(counted.field("counts"), 1))
    raise DataError(
        f"key {name!r}: expected each value once, got {listing(twice.field('values').to_pylist())} more than once, "
        f"in {where}"
    )
