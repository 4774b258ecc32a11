"""The group of each row: a category of a column, or an interval of its numbers or dates."""

from collections.abc import Collection
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.arrow import python_values
from whyport.runtime.errors import UsageError, message_line, unknown
from whyport.runtime.inputs.categories import is_text
from whyport.runtime.inputs.numbers import is_numeric, numeric_array

MOST_GROUPS = 100
MISSING = "(missing)"
"""The group of rows without a value: null, NaN, or an empty text."""

QUARTILES = (0.25, 0.5, 0.75)


@dataclass(frozen=True)
class Grouping:
    """The column that says the groups, and the edges of intervals where there are any."""

    column: str
    edges: tuple[str, ...] = ()

    @classmethod
    def parse(cls, text: str, known: Collection[str]) -> Self:
        """The grouping behind COLUMN or COLUMN:EDGE,EDGE,...; raises UsageError for a column that is not known."""
        if text in known:
            return cls(text)
        for name in sorted(known, key=len, reverse=True):
            if text.startswith(f"{name}:"):
                edges = tuple(edge.strip() for edge in text.removeprefix(f"{name}:").split(","))
                if len(edges) > MOST_GROUPS or not all(edges):
                    raise UsageError(f"by: expected 1 to {MOST_GROUPS} edges, such as {name}:18,30,60, got {text!r}")
                return cls(name, edges)
        raise UsageError(f"by: {unknown('column', text, known)}")

    def __str__(self) -> str:
        return f"{self.column}:{','.join(self.edges)}" if self.edges else self.column


class GroupCodes:
    """Numbers for the groups of a column that comes in batches, in the order in which they are met.

    Args:
        grouping: the column and its edges.
    """

    def __init__(self, grouping: Grouping) -> None:
        self._grouping = grouping
        self._code_of: dict[Any, int] = {}
        self._names: list[str] = []
        self._keys: list[tuple[int, Any]] = []

    @property
    def names(self) -> list[str]:
        """The name of each group, by its code."""
        return self._names

    @property
    def in_order(self) -> list[int]:
        """The codes as a reader expects the groups: numbers and texts ascending, and what is missing last."""
        return sorted(range(len(self._names)), key=self._keys.__getitem__)

    def codes(self, column: pa.Array) -> NDArray[np.int64]:
        """The code of each row's group, [N].

        Raises UsageError for a column that holds no groups, or more than MOST_GROUPS of them.
        """
        array = _plain(column)
        kind = array.type
        is_time = pa.types.is_temporal(kind)
        if not (is_time or is_text(kind) or is_numeric(kind)):
            raise self._refused(f"expected categories, booleans, numbers or dates, got {kind}")
        if self._grouping.edges and not pa.types.is_null(kind):
            return self._of_intervals(array, is_time=is_time)
        if is_numeric(kind) and not pa.types.is_boolean(kind):
            return self._of_numbers(numeric_array(array))
        encoded = array.dictionary_encode()
        values = python_values(encoded.dictionary)
        self._check(len(values), [])
        of_value = np.array([*(self._code(*_named(value)) for value in values), self._missing_of(encoded.null_count)])
        places = pc.fill_null(pc.cast(encoded.indices, pa.int64()), len(values)).to_numpy(zero_copy_only=False)
        codes: NDArray[np.int64] = of_value[places]
        return codes

    def _of_numbers(self, values: NDArray[Any]) -> NDArray[np.int64]:
        found, places = np.unique(values, return_inverse=True)
        self._check(len(found), values)
        is_rounded = found.dtype in (np.float16, np.float32)
        names = [_number(float(value), str(value) if is_rounded else "") for value in found]
        of_value = np.array([self._code(*name) for name in names], dtype=np.int64)
        codes: NDArray[np.int64] = of_value[places]
        return codes

    def _of_intervals(self, array: pa.Array, *, is_time: bool) -> NDArray[np.int64]:
        """The codes of the intervals that begin at the edges."""
        if is_text(array.type) or pa.types.is_boolean(array.type):
            raise self._refused(f"edges are for numbers and dates, got a column of {array.type}")
        values, edges = _times(array, self._edges) if is_time else (numeric_array(array), self._numbers)
        if (np.diff(edges) <= 0).any():
            raise self._refused(f"expected edges that ascend, got {', '.join(self._grouping.edges)}")
        texts = self._grouping.edges
        names = [f"< {texts[0]}", *(f"{a} to < {b}" for a, b in pairwise(texts)), f">= {texts[-1]}"]
        place = np.searchsorted(edges, values, side="right")
        missing = array.is_null().to_numpy(zero_copy_only=False) | np.isnan(values.astype(np.float64))
        place = np.where(missing, len(names), place)
        there = np.bincount(place, minlength=len(names) + 1) > 0
        of_place = np.zeros(len(names) + 1, dtype=np.int64)
        for i in np.flatnonzero(there):
            is_last = i == len(names)
            of_place[i] = self._code(None, (1, 0), MISSING) if is_last else self._code(int(i), (0, int(i)), names[i])
        codes: NDArray[np.int64] = of_place[place]
        return codes

    @property
    def _numbers(self) -> NDArray[np.float64]:
        try:
            return np.array([float(edge) for edge in self._grouping.edges])
        except ValueError:
            raise self._refused(f"expected numbers as edges, got {', '.join(self._grouping.edges)}") from None

    @property
    def _edges(self) -> pa.Array:
        try:
            return pc.cast(pa.array(self._grouping.edges, pa.string()), pa.timestamp("us"))
        except pa.ArrowException:
            raise self._refused(f"expected dates as edges, got {', '.join(self._grouping.edges)}") from None

    def _code(self, value: Any, place: tuple[int, Any], name: str) -> int:
        """The code of a group; a new one where the value is new."""
        if value not in self._code_of:
            self._code_of[value] = len(self._names)
            self._names.append(name)
            self._keys.append(place)
            self._check(len(self._names), [])
        return self._code_of[value]

    def _missing_of(self, count: int) -> int:
        return self._code(None, (1, 0), MISSING) if count else 0

    def _check(self, count: int, values: Any) -> None:
        if count <= MOST_GROUPS:
            return
        advice = "take a column of categories, or keep one with fewer values"
        if len(values):
            edges = np.unique(np.nanquantile(np.asarray(values, dtype=np.float64), QUARTILES))
            text = ",".join(f"{edge:.4g}" for edge in edges)
            advice = f"give edges, such as {self._grouping.column}:{text}, the quartiles of {len(values):,} of its rows"
        raise self._refused(f"expected at most {MOST_GROUPS} groups, got more: {advice}")

    def _refused(self, why: str) -> UsageError:
        return UsageError(f"by: column {self._grouping.column!r}: {why}")


