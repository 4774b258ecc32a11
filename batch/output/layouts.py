"""Layouts of attributions in a run's output, written and read: columns, a list, inputs, or the strongest alone."""

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
from whyport.batch.output.own_steps import cut_lists, list_lengths, lists_of_steps, read_steps, spread, steps_type
from whyport.batch.settings import AUTO, LIST, TENSOR, WIDE
from whyport.runtime.bundle.codec import build
from whyport.runtime.errors import BundleFormatError, JobError, UsageError, listing


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
    """[N, K], in the method's unit; 0 for a cell that a row lacks."""
    has: NDArray[np.bool_] | None = None
    """[N, K]: whether the row has the cell; None where all rows have as many."""


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
        blocks = [_described(block) for block in self.positions.blocks]
        return names | ({INPUTS_KEY: json.dumps(blocks, ensure_ascii=False)} if blocks else {})

    @abstractmethod
    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        """The columns; `prefix` names the method among several, and `suffix` the class.

        The columns of the attributions come first, then the columns of each further per-feature value in `extras`.
        """

    @abstractmethod
    def arrays(
        self,
        values: NDArray[np.floating[Any]],
        extras: Sequence[NDArray[np.floating[Any]]] = (),
        steps: NDArray[np.int64] | None = None,
    ) -> list[pa.Array]:
        """The arrays of `fields`.

        Args:
            values: the attributions, [N, F].
            extras: the further per-feature values, [N, F] each.
            steps: the rows' numbers of steps in the S inputs of varying length, [N, S]; None without such inputs.
        """

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
        self,
        values: NDArray[np.floating[Any]],
        extras: Sequence[NDArray[np.floating[Any]]] = (),
        steps: NDArray[np.int64] | None = None,
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
        self,
        values: NDArray[np.floating[Any]],
        extras: Sequence[NDArray[np.floating[Any]]] = (),
        steps: NDArray[np.int64] | None = None,
    ) -> list[pa.Array]:
        return [_lists(pa.array(np.ascontiguousarray(m).reshape(-1)), m.shape[1]) for m in (values, *extras)]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        values = self.read_extra(table, prefix, suffix, ATTRIBUTION)
        return StoredAttributions(_every_feature(values), values)

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        return _matrix(table, f"{prefix}{name}{suffix}", len(self.features))


class InputLayout(AttributionLayout):
    """The layout with a column for each sequence, and one for each column of a table.

    A sequence's shares are a tensor, [steps, features]; where rows are of varying length, a list of the row's own
    steps. The column is `attribution`; of several inputs it is `attribution.<input>`, beside `attribution.<column>`.
    """

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        return [
            pa.field(column, self.kind if block is None else self._type(block))
            for name in (ATTRIBUTION, *extras)
            for column, block in self._columns(f"{prefix}{name}{suffix}")
        ]

    def arrays(
        self,
        values: NDArray[np.floating[Any]],
        extras: Sequence[NDArray[np.floating[Any]]] = (),
        steps: NDArray[np.int64] | None = None,
    ) -> list[pa.Array]:
        return [array for matrix in (values, *extras) for array in self._arrays(matrix, steps)]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        values, has = self._read(table, f"{prefix}{ATTRIBUTION}{suffix}")
        return StoredAttributions(_every_feature(values), values, has if self.positions.varying else None)

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        return self._read(table, f"{prefix}{name}{suffix}")[0]

    def _read(self, table: pa.Table, name: str) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """The values [N, F] in the columns of that name, and whether the rows have each."""
        values = np.empty((table.num_rows, len(self.features)))
        has, start = np.ones(values.shape, dtype=np.bool_), 0
        for column, block in self._columns(name):
            own = slice(start, start + (1 if block is None else block.stop - block.start))
            if block is None:
                values[:, start] = table[column].to_numpy()
            elif block.varies:
                values[:, own], has[:, own] = read_steps(table[column], block)
            else:
                values[:, own] = _matrix(table, column, block.stop - block.start)
            start = own.stop
        return values, has

    def _columns(self, name: str) -> list[tuple[str, Block | None]]:
        """The columns in order, each with the sequence whose shares it holds; None for a table's column."""
        blocks, found = self.positions.blocks, list[tuple[str, Block | None]]()
        for block in blocks:
            if block.is_table:
                found += [(f"{name}.{column}", None) for column in self.features[block.start : block.stop]]
            else:
                found.append((name if len(blocks) == 1 else f"{name}.{block.input}", block))
        return found

    def _arrays(self, values: NDArray[np.floating[Any]], steps: NDArray[np.int64] | None) -> Iterator[pa.Array]:
        numbers = iter(() if steps is None else steps.T)
        for block in self.positions.blocks:
            if block.is_table:
                yield from (pa.array(column) for column in np.ascontiguousarray(block.of(values).T))
            elif block.varies:
                yield lists_of_steps(block, block.of(values), next(numbers))
            else:
                yield array_of_rows(self._type(block), block.of(values))

    def _type(self, block: Block) -> pa.DataType:
        if block.varies:
            return steps_type(block, self.kind)
        return pa.fixed_shape_tensor(self.kind, block.shape, dim_names=[axis.name for axis in block.axes])


