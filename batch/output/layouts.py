"""Layouts of attributions in a run's output, written and read: columns, a list, tensors, or the strongest alone."""

import dataclasses
import json
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.arrow import array_of_rows
from whyport.batch.methods.positions import Block, Positions
from whyport.batch.settings import AUTO, LIST, TENSOR, WIDE
from whyport.runtime.bundle.codec import build
from whyport.runtime.errors import BundleFormatError, JobError, UsageError


def strongest(values: NDArray[np.floating[Any]], count: int) -> NDArray[np.int64]:
    """The places of the `count` largest magnitudes in each row [N, F], largest first, [N, count].

    Equal magnitudes keep their order; NaN comes last. `count` is from 1 to F.
    """
    magnitudes = np.abs(values)
    magnitudes[np.isnan(magnitudes)] = -1
    threshold = -np.partition(-magnitudes, count - 1, axis=1)[:, count - 1 : count]
    above, equal = magnitudes > threshold, magnitudes == threshold
    # A partition picks any of several equal values: take the first ones instead, as many as there is room for.
    room = count - above.sum(axis=1, keepdims=True)
    chosen = np.nonzero(above | (equal & (equal.cumsum(axis=1) <= room)))[1].reshape(-1, count)
    order = np.argsort(-np.take_along_axis(magnitudes, chosen, axis=1), axis=1, kind="stable")
    return np.take_along_axis(chosen, order, axis=1)


ATTRIBUTION = "attribution"

FEATURES_KEY = "whyport.features"
"""The key of a part's metadata with the features' names in order, as a JSON list."""

INPUTS_KEY = "whyport.inputs"
"""The key of a part's metadata with the inputs of a model with sequences: where each one's shares stand, as JSON."""


@dataclass(frozen=True)
class StoredAttributions:
    """The attributions of N rows as a run has written them: K of the F features; NaN in rows that have none."""

    features: NDArray[np.int64]
    """[N, K]: the index of each attribution's feature; -1 for an unknown name."""
    values: NDArray[np.float64]
    """[N, K], in the method's unit."""


class AttributionLayout(ABC):
    """The columns of one method's attributions for one class.

    Args:
        positions: the F positions of a row's shares, one a feature.
    """

    def __init__(self, positions: Positions) -> None:
        self.positions = positions
        self.features = positions.names

    @property
    def kind(self) -> pa.DataType:
        """The type of a share."""
        return pa.float64() if self.positions.are_sums else pa.float32()

    @property
    def metadata(self) -> dict[str, str]:
        """The metadata that makes a file readable without the bundle."""
        names = {FEATURES_KEY: json.dumps(self.features, ensure_ascii=False)}
        blocks = [dataclasses.asdict(block) for block in self.positions.blocks]
        return names | ({INPUTS_KEY: json.dumps(blocks, ensure_ascii=False)} if blocks else {})

    @abstractmethod
    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        """The columns; `prefix` names the method among several, and `suffix` the class.

        The columns of the attributions come first, then the columns of each further per-feature value in `extras`.
        """

    @abstractmethod
    def arrays(
        self, values: NDArray[np.floating[Any]], extras: Sequence[NDArray[np.floating[Any]]] = ()
    ) -> list[pa.Array]:
        """The arrays of `fields` for the attributions and the further per-feature values, [N, F] each."""

    @abstractmethod
    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        """The attributions in the columns `fields`, for rows that are all explained; NaN where they are null."""

    @abstractmethod
    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        """The per-feature values [N, K] of that name, for the features that `read` gives."""


class WideLayout(AttributionLayout):
    """The layout with one column per feature, `attribution.<feature>`."""

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        names = [self._names(prefix, suffix, name) for name in (ATTRIBUTION, *extras)]
        return [pa.field(name, self.kind) for some in names for name in some]

    def arrays(
        self, values: NDArray[np.floating[Any]], extras: Sequence[NDArray[np.floating[Any]]] = ()
    ) -> list[pa.Array]:
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
    """The layout with one column `attribution`, a list with one share per feature: a feature costs only its bytes."""

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        kind = pa.list_(self.kind, len(self.features))
        return [pa.field(f"{prefix}{name}{suffix}", kind) for name in (ATTRIBUTION, *extras)]

    def arrays(
        self, values: NDArray[np.floating[Any]], extras: Sequence[NDArray[np.floating[Any]]] = ()
    ) -> list[pa.Array]:
        return [_lists(pa.array(np.ascontiguousarray(m).reshape(-1)), m.shape[1]) for m in (values, *extras)]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        values = self.read_extra(table, prefix, suffix, ATTRIBUTION)
        return StoredAttributions(_every_feature(values), values)

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        return _matrix(table, f"{prefix}{name}{suffix}", len(self.features))