def _plain(column: pa.Array) -> pa.Array:
    """The values in a type that Arrow can compute with."""
    if isinstance(column, pa.ExtensionArray):
        return _plain(column.storage)
    if pa.types.is_dictionary(column.type):
        return _plain(column.dictionary_decode())
    return pc.cast(column, pa.string()) if is_text(column.type) else column


def _named(value: Any) -> tuple[Any, tuple[int, Any], str]:
    """The key, the place in order, and the name of a value that is no number."""
    if value is None or value == "":
        return None, (1, 0), MISSING
    if isinstance(value, bool):
        return value, (0, value), "true" if value else "false"
    text = str(value)
    return text, (0, text), text


def _number(value: float, text: str) -> tuple[Any, tuple[int, Any], str]:
    if value != value:
        return None, (1, 0), MISSING
    return value, (0, value), str(int(value)) if value.is_integer() else text or repr(value)


def _times(array: pa.Array, edges: pa.Array) -> tuple[NDArray[Any], NDArray[Any]]:
    """Times and edges in microseconds; raises UsageError for times of the day, which have no date."""
    try:
        values = pc.cast(pc.cast(array, pa.timestamp("us", getattr(array.type, "tz", None)), safe=False), pa.int64())
    except pa.ArrowException as error:
        raise UsageError(f"by: edges are for numbers and dates: {message_line(error)}") from None
    numbers = pc.fill_null(values, 0).to_numpy(zero_copy_only=False)
    return numbers, pc.cast(edges, pa.int64()).to_numpy(zero_copy_only=False)
