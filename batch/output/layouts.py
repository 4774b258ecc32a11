"""How attributions stand in a run's output: a column a feature, one list, or the strongest alone; and the way back."""

import json
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.runtime.errors import JobError


def strongest(values: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Where the `count` values of the largest magnitude stand in each row [N, F], largest first, [N, count].

    Of equal magnitudes the one that stands first comes first; NaN comes last. `count` is from 1 to F.
    """
    magnitudes = np.abs(values)
    magnitudes[np.isnan(magnitudes)] = -1
    threshold = -np.partition(-magnitudes, count - 1, axis=1)[:, count - 1 : count]
    above, equal = magnitudes > threshold, magnitudes == threshold
    # A partition takes any of several equal values: here the first ones fill what those above leave.
    room = count - above.sum(axis=1, keepdims=True)
    chosen = np.nonzero(above | (equal & (equal.cumsum(axis=1) <= room)))[1].reshape(-1, count)
    order = np.argsort(-np.take_along_axis(magnitudes, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


ATTRIBUTION = "attribution"

FEATURES_KEY = "whyport.features"
"""The key of a part's metadata with the features' names in order, as a JSON list."""


@dataclass(frozen=True)
class StoredAttributions:
    """The attributions of N rows as a run has written them, K of F."""

    features: NDArray[np.int64]
    """[N, K]: each one's place among all features; -1 for a name that is none of theirs."""
    values: NDArray[np.float64]
    """[N, K], in the method's unit."""


class AttributionLayout(ABC):
    """The columns of one method's attributions, of one class.

    Args:
        features: the names of the F features, in order.
    """

    def __init__(self, features: Sequence[str]) -> None:
        self.features = tuple(features)

    @property
    def metadata(self) -> dict[str, str]:
        """What a file says so that it can be read without the bundle."""
        return {FEATURES_KEY: json.dumps(self.features, ensure_ascii=False)}

    @abstractmethod
    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        """The columns, where `prefix` names the method among several, and `suffix` the class.

        After those of the attributions come those of every other value that each feature has, by the names `extras`.
        """

    @abstractmethod
    def arrays(self, values: NDArray[np.float32], extras: Sequence[NDArray[np.float32]] = ()) -> list[pa.Array]:
        """The arrays of `fields` for attributions, and what stands beside them, [N, F] each."""

    @abstractmethod
    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        """What `fields` hold of rows that all were explained."""

    @abstractmethod
    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        """The values [N, K] of that name, of the features that `read` gives."""


class WideLayout(AttributionLayout):
    """One column a feature, `attribution.<feature>`."""

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        names = [self._names(prefix, suffix, name) for name in (ATTRIBUTION, *extras)]
        return [pa.field(name, pa.float32()) for some in names for name in some]

    def arrays(self, values: NDArray[np.float32], extras: Sequence[NDArray[np.float32]] = ()) -> list[pa.Array]:
        return [pa.array(column) for matrix in (values, *extras) for column in np.ascontiguousarray(matrix.T)]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        values = self.read_extra(table, prefix, suffix, ATTRIBUTION)
        return StoredAttributions(_every_feature(values), values)

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        columns = [table[column].to_numpy() for column in self._names(prefix, suffix, name)]
        return np.stack(columns, axis=1).astype(np.float64)

    def _names(self, prefix: str, suffix: str, name: str) -> list[str]:
        return [f"{prefix}{name}{suffix}.{feature}" for feature in self.features]


class ListLayout(AttributionLayout):
    """One column `attribution`, a list of a share a feature: thousands of features cost no more than their bytes."""

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        kind = pa.list_(pa.float32(), len(self.features))
        return [pa.field(f"{prefix}{name}{suffix}", kind) for name in (ATTRIBUTION, *extras)]

    def arrays(self, values: NDArray[np.float32], extras: Sequence[NDArray[np.float32]] = ()) -> list[pa.Array]:
        return [_lists(pa.array(np.ascontiguousarray(m).reshape(-1)), m.shape[1]) for m in (values, *extras)]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        values = self.read_extra(table, prefix, suffix, ATTRIBUTION)
        return StoredAttributions(_every_feature(values), values)

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        return _matrix(table, f"{prefix}{name}{suffix}", len(self.features))


class StrongestLayout(AttributionLayout):
    """Two columns of lists, `top_feature` and `top_attribution`: the largest shares by magnitude, largest first.

    Two lists rather than one of pairs: DuckDB, pandas and polars each unfold both side by side in one call, and pandas
    would make a dictionary of every pair.

    Args:
        features: the names of the F features, in order.
        count: how many to keep; all where there are not as many.
    """

    def __init__(self, features: Sequence[str], count: int) -> None:
        super().__init__(features)
        self._count = min(count, len(self.features))

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        kinds = {"top_feature": pa.string()} | {f"top_{name}": pa.float32() for name in (ATTRIBUTION, *extras)}
        return [pa.field(f"{prefix}{name}{suffix}", pa.list_(kind, self._count)) for name, kind in kinds.items()]

    def arrays(self, values: NDArray[np.float32], extras: Sequence[NDArray[np.float32]] = ()) -> list[pa.Array]:
        chosen = strongest(values, self._count)
        names = pa.array(self.features, pa.string()).take(pa.array(chosen.reshape(-1)))
        kept = [np.take_along_axis(matrix, chosen, axis=1).reshape(-1) for matrix in (values, *extras)]
        return [_lists(array, self._count) for array in (names, *map(pa.array, kept))]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        names = _flat(table, f"{prefix}top_feature{suffix}")
        places = pc.fill_null(pc.index_in(names, pa.array(self.features, pa.string())), -1)
        return StoredAttributions(
            places.to_numpy().astype(np.int64).reshape(-1, self._count),
            self.read_extra(table, prefix, suffix, ATTRIBUTION),
        )

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        return _matrix(table, f"{prefix}top_{name}{suffix}", self._count)


def attribution_layout(layout: str, top_k: int | None, features: Sequence[str]) -> AttributionLayout:
    """The layout of a run.

    Args:
        layout: "wide" or "list".
        top_k: how many of a row's attributions are kept, in lists whatever the layout; None for all of them.
        features: the names of the features, in order.
    """
    if top_k is not None:
        return StrongestLayout(features, top_k)
    return {"wide": WideLayout, "list": ListLayout}[layout](features)


def features_of(schema: pa.Schema) -> list[str]:
    """The names of the features, in order, as an explained part's metadata has them; JobError where it has none."""
    try:
        names: list[str] = json.loads((schema.metadata or {})[FEATURES_KEY.encode()])
    except (KeyError, ValueError):
        raise JobError(f"expected the features' names under {FEATURES_KEY!r} in a part's metadata, got none") from None
    return names


def _every_feature(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(values.shape[1]), values.shape)


def _lists(values: pa.Array, length: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(values, length)


def _matrix(table: pa.Table, name: str, width: int) -> NDArray[np.float64]:
    """The lists of a column as [N, width]."""
    values: NDArray[np.float64] = _flat(table, name).to_numpy(zero_copy_only=False).astype(np.float64)
    return values.reshape(-1, width)


def _flat(table: pa.Table, name: str) -> pa.Array:
    """The lists' elements one after another."""
    return table[name].combine_chunks().flatten()