class TensorLayout(AttributionLayout):
    """The layout with a tensor for each sequence, [steps, features], and a column for each column of a table.

    The tensor is `attribution`; of several inputs it is `attribution.<input>`, beside `attribution.<column>`.
    """

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        return [
            pa.field(column, self.kind if block is None else self._tensor(block))
            for name in (ATTRIBUTION, *extras)
            for column, block in self._columns(f"{prefix}{name}{suffix}")
        ]

    def arrays(
        self, values: NDArray[np.floating[Any]], extras: Sequence[NDArray[np.floating[Any]]] = ()
    ) -> list[pa.Array]:
        return [array for matrix in (values, *extras) for array in self._arrays(matrix)]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        values = self.read_extra(table, prefix, suffix, ATTRIBUTION)
        return StoredAttributions(_every_feature(values), values)

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        columns = [
            table[column].to_numpy().astype(np.float64)[:, None]
            if block is None
            else _matrix(table, column, block.stop - block.start)
            for column, block in self._columns(f"{prefix}{name}{suffix}")
        ]
        return np.concatenate(columns, axis=1)

    def _columns(self, name: str) -> list[tuple[str, Block | None]]:
        """The columns in order, each with the sequence whose tensors it holds; None for a table's column."""
        blocks, found = self.positions.blocks, list[tuple[str, Block | None]]()
        for block in blocks:
            if block.is_table:
                found += [(f"{name}.{column}", None) for column in self.features[block.start : block.stop]]
            else:
                found.append((name if len(blocks) == 1 else f"{name}.{block.input}", block))
        return found

    def _arrays(self, values: NDArray[np.floating[Any]]) -> Iterator[pa.Array]:
        for block in self.positions.blocks:
            if block.is_table:
                yield from (pa.array(column) for column in np.ascontiguousarray(block.of(values).T))
            else:
                yield array_of_rows(self._tensor(block), block.of(values))

    def _tensor(self, block: Block) -> pa.DataType:
        return pa.fixed_shape_tensor(self.kind, block.shape, dim_names=[axis.name for axis in block.axes])


class StrongestLayout(AttributionLayout):
    """The layout with the K largest shares by magnitude, largest first: two lists, `top_feature` and `top_attribution`.

    Two lists are better than one list of pairs: DuckDB, pandas and polars each unfold both side by side in one call,
    and pandas would make a dictionary of every pair.

    Args:
        positions: the F positions of a row's shares, one a feature.
        count: how many shares to keep; all F where there are fewer.
    """

    def __init__(self, positions: Positions, count: int) -> None:
        super().__init__(positions)
        self._count = min(count, len(self.features))

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        kinds = {"top_feature": pa.string()} | {f"top_{name}": self.kind for name in (ATTRIBUTION, *extras)}
        return [pa.field(f"{prefix}{name}{suffix}", pa.list_(kind, self._count)) for name, kind in kinds.items()]

    def arrays(
        self, values: NDArray[np.floating[Any]], extras: Sequence[NDArray[np.floating[Any]]] = ()
    ) -> list[pa.Array]:
        chosen = strongest(values, self._count)
        names = pa.array(self.features, pa.string()).take(pa.array(chosen.reshape(-1)))
        kept = [np.take_along_axis(matrix, chosen, axis=1).reshape(-1) for matrix in (values, *extras)]
        return [_lists(array, self._count) for array in (names, *map(pa.array, kept))]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        column = table[f"{prefix}top_feature{suffix}"]
        names = column.combine_chunks().flatten()
        places = pc.fill_null(pc.index_in(names, pa.array(self.features, pa.string())), -1)
        features = _every_feature(np.empty((table.num_rows, self._count))).copy()
        features[column.is_valid().to_numpy()] = places.to_numpy().reshape(-1, self._count)
        return StoredAttributions(features, self.read_extra(table, prefix, suffix, ATTRIBUTION))

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        return _matrix(table, f"{prefix}top_{name}{suffix}", self._count)


def chosen_layout(layout: str, positions: Positions) -> str:
    """The layout of a run that asks for `layout`: of "auto", tensors for a model with sequences.

    Raises UsageError for tensors of shares that have no axes.
    """
    if layout == TENSOR and not positions.blocks:
        raise UsageError(
            f"layout: expected {AUTO}, {WIDE} or {LIST}, got {TENSOR!r}, which is for models with sequences whose "
            "cells are no --players"
        )
    if layout != AUTO:
        return layout
    return TENSOR if positions.blocks else WIDE


def attribution_layout(layout: str, top_k: int | None, positions: Positions) -> AttributionLayout:
    """The layout of a run.

    Args:
        layout: "wide", "list" or "tensor".
        top_k: how many of a row's attributions are kept, as lists in either layout; None for all of them.
        positions: the positions of a row's shares.
    """
    if top_k is not None:
        return StrongestLayout(positions, top_k)
    kinds: dict[str, Callable[[Positions], AttributionLayout]] = {
        WIDE: WideLayout,
        LIST: ListLayout,
        TENSOR: TensorLayout,
    }
    return kinds[layout](positions)


def positions_of(schema: pa.Schema) -> Positions:
    """The positions of a row's shares, from an explained part's metadata; raises JobError if there are none."""
    metadata = schema.metadata or {}
    try:
        names = tuple(json.loads(metadata[FEATURES_KEY.encode()]))
        blocks = tuple(build(Block, block) for block in json.loads(metadata.get(INPUTS_KEY.encode(), b"[]")))
    except (KeyError, ValueError, TypeError, BundleFormatError):
        raise JobError(f"expected the features' names under {FEATURES_KEY!r} in a part's metadata, got none") from None
    return Positions(names, blocks)


def _every_feature(values: NDArray[Any]) -> NDArray[np.int64]:
    return np.broadcast_to(np.arange(values.shape[1]), values.shape)


def _lists(values: pa.Array, length: int) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(values, length)


def _matrix(table: pa.Table, name: str, width: int) -> NDArray[np.float64]:
    """The lists, or tensors, of a column as [N, width]; NaN where there is none."""
    column = table[name].combine_chunks()
    lists = column.storage if isinstance(column, pa.ExtensionArray) else column
    values = np.full((table.num_rows, width), np.nan)
    # The elements of the lists that are there, one after another.
    elements = lists.flatten().to_numpy(zero_copy_only=False)
    values[lists.is_valid().to_numpy(zero_copy_only=False)] = elements.reshape(-1, width)
    return values
