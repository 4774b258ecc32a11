"""The players of a run's explanations: source columns, or named groups of columns that share one value."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.per import AUTO, unit_names
from whyport.runtime.bundle.constraints import NAME
from whyport.runtime.bundle.row import row_shape, row_size, sources_of, varies
from whyport.runtime.bundle.sidecar import Sidecar
from whyport.runtime.errors import UsageError, listing, unknown
from whyport.runtime.options import as_names

Value = TypeVar("Value", bound=np.generic)

Groups = Mapping[str, Sequence[str]]
"""The columns of each named group."""

Labels = Mapping[str, NDArray[np.int64]]
"""The segment of each pixel of a picture, [H, W], or the word of each token, [T], of one row, by the input's name."""


@dataclass(frozen=True, eq=False)
class PlayerMap:
    """The player of every column and of every cell; every column has one player, and every cell is a column's."""

    names: tuple[str, ...]
    """The names of the G players, in the order of their first columns."""
    of_column: NDArray[np.int64]
    """[F]"""
    of_cell: NDArray[np.int64]
    """[P]"""
    are_grouped: bool
    """Whether a group has more than one of what else has a share alone, or another name."""

    @classmethod
    def of(cls, sidecar: Sidecar, groups: Groups, per: str = AUTO) -> Self:
        """The players of a bundle; a column in no group is a player of its own, or what `per` makes of its cells.

        Args:
            sidecar: the bundle's sidecar.
            groups: the columns of each named group.
            per: what has a share in a picture or a text.

        Raises:
            UsageError: a group has an unknown column, one that another group has too, none, or another column's name;
                or a step of a sequence of varying length is in no group.
        """
        alone = _alone(sidecar, per)
        lengths = {alone[length.place] for length in sidecar.lengths}
        elements = {
            each.column.name: list(dict.fromkeys(alone[i] for i in each.places if alone[i] not in lengths))
            for each in sources_of(sidecar.inputs)
        }
        named = {group: _expanded(members, elements) for group, members in groups.items()}
        check_groups([name for name in dict.fromkeys(alone) if name not in lengths], named)
        group_of = {feature: group for group, members in named.items() for feature in members}
        if groups:
            group_of |= _groups_of_lengths(sidecar, alone, group_of)
        player_of = [group_of.get(name, name) for name in alone]
        names = tuple(dict.fromkeys(player_of))
        place = {name: i for i, name in enumerate(names)}
        of_column = np.array([place[name] for name in player_of], dtype=np.int64)
        return cls(names, of_column, _of_cells(sidecar, of_column), player_of != alone)

    def __len__(self) -> int:
        return len(self.names)

    def without(self, idle: NDArray[np.bool_]) -> "PlayerMap":
        """The players that have a column which is not idle, [F]; the first of them has the others' columns, too.

        Where all columns are idle, one player has them all.
        """
        busy = np.unique(self.of_column[~idle]) if not idle.all() else np.zeros(1, dtype=np.int64)
        if len(busy) == len(self):
            return self
        place = np.zeros(len(self), dtype=np.int64)
        place[busy] = np.arange(len(busy))
        names = tuple(self.names[i] for i in busy)
        return PlayerMap(names, place[self.of_column], place[self.of_cell], self.are_grouped)

    def columns_of(self, chosen: NDArray[Value]) -> NDArray[Value]:
        """The value of each column's player, [..., F], as whether it is chosen, from those of the players, [..., G]."""
        return chosen if _is_identity(self.of_column) else chosen[..., self.of_column]

    def sum_columns(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sums of each player's columns, [..., G], of values [..., F]."""
        return self._by_column(values)

    def sum_cells(self, values: NDArray[Any]) -> NDArray[Any]:
        """The sums of each player's cells, [..., G], of values [..., P]."""
        return self._by_cell(values)

    def of_row(self, sidecar: Sidecar, labels: Labels) -> "PlayerMap":
        """The players of one row, of these: the segments of its pictures, or the words of its texts.

        Args:
            sidecar: the bundle's sidecar.
            labels: the segment of each pixel, or the word of each token, also of those that a shorter bucket lacks.
        """
        of_column, start = self.of_column.copy(), 0
        for each in sidecar.inputs:
            if each.name in labels:
                *places, values = row_shape(each)
                own = labels[each.name].ravel()[: math.prod(places)].repeat(values)
                of_column[start : start + len(own)] = of_column[start] + own
            start += row_size(each)
        there, of_column = np.unique(of_column, return_inverse=True)
        names = tuple(self.names[i] for i in there)
        return PlayerMap(names, of_column, _of_cells(sidecar, of_column), self.are_grouped)

    @cached_property
    def _by_column(self) -> "_Sums":
        return _Sums(self.of_column)

    @cached_property
    def _by_cell(self) -> "_Sums":
        return _Sums(self.of_cell)


class _Sums:
    """Sums over the last axis, by player; the values themselves where every position is its own player.

    Args:
        player: the player of each position; all of the players occur.
    """

    def __init__(self, player: NDArray[np.int64]) -> None:
        self._is_identity = _is_identity(player)
        self._order = np.argsort(player, kind="stable")
        self._starts = np.searchsorted(player[self._order], np.arange(player.max() + 1))

    def __call__(self, values: NDArray[Any]) -> NDArray[Any]:
        if self._is_identity:
            return values
        sums = np.add.reduceat(values[..., self._order], self._starts, axis=-1, dtype=np.float64)
        return sums.astype(values.dtype)


def is_length(sidecar: Sidecar, name: str) -> bool:
    """Whether a feature, or a player, is a row's number of steps, which has no share."""
    return any(sidecar.features[length.place].name == name for length in sidecar.lengths)


def _alone(sidecar: Sidecar, per: str) -> list[str]:
    """The player of each feature [F] that is in no group."""
    names: list[str] = []
    features = sidecar.feature_names
    for each in sidecar.inputs:
        stop = len(names) + row_size(each)
        cells = features[len(names) : stop - varies(each)]
        names += [*unit_names(each, per, cells), *features[stop - varies(each) : stop]]
    return names


def _of_cells(sidecar: Sidecar, of_column: NDArray[np.int64]) -> NDArray[np.int64]:
    """The player of each cell, [P], from that of each column."""
    if sidecar.players.cells is None:
        return of_column
    of_cell = np.empty(sidecar.width, dtype=np.int64)
    for player, cells in zip(of_column, sidecar.cells, strict=True):
        of_cell[list(cells)] = player
    return of_cell


def _groups_of_lengths(sidecar: Sidecar, alone: Sequence[str], group_of: Mapping[str, str]) -> dict[str, str]:
    """The group of each number of steps: its input's first one. A row lacks some cells, so all must be in groups."""
    found = {}
    for length in sidecar.lengths:
        cells = alone[length.cells]
        left_out = list(dict.fromkeys(cell for cell in cells if cell not in group_of))
        if left_out:
            raise UsageError(
                f"players: expected every step of {length.name!r} in a group, as its rows are of varying length, got "
                f"none for {listing(left_out)}"
            )
        found[alone[length.place]] = group_of[cells[0]]
    return found


def as_groups(given: Any) -> dict[str, tuple[str, ...]]:
    """The columns of each group by its name, from any mapping; one text is one column.

    Raises UsageError for something else than names.
    """
    if not isinstance(given, Mapping):
        raise UsageError(f"players: expected a file, or a mapping of names to columns, got {given!r}")
    found = {}
    for name, members in given.items():
        columns = as_names(members) if isinstance(members, Iterable) else members
        if not isinstance(name, str) or not isinstance(columns, tuple) or not all(isinstance(c, str) for c in columns):
            raise UsageError(f"players: expected a name, and names of columns, got {name!r}: {members!r}")
        found[name] = columns
    return found


def groups_within(groups: Groups, sidecar: Sidecar) -> dict[str, tuple[str, ...]]:
    """The groups with the columns and features that a bundle has; one without any is left out."""
    known = {*sidecar.column_names, *sidecar.feature_names}
    kept = {name: tuple(each for each in members if each in known) for name, members in groups.items()}
    return {name: members for name, members in kept.items() if members}


def check_groups(columns: Sequence[str], groups: Groups) -> None:
    """Raise UsageError for groups that do not fit a table with these columns."""
    for name, members in groups.items():
        if not NAME.holds(name):
            raise UsageError(f"players: expected {NAME.expected} for the group of {listing(members)}, got {name!r}")
        if not members:
            raise UsageError(f"players: expected a column of {name!r}, got none")
        for column in members:
            if column not in columns:
                raise UsageError(f"players, {name!r}: {unknown('column', column, columns)}")
        if name in columns and tuple(members) != (name,):
            raise UsageError(
                f"players: {name!r} is a column of the model; expected another name for the group of {listing(members)}"
            )
    repeated = _repeated(column for members in groups.values() for column in members)
    if repeated:
        raise UsageError(f"players: expected every column once, got {listing(repeated)} twice")


def _expanded(members: Sequence[str], elements: Mapping[str, Sequence[str]]) -> list[str]:
    """The features that a group's names stand for: of a column of lists, all its elements."""
    return [feature for name in members for feature in elements.get(name, [name])]


def _repeated(names: Iterable[str]) -> list[str]:
    return [name for name, times in Counter(names).items() if times > 1]


def _is_identity(places: NDArray[np.int64]) -> bool:
    return bool(np.array_equal(places, np.arange(len(places))))