class StrongestLayout(AttributionLayout):
    """The layout with the K largest shares by magnitude, largest first: two lists, `top_feature` and `top_attribution`.

    Two lists are better than one list of pairs: DuckDB, pandas and polars each unfold both side by side in one call,
    and pandas would make a dictionary of every pair. A row of varying length that has fewer than K cells has shorter
    lists.

    Args:
        positions: the F positions of a row's shares, one a feature.
        count: how many shares to keep; all F where there are fewer.
    """

    def __init__(self, positions: Positions, count: int) -> None:
        super().__init__(positions)
        self._count = min(count, len(self.features))

    def fields(self, prefix: str, suffix: str, extras: Sequence[str] = ()) -> list[pa.Field]:
        kinds = {"top_feature": pa.string()} | {f"top_{name}": self.kind for name in (ATTRIBUTION, *extras)}
        length = -1 if self.positions.varying else self._count
        return [pa.field(f"{prefix}{name}{suffix}", pa.list_(kind, length)) for name, kind in kinds.items()]

    def arrays(
        self,
        values: NDArray[np.floating[Any]],
        extras: Sequence[NDArray[np.floating[Any]]] = (),
        steps: NDArray[np.int64] | None = None,
    ) -> list[pa.Array]:
        if steps is None or not self.positions.varying:
            chosen = strongest(values, self._count)
            return [_lists(array, self._count) for array in self._chosen(chosen, chosen >= 0, (values, *extras))]
        has = self.positions.within(steps)
        chosen = strongest(np.where(has, values, np.nan), self._count)
        counts = np.minimum(has.sum(axis=1), self._count)
        own = np.arange(self._count) < counts[:, None]
        return [cut_lists(array, counts) for array in self._chosen(chosen, own, (values, *extras))]

    def _chosen(
        self, chosen: NDArray[np.int64], own: NDArray[np.bool_], matrices: Sequence[NDArray[Any]]
    ) -> list[pa.Array]:
        """The names and the values of chosen features, row after row, where they are the row's own."""
        names = pa.array(self.features, pa.string()).take(pa.array(chosen[own]))
        return [names, *(pa.array(np.take_along_axis(matrix, chosen, axis=1)[own]) for matrix in matrices)]

    def read(self, table: pa.Table, prefix: str, suffix: str) -> StoredAttributions:
        column = table[f"{prefix}top_feature{suffix}"].combine_chunks()
        places = pc.fill_null(pc.index_in(column.flatten(), pa.array(self.features, pa.string())), -1).to_numpy()
        features = _every_feature(np.empty((table.num_rows, self._count))).copy()
        values = self.read_extra(table, prefix, suffix, ATTRIBUTION)
        if not self.positions.varying:
            features[column.is_valid().to_numpy(zero_copy_only=False)] = places.reshape(-1, self._count)
            return StoredAttributions(features, values)
        has = np.arange(self._count) < list_lengths(column)[:, None]
        features[has] = places
        return StoredAttributions(_with_others(features, has, len(self.features)), values, has)

    def read_extra(self, table: pa.Table, prefix: str, suffix: str, name: str) -> NDArray[np.float64]:
        column = f"{prefix}top_{name}{suffix}"
        if not self.positions.varying:
            return _matrix(table, column, self._count)
        lists = table[column].combine_chunks()
        values, _ = spread(lists.flatten().to_numpy(zero_copy_only=False), list_lengths(lists), self._count)
        values[~lists.is_valid().to_numpy(zero_copy_only=False)] = np.nan
        return values


def chosen_layout(layout: str, positions: Positions) -> str:
    """The layout of a run that asks for `layout`: of "auto", a column for each input of a model with sequences.

    Raises UsageError for tensors of shares that have no axes, and for all but lists where rows are of varying length.
    """
    if positions.varying and layout not in (AUTO, LIST):
        names = listing(block.input for block in positions.varying)
        raise UsageError(
            f"layout: expected {AUTO} or {LIST}, got {layout!r}, which has a fixed number of cells; rows of {names} "
            "are of varying length: give them as lists of their own steps"
        )
    if layout == TENSOR and not positions.blocks:
        raise UsageError(
            f"layout: expected {AUTO}, {WIDE} or {LIST}, got {TENSOR!r}, which is for models with sequences whose "
            "cells are no --players"
        )
    if layout != AUTO:
        return layout
    if positions.varying:
        return LIST
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
    if positions.varying:
        return InputLayout(positions)
    kinds: dict[str, Callable[[Positions], AttributionLayout]] = {
        WIDE: WideLayout,
        LIST: ListLayout,
        TENSOR: InputLayout,
    }
    return kinds[layout](positions)


def positions_of(schema: pa.Schema) -> Positions:
    """The positions of a row's shares, from an explained part's metadata; raises JobError if there are none."""
    metadata = schema.metadata or {}
    try:
        names = tuple(json.loads(metadata[FEATURES_KEY.encode()]))
        described = json.loads(metadata.get(INPUTS_KEY.encode(), b"[]"))
        blocks = tuple(build(Block, {"place": None} | block) for block in described)
    except (KeyError, ValueError, TypeError, BundleFormatError):
        raise JobError(f"expected the features' names under {FEATURES_KEY!r} in a part's metadata, got none") from None
    return Positions(names, blocks)


def _described(block: Block) -> dict[str, Any]:
    """An input as JSON; only one of varying length has the place of its number of steps."""
    described = dataclasses.asdict(block)
    return {key: value for key, value in described.items() if key != "place" or value is not None}


def _with_others(features: NDArray[np.int64], has: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """The features [N, K], those that a row lacks replaced by others of the `count`, so that each is there once."""
    listed = np.zeros((len(features), count + 1), dtype=np.bool_)
    np.put_along_axis(listed, np.where(has, features, count), True, axis=1)
    others = np.argsort(listed[:, :count], axis=1, kind="stable")
    place = np.maximum(np.arange(features.shape[1]) - has.sum(axis=1, keepdims=True), 0)
    return np.where(has, features, np.take_along_axis(others, place, axis=1))


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
