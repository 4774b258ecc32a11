"""Preprocessing in front of trees, folded into them: they compare the columns themselves then.

A step that rises or falls with its one column moves the thresholds, to the last number in float32; what a category's
code becomes is a table.
"""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.exporter.trees.combine import simplify
from whyport.exporter.trees.forest import in_preorder
from whyport.runtime.bundle.trees import LEAF, NUMBER, Trees
from whyport.runtime.errors import ExportError, listing

GREATEST = float(np.finfo(np.float32).max)
LIMITS = (1e30, 1e20, 1e12, 1e6, 1e3, 0.0)
"""Smaller numbers, where the greatest is too great."""
MISSING_SHARE = 0.15
VARIED_ROWS = 256
"""Rows that one column after the other is varied in."""


@dataclass(frozen=True)
class Encoder:
    """The steps from a row's columns to the cells that trees compare."""

    encode: Callable[[NDArray[np.float32]], NDArray[Any]]
    """Rows [N, F] of numbers and codes to cells [N, P], which the trees compare with float32 thresholds."""
    rows: NDArray[np.float32]
    """Typical rows [M, F]."""
    names: tuple[str, ...]
    """The columns' names, for messages."""
    codes: tuple[int | None, ...] = ()
    """How many codes each column has, None for one of numbers; empty for numbers alone."""
    missing: tuple[bool, ...] = ()
    """Whether each column of numbers may be NaN; empty for none."""

    def cells(self, rows: NDArray[np.float32]) -> NDArray[Any]:
        """The cells [N, P] of rows [N, F]."""
        with np.errstate(all="ignore"):  # the largest numbers overflow
            return np.asarray(self.encode(rows))

    def count(self, column: int) -> int | None:
        """How many codes the column has."""
        return self.codes[column] if self.codes else None

    def may_miss(self, column: int) -> bool:
        """Whether the column may be NaN."""
        return bool(self.missing) and self.missing[column] and self.count(column) is None


def fold(trees: Trees, encoder: Encoder) -> Trees:
    """The same trees over the columns of a row.

    Args:
        trees: over the encoder's cells: `Trees.columns` are positions among them, and none has a table.
        encoder: the steps in front of the trees.

    Raises:
        ExportError: a cell depends on several columns, or neither rises nor falls with its number.
    """
    inner = np.flatnonzero(trees.left != LEAF)
    place = trees.columns[trees.cell[inner]]
    owners = _owners(encoder, np.unique(place))
    left, right = trees.left.copy(), trees.right.copy()
    threshold, missing_left = trees.threshold.copy(), trees.missing_left.copy()
    cell = np.full(len(trees.cell), LEAF, dtype=np.int32)
    columns: list[int] = []
    encoding: list[int] = []
    tables: list[NDArray[np.float32]] = []
    numbers = []
    for used, column in owners.items():
        at = inner[place == used]
        cell[at] = len(columns)
        columns.append(column)
        if encoder.count(column) is None:
            encoding.append(NUMBER)
            numbers.append(_Cell(used, column, at))
            continue
        encoding.append(sum(map(len, tables)))
        table, threshold[at] = _ranks(_by_code(encoder, used, column), trees.threshold[at])
        tables.append(table)
    for part in _fold_numbers(encoder, numbers, trees):
        at = part.nodes
        threshold[at], missing_left[at] = part.threshold, part.missing_left
        if part.falls:
            left[at], right[at] = trees.right[at], trees.left[at]
    folded = dataclasses.replace(
        trees,
        cell=cell,
        threshold=threshold,
        missing_left=missing_left,
        left=left,
        right=right,
        columns=np.array(columns, dtype=np.int32),
        encoding=np.array(encoding, dtype=np.int32),
        tables=np.concatenate([np.zeros(0, dtype=np.float32), *tables]),
    )
    return in_preorder(simplify(folded))


@dataclass(frozen=True)
class _Cell:
    """A cell that is made of one column's number, and the nodes that test it."""

    place: int
    column: int
    nodes: NDArray[np.int64]


@dataclass(frozen=True)
class _Folded:
    nodes: NDArray[np.int64]
    threshold: NDArray[np.float32]
    missing_left: NDArray[np.bool_]
    falls: bool
    """Whether the cell falls while the number rises: the sides are swapped."""


