"""Tables of any kind as the float32 rows that a model takes; refuses what float32 cannot hold."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.inputs import Input
from whyport.runtime.bundle.row import Source, features_of, plain_sources, sources_of
from whyport.runtime.errors import MissingValueError, ValueRangeError
from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.encoders import Encoder, ReadFile, encoder_of, no_files
from whyport.runtime.inputs.encoding import NOT_NUMBERS, ColumnEncoder, Unseen
from whyport.runtime.inputs.numbers import OtherTypeError, number_array
from whyport.runtime.inputs.sources import element, source_columns
from whyport.runtime.inputs.texts.encoder import TextEncoder

T = TypeVar("T")

RESOLUTION = 1e-3
"""The share of a column's training standard deviation that float32 must resolve."""

COMPARED_VALUES = 1 << 11
"""Values of neighbouring rows compared in one call: one call per row would cost more."""


@dataclass(frozen=True)
class EncodedRows:
    """The rows of a table as a model takes them."""

    matrix: NDArray[np.float32]
    """[N, F]: numbers as they are, times as days since 1970-01-01, categories as codes; NaN for a missing number."""
    unseen: Unseen
    """The values that training has not seen."""


@dataclass(frozen=True)
class Columns:
    """The columns of a model's table, in order, with the magnitude from which float32 is too coarse for a feature."""

    names: tuple[str, ...]
    limits: NDArray[np.float32]
    """[F]: float32 is too coarse if |value| >= limit; infinity for a feature that was constant in training."""
    encoders: tuple[Encoder, ...] = ()
    """[C]: what turns each column's values into numbers."""
    sources: tuple[Source, ...] = ()
    """[C]: the features that each column fills; none where each fills its own."""

    @classmethod
    def of(cls, columns: Sequence[Column]) -> Self:
        """The columns of a table, each of one value."""
        return cls._of(plain_sources(columns))

    @classmethod
    def of_inputs(cls, inputs: Sequence[Input], read_file: ReadFile = no_files) -> Self:
        """The columns of a model's inputs, with lists and without.

        Args:
            inputs: the model's inputs.
            read_file: gives the bundle's files, such as the tokenizer of a text.
        """
        return cls._of(sources_of(inputs), read_file)

    @classmethod
    def of_bundle(cls, bundle: Bundle) -> Self:
        """The columns of a bundle's inputs."""
        return cls.of_inputs(bundle.sidecar.inputs, bundle.read_bytes)

    @classmethod
    def _of(cls, sources: tuple[Source, ...], read_file: ReadFile = no_files) -> Self:
        # A code of a category is a small whole number.
        spread = np.array([0.0 if each.categories else each.spread for each in features_of(sources)], dtype=np.float64)
        with np.errstate(divide="ignore"):
            # The spacing of float32 in [2^k, 2^(k+1)) is 2^(k-23): it exceeds s from the power of 2 above s * 2^23 on.
            exponents = np.floor(np.log2(RESOLUTION * spread)) + 24
        limits = np.where(spread > 0, np.exp2(np.clip(exponents, -120, 127)), np.inf).astype(np.float32)
        has_cells = not all(each.is_one_value for each in sources)
        encoders = tuple(encoder_of(each, read_file) for each in sources)
        return cls(tuple(each.column.name for each in sources), limits, encoders, sources if has_cells else ())

    @property
    def width(self) -> int:
        """The number of features of a row, F."""
        return len(self.limits)

    @cached_property
    def column_of(self) -> NDArray[np.int64]:
        """The position of each feature's column, [F]."""
        owners = np.arange(self.width)
        for j, source in enumerate(self.sources):
            owners[_chosen(source.places)] = j
        return owners

    @cached_property
    def by_name(self) -> dict[str, Encoder]:
        """What turns each column's values into numbers, by name."""
        return dict(zip(self.names, self.encoders, strict=True))

    @cached_property
    def _shared_lengths(self) -> dict[int, list[int]]:
        """The columns that hold the steps of one input of varying length, where these are several, by its length."""
        found: dict[int, list[int]] = {}
        for j, source in enumerate(self.sources):
            if source.length is not None:
                found.setdefault(source.length.place, []).append(j)
        return {place: sharing for place, sharing in found.items() if len(sharing) > 1}

    @property
    def texts(self) -> list[str]:
        """The columns of one value that may hold texts."""
        pairs = zip(self.names, self.encoders, strict=True)
        return [name for name, each in pairs if isinstance(each, ColumnEncoder) and not each.is_number]

    @property
    def tokenised(self) -> dict[str, TextEncoder]:
        """What cuts texts into tokens, by the texts' columns."""
        return {name: each for name, each in self.by_name.items() if isinstance(each, TextEncoder)}

    def encode(self, rows: Any) -> EncodedRows:
        """The rows of a table in memory.

        Args:
            rows: an array [N, F] of the columns in order, a mapping from their names to arrays [N], a list of N
                dictionaries, or a pandas-, polars- or Arrow-like frame.

        Raises:
            ColumnError: columns are missing, of another type, or of different lengths. ValueRangeError: as `matrix`.
        """
        rules = {name: encoder.rule for name, encoder in self.by_name.items()}
        encoded = _converted(rows, self.names, lambda name, column: self.by_name[name].encode(column), rules)
        return EncodedRows(self.matrix([numbers for numbers, _ in encoded]), self._unseen(encoded))

    def encode_into(
        self, matrix: NDArray[np.float32], columns: Sequence[Any], first_row: int = 0
    ) -> tuple[Unseen, bool]:
        """Do what `encode` does, into an existing matrix, for columns in order that are known to fit.

        Returns what training has not seen, and whether every value is finite.
        """
        encoded = [encoder.encode(column) for encoder, column in zip(self.encoders, columns, strict=True)]
        is_finite = self.fill(matrix, [numbers for numbers, _ in encoded], first_row)
        return self._unseen(encoded), is_finite

    def check_cells(self, rows: Any, matrix: NDArray[np.float32]) -> None:
        """Raise MissingValueError for the first row [F] of a table in memory whose list, image or text does not fit."""
        pairs = list(zip(self.encoders, self.names, strict=True))
        for own_alone in (True, False):  # a column's own numbers say more than the number of steps of all
            for encoder, name in pairs:
                if not isinstance(encoder, CellsEncoder):
                    continue
                places = _chosen(encoder.source.places)
                if own_alone and encoder.source.length is not None:
                    places = list(encoder.source.places)[:-1]
                bad = np.flatnonzero(~np.isfinite(matrix[:, places]).all(axis=1))
                if len(bad):
                    value = element(source_columns(rows, self.names)[0][name], int(bad[0]))
                    raise MissingValueError(f"column {name!r}, row {bad[0]}: {encoder.fault(value)}")

    def _unseen(self, encoded: Sequence[tuple[Any, NDArray[np.int64]]]) -> Unseen:
        told = zip(self.names, self.encoders, encoded, strict=True)
        return Unseen.of({(encoder.tells, name): rows for name, encoder, (_, rows) in told})

    def matrix(self, columns: Sequence[NDArray[Any]], first_row: int = 0) -> NDArray[np.float32]:
        """[N, F] float32 from one numeric or boolean array [N] per column, of a list [N, values]; rounded to nearest.

        NaN and infinities pass. Raises ValueRangeError naming column and row (counted from `first_row`) for a finite
        value that overflows float32, or whose float32 spacing is coarser than `RESOLUTION` allows.
        """
        matrix = np.empty((len(columns[0]), self.width), dtype=np.float32)
        self.fill(matrix, columns, first_row)
        return matrix

    def fill(self, matrix: NDArray[np.float32], columns: Sequence[NDArray[Any]], first_row: int = 0) -> bool:
        """Do what `matrix` does, into an existing matrix; returns whether every value is finite."""
        with np.errstate(over="ignore"):
            for j, column in enumerate(columns):
                matrix[:, self._places(j)] = column
        for place, sharing in self._shared_lengths.items():
            first, *others = (columns[j][:, -1] for j in sharing)
            matrix[np.any([other != first for other in others], axis=0), place] = np.nan
        return self._check(matrix, columns, first_row)

    def round_into(self, matrix: NDArray[np.float32], rows: NDArray[np.floating[Any]], first_row: int = 0) -> bool:
        """Do what `fill` does, for floating values that already form a matrix [N, F]."""
        with np.errstate(over="ignore"):
            np.copyto(matrix, rows, casting="same_kind")
        return self._check(matrix, rows.T, first_row)

    @np.errstate(invalid="ignore")
    def _check(
        self, matrix: NDArray[np.float32], columns: Sequence[NDArray[Any]] | NDArray[Any], first_row: int
    ) -> bool:
        # Neither NaN nor infinity is below a limit, even an infinite one.
        if (_extremes(np.maximum, matrix) < self.limits).all() and (_extremes(np.minimum, matrix) > -self.limits).all():
            return True
        self._refuse(list(columns), np.abs(matrix) >= self.limits, first_row)
        return bool(np.isfinite(matrix).all())

    def _places(self, j: int) -> int | slice | list[int]:
        """Where a column's numbers stand in a row."""
        if not self.sources:
            return j
        source = self.sources[j]
        return source.places[0] if source.is_one_value else _chosen(source.places)

    @np.errstate(over="ignore")
    def _refuse(self, columns: Sequence[NDArray[Any]], suspects: NDArray[np.bool_], first_row: int) -> None:
        for row, feature in np.argwhere(suspects):
            j = int(self.column_of[feature])
            value, name = columns[j][row], self.names[j]
            if np.ndim(value):
                k = self.sources[j].places.index(int(feature))
                value, name = value[k], self.sources[j].names[k]
            if not np.isfinite(value):
                continue
            place = f"column {name!r}, row {first_row + row}"
            if np.isinf(np.float32(value)):
                raise ValueRangeError(f"{place}: expected a value within float32's range, got {value}")
            is_exact = self.encoders and self.encoders[j].is_time and np.float32(value) == value
            if np.isfinite(self.limits[feature]) and not is_exact:
                spacing = np.spacing(np.float32(abs(value)))
                raise ValueRangeError(
                    f"{place}: float32 is too coarse for {value}: its spacing there is {spacing:g}, more than "
                    f"{RESOLUTION:g} of the feature's training standard deviation; train on the difference from a "
                    f"fixed value instead"
                )


