"""The data that a report needs from a run's rows, collected in one pass over its parts and in bounded memory."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.arrow import class_indices
from whyport.batch.output.columns import SOURCE_ROW, ExplanationColumns
from whyport.batch.report.gather.by_feature import sums_by_feature
from whyport.batch.report.gather.drift import BinCounts
from whyport.batch.report.gather.quantities import Quantities
from whyport.batch.review.finished_run import FinishedRun, PartBatch
from whyport.batch.scoring.selection import uniform
from whyport.runtime.task import PREDICTION

Columns = dict[str, NDArray[Any]]


class SmallestKeys:
    """Keeps the rows with the smallest keys; among equal keys, the first rows.

    With a hash of a row's place as its key (`selection.uniform`), the result is a random sample without replacement. It
    is the same whenever the same rows are offered.

    Args:
        limit: how many rows to keep.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._keys: list[NDArray[np.float64]] = []
        self._columns: list[Columns] = []
        self._held = 0
        self._bound = np.inf

    def offer(self, keys: NDArray[np.floating[Any]], columns: Columns) -> None:
        """Offer rows: keys [N], and columns with N values on their first axis."""
        chosen = np.flatnonzero(keys < self._bound)
        if not len(chosen):
            return
        if len(chosen) > self._limit:
            chosen = np.sort(chosen[np.argsort(keys[chosen], kind="stable")[: self._limit]])
        self._keys.append(keys[chosen].astype(np.float64))
        self._columns.append({name: values[chosen] for name, values in columns.items()})
        self._held += len(chosen)
        if self._held > 2 * self._limit:
            self._prune()

    def rows(self) -> Columns:
        """The columns of the kept rows, ordered by key; empty if none was offered."""
        if not self._columns:
            return {}
        self._prune()
        order = np.argsort(self._keys[0], kind="stable")
        return {name: values[order] for name, values in self._columns[0].items()}

    def _prune(self) -> None:
        """Drop rows with too large keys; the others keep their order."""
        keys = np.concatenate(self._keys)
        kept = np.sort(np.argsort(keys, kind="stable")[: self._limit])
        joined = {name: np.concatenate([part[name] for part in self._columns]) for name in self._columns[0]}
        self._keys = [keys[kept]]
        self._columns = [{name: values[kept] for name, values in joined.items()}]
        self._held = len(kept)
        if len(kept) == self._limit:
            self._bound = float(keys[kept].max())


SAMPLE_VALUES = 4_000_000
"""Attributions that are kept, over all rows together."""
SAMPLE_ROWS = 1_000
"""Rows that are kept per class, if there is room."""
LEAST_ROWS = 20

SCORED_ROWS = 1_000
"""Rows that are kept of all scored ones."""

CANDIDATES = 10
"""Rows that are kept per kind, to choose from."""


@dataclass(frozen=True)
class TargetAttributions:
    """One method's attributions of one target: of its predicted rows only, if a run explains the predicted target."""

    method: str
    target: str
    rows: int
    """The number of rows."""
    left_out: int
    """The number of rows left out because an attribution is not finite."""
    mean_magnitude: NDArray[np.float64]
    """[F]: the mean of |attribution| over all the rows."""
    sample: Columns
    """Some of the rows, by place: `source`, `row`, `base_value`, `score` [n], `values` [n, F]."""
    having: NDArray[np.int64] | None = None
    """[F]: how many rows have each cell, of inputs of varying length; None where all have it, or it is not known."""


@dataclass(frozen=True)
class Collected:
    """The result of a pass over the parts."""

    attributions: tuple[TargetAttributions, ...]
    """The attributions by method, then by target."""
    confusion: NDArray[np.int64] | None
    """[K + 1, K]: rows by label and prediction, the last row for labels that name no target; None without labels."""
    candidates: Mapping[str, Columns]
    """The candidate rows by kind, such as "most certain" or "furthest off", in order: `source`, `row`."""
    scored: Columns = field(default_factory=dict)
    """Some of all scored rows, in the random order of their keys: `source`, `row`; empty without any.

    Of quantities also `predicted` and `measured`, [n, K] each."""


def pooled_magnitude(found: Sequence[TargetAttributions]) -> NDArray[np.float64]:
    """The mean of |attribution| over all explanations of some targets, [F]."""
    rows = np.array([each.rows for each in found])
    means: NDArray[np.float64] = rows @ np.stack([each.mean_magnitude for each in found]) / rows.sum()
    return means


def pooled_having(found: Sequence[TargetAttributions]) -> NDArray[np.float64] | None:
    """The share of all explanations of some targets whose row has each cell, [F]; None where that is not known."""
    counts = [each.having for each in found if each.having is not None]
    if len(counts) < len(found):
        return None
    shares: NDArray[np.float64] = np.sum(counts, axis=0) / sum(each.rows for each in found)
    return shares