def _owners(encoder: Encoder, used: NDArray[np.int64]) -> dict[int, int]:
    """The column that each used cell depends on; ExportError where it depends on several."""
    rng = np.random.default_rng(0)
    rows = encoder.rows[rng.integers(0, len(encoder.rows), VARIED_ROWS)]
    rows = rows.copy()
    for column in range(rows.shape[1]):
        if encoder.may_miss(column):
            rows[rng.random(len(rows)) < MISSING_SHARE, column] = np.nan
    base = encoder.cells(rows)[:, used]
    depends: list[list[int]] = [[] for _ in used]
    for column in range(rows.shape[1]):
        varied = rows.copy()
        varied[:, column] = _variants(encoder, column, rng)
        cells = encoder.cells(varied)[:, used]
        changed = ((cells != base) & ~(np.isnan(cells) & np.isnan(base))).any(axis=0)
        for j in np.flatnonzero(changed):
            depends[j].append(column)
    for columns in depends:
        if len(columns) > 1:
            names = listing([encoder.names[column] for column in columns])
            raise ExportError(
                f"encoded space: what its trees compare is made of several columns at once ({names}), and a share of "
                f"one alone has no meaning"
            )
    # A cell that nothing changes goes with any column.
    return {int(place): columns[0] if columns else 0 for place, columns in zip(used, depends, strict=True)}