def _chosen(places: Sequence[int]) -> slice | list[int]:
    """Places as NumPy takes them: a slice where they are a range, which copies many times as fast."""
    return slice(places.start, places.stop) if isinstance(places, range) else list(places)


def _extremes(larger: np.ufunc, matrix: NDArray[np.float32]) -> NDArray[np.float32]:
    """The maximum or minimum of each column, [F]; NaN if the column has one, 0 without rows."""
    rows, width = matrix.shape
    together = max(COMPARED_VALUES // width, 1)
    even = rows - rows % together
    rest = matrix[even:]
    if even:
        of_many = larger.reduce(matrix[:even].reshape(-1, together * width))
        rest = np.concatenate([of_many.reshape(together, width), rest])
    extremes: NDArray[np.float32] = larger.reduce(rest) if len(rest) else np.zeros(width, np.float32)
    return extremes


def column_arrays(rows: Any, names: Sequence[str]) -> list[NDArray[Any]]:
    """One numeric or boolean array per name, from a table as `source_columns` takes it.

    Raises ColumnError with every column that is missing or not numeric, or for columns of different lengths.
    """
    return _converted(rows, names, lambda name, column: number_array(column, name), dict.fromkeys(names, NOT_NUMBERS))


def _converted(rows: Any, names: Sequence[str], convert: Callable[[str, Any], T], rules: Mapping[str, str]) -> list[T]:
    """Each named column of a table, converted; raises ColumnError with everything that is wrong with any of them.

    Args:
        rows: the table.
        names: the columns.
        convert: a column's name and the column as it is to something as long; raises OtherTypeError.
        rules: what is wrong with a column of another type, by name.
    """
    sources, faults = source_columns(rows, names)
    converted: dict[str, T] = {}
    wrong: dict[str, str] = {}
    for name, column in sources.items():
        try:
            converted[name] = convert(name, column)
        except OtherTypeError as error:
            wrong[name] = str(error)
    for rule in dict.fromkeys(rules.values()):
        faults.check_types(list(sources), {name: kind for name, kind in wrong.items() if rules[name] == rule}.get, rule)
    faults.refuse("the data")
    lengths = {name: len(sources[name]) for name in names}
    first = lengths[names[0]] if names else 0
    faults.check_types(
        names,
        lambda name: None if lengths[name] == first else f"{lengths[name]} values",
        f"columns that are not of {first} values, as {names[0]!r} is",
    )
    faults.refuse("the data")
    return [converted[name] for name in names]