@dataclass(frozen=True)
class Wanted:
    """The data to collect."""

    label: str | None = None
    """The kept column with the true class."""
    sample_rows: int | None = None
    """Rows to keep per target; None for the default number."""
    halves: Mapping[str, tuple[BinCounts, BinCounts]] = field(default_factory=dict)
    """The counters of attributions in the first and the second half of the rows, by method; of cells, by feature."""
    quantities: Quantities = field(default_factory=Quantities)
    """The predicted quantities, which are counted here; none for a task that predicts targets."""
    with_candidates: bool = True


def sample_rows(features: int, targets: int) -> int:
    """The number of rows kept per target by default."""
    return max(min(SAMPLE_ROWS, SAMPLE_VALUES // max(features * targets, 1)), LEAST_ROWS)


class _Target:
    """One method's attributions of one target, collected batch by batch."""

    def __init__(self, features: int, limit: int) -> None:
        self.rows = 0
        self.left_out = 0
        self.sums = np.zeros(features)
        self.having: NDArray[np.int64] | None = None
        self.sample = SmallestKeys(limit)

    def add(
        self,
        values: NDArray[np.float64],
        keys: NDArray[np.float64],
        columns: Columns,
        has: NDArray[np.bool_] | None = None,
    ) -> None:
        finite = np.isfinite(values).all(axis=1)
        self.left_out += int((~finite).sum())
        if not finite.all():
            values, keys = values[finite], keys[finite]
            columns = {name: column[finite] for name, column in columns.items()}
        self.rows += len(values)
        self.sums += np.abs(values).sum(axis=0)
        if has is not None:
            self.having = has[finite].sum(axis=0) + (0 if self.having is None else self.having)
        self.sample.offer(keys, {**columns, "values": values})


class Collector:
    """Collects data from a run.

    Args:
        run: the run.
        wanted: the data to collect.
    """

    def __init__(self, run: FinishedRun, wanted: Wanted) -> None:
        self._run, self._wanted = run, wanted
        self._task = run.task
        self._targets = list(run.task.targets)
        self._explanations = run.explanations
        self._by_feature = sums_by_feature(run) if self._explanations else None
        features = len(run.layout.features) if self._explanations else 0
        limit = wanted.sample_rows or sample_rows(features, len(self._targets))
        self._found: dict[tuple[str, str], _Target] = defaultdict(lambda: _Target(features, limit))
        shape = (len(self._targets) + 1, len(self._targets))
        self._confusion = None if wanted.label is None else np.zeros(shape, dtype=np.int64)
        kinds = ["most certain", "least certain"] if run.task.probability_columns else []
        kinds += [] if wanted.label is None else ["wrong"]
        kinds += ["largest", "smallest", "furthest off"] if wanted.quantities.each else []
        self._candidates = {kind: SmallestKeys(CANDIDATES) for kind in kinds}
        self._scored = SmallestKeys(SCORED_ROWS)

    def collect(self) -> Collected:
        """Make the pass; raises DataError if a part cannot be read."""
        for batch in self._run.batches(self._columns()):
            self._add(batch)
        attributions = [
            TargetAttributions(
                method,
                name,
                each.rows,
                each.left_out,
                each.sums / max(each.rows, 1),
                _by_place(each.sample.rows()),
                each.having,
            )
            for (method, name), each in sorted(self._found.items(), key=self._place)
            if each.rows
        ]
        candidates = {kind: rows.rows() for kind, rows in self._candidates.items()}
        return Collected(
            attributions=tuple(attributions),
            confusion=self._confusion,
            candidates={kind: rows for kind, rows in candidates.items() if rows},
            scored=self._scored.rows(),
        )

    def _columns(self) -> list[str]:
        names = [SOURCE_ROW, *(column.name for column in self._task.columns)]
        names += [] if self._wanted.label is None else [self._wanted.label]
        names += self._wanted.quantities.columns
        for each in self._explanations:
            explained = [] if each.target is not None else [each.explained_target]
            names += [*explained, each.score, each.base_value, *(field.name for field in self._run.fields(each))]
        return names

    def _add(self, batch: PartBatch) -> None:
        table = batch.table
        rows = table[SOURCE_ROW].to_numpy()
        place = {"source": np.full(len(rows), batch.index), "row": rows}
        is_explained = np.ones(len(rows), dtype=np.bool_)
        if self._explanations:
            is_explained = pc.is_valid(table[self._explanations[0].score]).to_numpy()
        if self._wanted.with_candidates and self._task.probability_columns:
            predicted = _indices(table[PREDICTION], self._targets)
            chances = np.stack([table[name].to_numpy() for name in self._task.probability_columns.values()], axis=1)
            self._choose(table, place, predicted, chances.max(axis=1).astype(np.float64), is_explained)
        quantities = self._wanted.quantities.add(table)
        if quantities:
            self._choose_extremes(place, quantities, is_explained)
        keys = uniform(batch.source_file, rows)
        self._scored.offer(keys, place | quantities)
        if not is_explained.any():
            return
        keys = keys[is_explained]
        place = {name: values[is_explained] for name, values in place.items()}
        explained = table.filter(pa.array(is_explained))
        positions = batch.first + np.flatnonzero(is_explained)
        for each in self._explanations:
            self._explained(each, explained, keys, place, positions)

    def _choose(
        self,
        table: pa.Table,
        place: Columns,
        predicted: NDArray[np.int64],
        certainty: NDArray[np.float64],
        is_explained: NDArray[np.bool_],
    ) -> None:
        """Count the labels, and offer candidate rows; only explained rows, if there are any."""
        columns = {**place, "predicted": predicted}
        if self._confusion is not None and self._wanted.label is not None:
            labels = _indices(table[self._wanted.label], self._targets)
            cells = np.where(labels < 0, len(self._targets), labels) * len(self._targets) + predicted
            self._confusion += np.bincount(cells, minlength=self._confusion.size).reshape(self._confusion.shape)
            wrong = is_explained & (labels >= 0) & (labels != predicted)
            self._candidates["wrong"].offer(np.where(wrong, -certainty, np.inf), columns)
        self._candidates["most certain"].offer(np.where(is_explained, -certainty, np.inf), columns)
        self._candidates["least certain"].offer(np.where(is_explained, certainty, np.inf), columns)

    def _choose_extremes(self, place: Columns, values: Columns, is_explained: NDArray[np.bool_]) -> None:
        """Offer candidate rows by the first measured quantity, or the first; only explained rows, if there are any."""
        each = self._wanted.quantities.each
        first = next((k for k, quantity in enumerate(each) if quantity.measured is not None), 0)
        predicted, measured = values["predicted"][:, first], values["measured"][:, first]
        keys = {"largest": -predicted, "smallest": predicted, "furthest off": -np.abs(measured - predicted)}
        for kind, key in keys.items():
            # A comparison with NaN is false, so that such rows are not taken.
            self._candidates[kind].offer(np.where(is_explained, key, np.inf), place)

    def _explained(
        self,
        each: ExplanationColumns,
        table: pa.Table,
        keys: NDArray[np.float64],
        place: Columns,
        positions: NDArray[np.int64],
    ) -> None:
        stored = self._run.layout.read(table, each.prefix, each.suffix)
        # Of the strongest alone, it is not known which other cells a row of varying length has.
        has = stored.has if self._run.settings.top_k is None else None
        values = np.zeros((table.num_rows, len(self._run.layout.features)))
        # An attribution that --top-k dropped is no larger than the smallest kept one, and stays 0.
        np.put_along_axis(values, stored.features, stored.values, axis=1)
        columns = {
            **place,
            "base_value": self._base_values(table, each),
            "score": table[each.score].to_numpy().astype(np.float64),
        }
        for half, counts in enumerate(self._wanted.halves.get(each.method, ())):
            own = values[(2 * positions >= self._run.report.rows_out) == half]
            counts.add(own if self._by_feature is None else self._by_feature.sums(own))
        if each.target is not None:
            self._found[each.method, each.target].add(values, keys, columns, has)
            return
        targets = _indices(table[each.explained_target], self._targets)
        for k in np.unique(targets):
            chosen = targets == k
            of_target = {name: column[chosen] for name, column in columns.items()}
            own = None if has is None else has[chosen]
            self._found[each.method, self._targets[k]].add(values[chosen], keys[chosen], of_target, own)

    def _base_values(self, table: pa.Table, each: ExplanationColumns) -> NDArray[np.float64]:
        """The base values, [n]; NaN of shares that do not add up from them to the score."""
        values: NDArray[np.float64] = table[each.base_value].to_numpy().astype(np.float64)
        return values if self._run.layout.positions.add_up else np.full_like(values, np.nan)

    def _place(self, item: tuple[tuple[str, str], _Target]) -> tuple[int, int]:
        method, target = item[0]
        return self._run.settings.methods.index(method), self._targets.index(target)


def _indices(column: pa.ChunkedArray, targets: list[str]) -> NDArray[np.int64]:
    return class_indices(column.combine_chunks(), targets)


def _by_place(rows: Columns) -> Columns:
    order = np.lexsort((rows["row"], rows["source"]))
    return {name: values[order] for name, values in rows.items()}