def _variants(encoder: Encoder, column: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """Values of a column that differ from the typical rows' as much as they may."""
    codes = encoder.count(column)
    if codes is not None:
        return rng.integers(0, codes, VARIED_ROWS).astype(np.float32)
    known = encoder.rows[:, column][~np.isnan(encoder.rows[:, column])]
    known = known if len(known) else np.zeros(1, dtype=np.float32)
    values = rng.choice(known, VARIED_ROWS)
    values[::4] = (rng.choice(known, len(values[::4])) * 3).astype(np.float32)
    values[1::8] = [known.min() - 1, known.max() + 1] * (len(values[1::8]) // 2)
    if encoder.may_miss(column):
        values[2::8] = np.nan
    return values


def _by_code(encoder: Encoder, place: int, column: int) -> NDArray[Any]:
    """The cell of each of the column's codes."""
    codes = encoder.count(column) or 0
    rows = np.repeat(_complete(encoder)[None], codes, axis=0)
    rows[:, column] = np.arange(codes)
    return np.asarray(encoder.cells(rows)[:, place])


def _ranks(cells: NDArray[Any], thresholds: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Ranks in place of cells and thresholds, which compare alike and are whole numbers in any precision."""
    sorted_ = np.unique(thresholds)
    table = np.searchsorted(sorted_, cells, side="left").astype(np.float32)
    table[np.isnan(cells)] = np.nan
    return table, np.searchsorted(sorted_, thresholds).astype(np.float32)


def _complete(encoder: Encoder) -> NDArray[np.float32]:
    """A typical row without missing numbers."""
    row = encoder.rows[0].copy()
    for column in np.flatnonzero(np.isnan(row)):
        known = encoder.rows[:, column][~np.isnan(encoder.rows[:, column])]
        row[column] = known[0] if len(known) else 0
    return np.asarray(row)


def _fold_numbers(encoder: Encoder, cells: Sequence[_Cell], trees: Trees) -> list[_Folded]:
    if not cells:
        return []
    bisection = _Bisection(encoder, cells, trees.threshold)
    found = bisection.last_left()
    missing = _missing_cells(encoder, cells)
    folded = []
    for cell, falls, threshold, cell_of_missing in zip(cells, bisection.falls, found, missing, strict=True):
        # What a NaN becomes: another NaN, which goes where it went, or a number.
        imputed = np.full(len(cell.nodes), cell_of_missing) <= trees.threshold[cell.nodes]
        goes_left = trees.missing_left[cell.nodes] if np.isnan(cell_of_missing) else imputed
        folded.append(_Folded(cell.nodes, threshold, goes_left ^ falls, falls))
    return folded


def _missing_cells(encoder: Encoder, cells: Sequence[_Cell]) -> list[Any]:
    """What each cell is where its column is NaN; NaN where it may not be."""
    rows = np.repeat(_complete(encoder)[None], len(cells), axis=0)
    for i, cell in enumerate(cells):
        if encoder.may_miss(cell.column):
            rows[i, cell.column] = np.nan
    encoded = encoder.cells(rows)
    return [
        encoded[i, cell.place] if encoder.may_miss(cell.column) else encoded.dtype.type(np.nan)
        for i, cell in enumerate(cells)
    ]


class _Bisection:
    """The numbers at which cells pass thresholds, all at once: a row holds one candidate of each column.

    Args:
        encoder: the steps.
        cells: whose thresholds are looked for.
        thresholds: of all nodes.
    """

    def __init__(self, encoder: Encoder, cells: Sequence[_Cell], thresholds: NDArray[np.float32]) -> None:
        self._encoder = encoder
        self._cells = cells
        uniques = [np.unique(thresholds[cell.nodes], return_inverse=True) for cell in cells]
        self._wanted = [wanted for wanted, _ in uniques]
        self._inverse = [inverse for _, inverse in uniques]
        # Cells of the same column take turns: each has its own rows.
        self._start, taken = [], [0] * encoder.rows.shape[1]
        for cell, wanted in zip(cells, self._wanted, strict=True):
            self._start.append(taken[cell.column])
            taken[cell.column] += len(wanted)
        self._base = np.repeat(_complete(encoder)[None], max(taken), axis=0)
        self._ends = _ends(encoder, [cell.column for cell in cells])
        self.falls = [self._direction(cell, ends) for cell, ends in zip(cells, self._ends, strict=True)]

    def last_left(self) -> list[NDArray[np.float32]]:
        """For each node of each cell the threshold t' such that `x <= t'` says on which side of it the cell is.

        Where the cell falls, the numbers of the right side come first.
        """
        low, high = (
            [np.full(len(wanted), _order(ends[side])) for wanted, ends in zip(self._wanted, self._ends, strict=True)]
            for side in (0, 1)
        )
        at_low, at_high = self._come_first(low), self._come_first(high)
        while any((h - lo > 1).any() for lo, h in zip(low, high, strict=True)):
            middle = [(lo + h) // 2 for lo, h in zip(low, high, strict=True)]
            first = self._come_first(middle)
            low = [np.where(f, m, lo) for f, m, lo in zip(first, middle, low, strict=True)]
            high = [np.where(f, h, m) for f, m, h in zip(first, middle, high, strict=True)]
        found = []
        for inverse, lo, some, every in zip(self._inverse, low, at_low, at_high, strict=True):
            value = np.where(every, np.float32(np.inf), np.where(some, _number(lo), np.float32(-np.inf)))
            found.append(value.astype(np.float32)[inverse])
        return found

    def _come_first(self, orders: Sequence[NDArray[np.int64]]) -> list[NDArray[np.bool_]]:
        """Whether the numbers of these orders are on the side that the lowest are on."""
        rows = self._base.copy()
        for cell, start, order in zip(self._cells, self._start, orders, strict=True):
            rows[start : start + len(order), cell.column] = _number(order)
        encoded = self._encoder.cells(rows)
        first = []
        for cell, start, order, wanted, falls in zip(
            self._cells, self._start, orders, self._wanted, self.falls, strict=True
        ):
            cells = encoded[start : start + len(order), cell.place]
            goes_left = cells <= wanted
            # Beyond what the step is defined for, as below a logarithm's numbers.
            first.append(np.where(np.isnan(cells), order < _order(self._base[0, cell.column]), goes_left ^ falls))
        return first

    def _direction(self, cell: _Cell, ends: tuple[float, float]) -> bool:
        """Whether the cell falls while the number rises; ExportError where it does both."""
        known = self._encoder.rows[:, cell.column]
        known = np.unique(known[~np.isnan(known)])
        tried = np.concatenate([known, np.nextafter(known, np.float32(np.inf)), [-1, 0, 1, *ends]])
        tried = np.unique(np.clip(tried, *ends).astype(np.float32))
        rows = np.repeat(self._base[:1], len(tried), axis=0)
        rows[:, cell.column] = tried
        encoded = self._encoder.cells(rows)[:, cell.place]
        encoded = encoded[~np.isnan(encoded)]
        rises, falls = (encoded[1:] > encoded[:-1]).any(), (encoded[1:] < encoded[:-1]).any()
        if rises and falls:
            name = self._encoder.names[cell.column]
            raise ExportError(f"column {name!r}: what its trees compare neither rises nor falls with the number")
        return bool(falls)


def _ends(encoder: Encoder, columns: Sequence[int]) -> list[tuple[float, float]]:
    """The lowest and the highest number of each column that the steps take: a power of 1e30 is none."""
    row = _complete(encoder)
    ends = []
    for column in columns:
        known = encoder.rows[:, column][~np.isnan(encoder.rows[:, column])]
        lowest, highest = (float(known.min()), float(known.max())) if len(known) else (0.0, 0.0)
        lows = [low for low in (-GREATEST, *(-limit for limit in LIMITS)) if low < lowest] + [lowest]
        highs = [high for high in (GREATEST, *LIMITS) if high > highest] + [highest]
        ends.append((_first_taken(encoder, row, column, lows), _first_taken(encoder, row, column, highs)))
    return ends


def _first_taken(encoder: Encoder, row: NDArray[np.float32], column: int, numbers: Sequence[float]) -> float:
    """The first of a column's numbers that the steps do not refuse; the last is a typical one."""
    for number in numbers[:-1]:
        tried = row[None].copy()
        tried[0, column] = number
        try:
            encoder.cells(tried)
        except Exception:  # whatever a library raises
            continue
        return float(number)
    return float(numbers[-1])


def _order(number: Any) -> Any:
    """Whole numbers in the order of float32 numbers."""
    bits = np.asarray(number, dtype=np.float32).view(np.int32).astype(np.int64)
    return np.where(bits < 0, -(2**31) - bits, bits)


def _number(order: NDArray[np.int64]) -> NDArray[np.float32]:
    """The float32 numbers of their order."""
    return np.where(order < 0, -(2**31) - order, order).astype(np.int32).view(np.float32)
