"""The join of two runs' rows by their keys, and the rows whose reasons changed most."""

from functools import cached_property
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.compare.keys import shown_key
from whyport.batch.compare.spill import held_rows
from whyport.batch.report.gather.collect import SmallestKeys

EXAMPLES = 10
"""Keys of one run alone that are named."""
BLOCK = 1 << 13
"""Pairs whose shares are compared at once."""


class KeyedRows:
    """Rows of one run with their keys.

    Args:
        table: the rows, with the columns key, file, row, prediction and shares.
        explanations: the number of explanations.
        features: the number of features of each.
    """

    def __init__(self, table: pa.Table, explanations: int, features: int) -> None:
        self.table = held_rows(table).combine_chunks()
        self.without_key = table.num_rows - self.table.num_rows
        self._shape = (-1, explanations, features)

    @cached_property
    def keys(self) -> pa.Array:
        """The keys, [N]."""
        return self.table["key"].combine_chunks()

    @cached_property
    def shares(self) -> NDArray[np.float32]:
        """The shares, [N, explanations, features]; NaN in rows that are not explained."""
        flat = self.table["shares"].combine_chunks().flatten().to_numpy(zero_copy_only=False)
        explanations, features = self._shape[1:]
        found: NDArray[np.float32] = flat.reshape(self.table.num_rows, explanations, features)
        return found

    def column(self, name: str, rows: NDArray[np.int64]) -> Any:
        """The values of a column in some rows."""
        return self.table[name].take(pa.array(rows)).to_numpy()

    def repeated(self) -> tuple[str, list[tuple[int, int]]] | None:
        """A key that two rows have, and the file and row of both; None where none has."""
        counted = pc.value_counts(self.keys)
        again = np.flatnonzero(counted.field(1).to_numpy() > 1)
        if not len(again):
            return None
        value = counted.field(0)[int(again[0])]
        rows = np.flatnonzero(pc.equal(self.keys, value).to_numpy(zero_copy_only=False))[:2]
        places = zip(self.column("file", rows), self.column("row", rows), strict=True)
        return shown_key(value), [(int(file), int(row)) for file, row in places]


class Join:
    """Joins the parts of two runs, one after the other.

    Args:
        explanations: the number of explanations.
        features: the number of features.
        most: how many changed rows are kept of each explanation.
    """

    def __init__(self, explanations: int, features: int, most: int) -> None:
        self.pairs = 0
        self.only, self.without = [0, 0], [0, 0]
        self.examples: tuple[list[str], list[str]] = ([], [])
        self.compared = [0] * explanations
        """The pairs that both runs have explained."""
        self._sums = [0.0] * explanations
        self._limit = most
        self._most = [SmallestKeys(most) for _ in range(explanations)] if most else []

    def add(self, before: KeyedRows, after: KeyedRows) -> None:
        """Join the rows of a part."""
        places = pc.index_in(after.keys, value_set=before.keys)
        has = places.is_valid().to_numpy(zero_copy_only=False)
        one = pc.drop_null(places).to_numpy().astype(np.int64)
        two = np.flatnonzero(has)
        self.pairs += len(two)
        alone = np.ones(before.table.num_rows, dtype=np.bool_)
        alone[one] = False
        for k, (rows, own) in enumerate(((before, alone), (after, ~has))):
            self.only[k] += int(own.sum())
            self.without[k] += rows.without_key
            missing = EXAMPLES - len(self.examples[k])
            self.examples[k].extend(shown_key(rows.keys[int(i)]) for i in np.flatnonzero(own)[:missing])
        for start in range(0, len(two), BLOCK):
            self._compare(before, after, one[start : start + BLOCK], two[start : start + BLOCK])

    def mean(self, explanation: int) -> float:
        """The mean distance of the pairs; NaN without any."""
        rows = self.compared[explanation]
        return self._sums[explanation] / rows if rows else float("nan")

    def changed(self, explanation: int) -> dict[str, NDArray[Any]]:
        """The pairs of an explanation with the largest distances, the largest first; empty without any."""
        return self._most[explanation].rows() if self._most else {}

    def _compare(self, before: KeyedRows, after: KeyedRows, one: NDArray[np.int64], two: NDArray[np.int64]) -> None:
        if not self.compared:
            return
        shares = np.stack([before.shares[one], after.shares[two]], axis=1).astype(np.float64)
        for g in range(len(self.compared)):
            own = shares[:, :, g]
            distances = np.abs(own[:, 1] - own[:, 0]).sum(axis=1)
            known = np.flatnonzero(np.isfinite(distances))
            self.compared[g] += len(known)
            self._sums[g] += float(distances[known].sum())
            if self._most:
                self._offer(g, (before, one), (after, two), known, distances, own)

    def _offer(
        self,
        explanation: int,
        before: tuple[KeyedRows, NDArray[np.int64]],
        after: tuple[KeyedRows, NDArray[np.int64]],
        known: NDArray[np.int64],
        distances: NDArray[np.float64],
        shares: NDArray[np.float64],
    ) -> None:
        """Offer the pairs of a block with the largest distances."""
        chosen = known[np.argsort(-distances[known], kind="stable")[: self._limit]]
        (rows, one), (others, two) = before, after
        columns = {
            name: np.stack([rows.column(name, one[chosen]), others.column(name, two[chosen])], axis=1)
            for name in ("file", "row", "prediction")
        }
        keys = [shown_key(key) for key in rows.keys.take(pa.array(one[chosen]))]
        columns |= {"key": np.array(keys, dtype=object), "distance": distances[chosen], "shares": shares[chosen]}
        self._most[explanation].offer(-distances[chosen], columns)
