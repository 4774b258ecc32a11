"""Rows of two runs, matched by a kept column: joined part by part, each part small enough for memory."""

import math
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from whyport.batch.compare.figures import ChangedRow, Matched, MatchedExplanation
from whyport.batch.compare.join import Join, KeyedRows
from whyport.batch.compare.keys import key_type, key_values, parts_of
from whyport.batch.compare.part_reader import read_part
from whyport.batch.compare.reading import in_order
from whyport.batch.compare.shares import RunShares, explained_rows
from whyport.batch.compare.sides import RunSide
from whyport.batch.compare.spill import Spill
from whyport.batch.compare.variables import ATTRIBUTIONS, Group, Task
from whyport.batch.output.columns import SOURCE_ROW
from whyport.runtime.errors import UsageError

if TYPE_CHECKING:
    from whyport.batch.compare.engine import CompareSettings
    from whyport.batch.compare.scope import Scope

PART_BYTES = 96 << 20
"""About as much of the rows of both runs is in memory at once."""
OTHER_BYTES = 64
"""About as much a row takes beside its shares."""


@dataclass(frozen=True)
class _Wanted:
    """The columns that are read of the rows of both runs."""

    key: str
    kind: pa.DataType
    groups: tuple[Group, ...]
    features: tuple[str, ...]
    """The features that both runs have."""
    parts: int


def match_rows(first: RunSide, other: RunSide, scope: "Scope", settings: "CompareSettings") -> Matched:
    """The rows of two runs with the same key.

    Raises UsageError where a run has not kept the key, or two of its rows have the same one.
    """
    key = settings.key or ""
    kind = key_type(key, (first, other))
    groups = tuple(group for group in scope.groups if group.kind == ATTRIBUTIONS)
    names = [RunShares.of(side.run).names for side in (first, other)]
    features = tuple(name for name in names[0] if name in set(names[1]))
    width = OTHER_BYTES + 4 * len(features) * len(groups)
    parts = max(1, math.ceil(width * (first.rows + other.rows) / PART_BYTES))
    wanted = _Wanted(key, kind, groups, features, parts)
    join = Join(len(groups), len(features), settings.rows)
    with tempfile.TemporaryDirectory(prefix="whyport-compare-") as scratch:
        spills = [Spill(Path(scratch) / name, parts, _schema(wanted)) for name in ("a", "b")]
        for side, spill in zip((first, other), spills, strict=True):
            read = partial(_keyed, side, wanted)
            tasks = [Task(span.index, span.start, span.stop, span) for span in side.run.parts]
            for table in in_order(read, tasks, settings.threads):
                spill.add(table)
        for part in range(parts):
            tables = [spill.read(part) for spill in spills]
            for side, table in zip((first, other), tables, strict=True):
                _check_unique(side, key, table)
            join.add(*(KeyedRows(table, len(groups), len(features)) for table in tables))
    return _told(join, wanted, (first, other))


def _schema(wanted: _Wanted) -> pa.Schema:
    width = max(len(wanted.groups) * len(wanted.features), 1)
    fields = [("part", pa.int64()), ("key", wanted.kind), ("file", pa.int32()), ("row", pa.int64())]
    fields += [("prediction", pa.large_string()), ("shares", pa.list_(pa.float32(), width))]
    return pa.schema(fields)


def _keyed(side: RunSide, wanted: _Wanted, task: Task) -> pa.Table:
    """The rows of a part with their keys; NaN for the shares of rows that are not explained."""
    shares = RunShares.of(side.run)
    predicted = [column.name for column in side.task.columns][: 1 if side.task.predicts_targets else None]
    explanations = [shares.explanations[group] for group in wanted.groups]
    columns = [wanted.key, SOURCE_ROW, *predicted, *(name for each in explanations for name in shares.columns(each))]
    places = [shares.names.index(name) for name in wanted.features]
    found = []
    for table in read_part(side.run, task.what, list(dict.fromkeys(columns))):
        width = max(len(explanations) * len(places), 1)
        flat = np.full((table.num_rows, width), np.nan, dtype=np.float32)
        values = flat.reshape(table.num_rows, max(len(explanations), 1), width // max(len(explanations), 1))
        for k, each in enumerate(explanations):
            explained, mask = explained_rows(table, each)
            own = shares.read(explained, each)
            rows = slice(None) if mask is None else mask
            values[rows, k] = np.stack([own[place] for place in places], axis=1)
        keys = key_values(table[wanted.key], wanted.kind)
        found.append(
            pa.table(
                [
                    pa.array(parts_of(keys, wanted.parts)),
                    keys,
                    pa.array(np.full(table.num_rows, task.index, dtype=np.int32)),
                    table[SOURCE_ROW].combine_chunks(),
                    _prediction(table, predicted),
                    pa.FixedSizeListArray.from_arrays(pa.array(flat.reshape(-1)), width),
                ],
                schema=_schema(wanted),
            )
        )
    return pa.concat_tables(found) if found else _schema(wanted).empty_table()


def _prediction(table: pa.Table, columns: Sequence[str]) -> pa.Array:
    """The predictions of rows as text."""
    texts = [table[name].combine_chunks().cast(pa.large_string()) for name in columns]
    if len(texts) == 1:
        return texts[0]
    return pa.array([", ".join(map(str, row)) for row in zip(*(t.to_pylist() for t in texts), strict=True)]).cast(
        pa.large_string()
    )


def _check_unique(side: RunSide, key: str, table: pa.Table) -> None:
    rows = KeyedRows(table, 1, 0)
    again = rows.repeated()
    if again is None:
        return
    value, places = again
    files = [f"row {row} of {side.run.inputs[file].source_file}" for file, row in places]
    raise UsageError(
        f"key: expected a column whose every value is in one row, got {value} in {' and '.join(files)}, "
        f"column {key!r} of {side.title}"
    )


def _told(join: Join, wanted: _Wanted, sides: tuple[RunSide, RunSide]) -> Matched:
    def place(k: int, row: Any, i: int) -> tuple[str, int]:
        return sides[k].run.inputs[int(row["file"][i, k])].source_file, int(row["row"][i, k])

    explanations = []
    for g, group in enumerate(wanted.groups):
        found = join.changed(g)
        changed = []
        for i in range(len(found["distance"]) if found else 0):
            one, two = found["shares"][i]
            order = np.argsort(-np.abs(two - one), kind="stable")[:3]
            reasons = tuple((wanted.features[j], float(one[j]), float(two[j])) for j in order)
            changed.append(
                ChangedRow(
                    key=str(found["key"][i]),
                    distance=float(found["distance"][i]),
                    place_before=place(0, found, i),
                    place_after=place(1, found, i),
                    prediction_before=str(found["prediction"][i, 0]),
                    prediction_after=str(found["prediction"][i, 1]),
                    reasons=reasons,
                )
            )
        explanations.append(
            MatchedExplanation(group.method, group.target, join.compared[g], join.mean(g), tuple(changed))
        )
    return Matched(
        key=wanted.key,
        pairs=join.pairs,
        only_before=join.only[0],
        only_after=join.only[1],
        examples_before=tuple(join.examples[0]),
        examples_after=tuple(join.examples[1]),
        without_key=(join.without[0], join.without[1]),
        explanations=tuple(explanations),
    )
