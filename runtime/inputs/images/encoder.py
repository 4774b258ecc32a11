"""A column of pictures, one a row, as the pixels of a model's row."""

import logging
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, final

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.inputs import ImagePreparation
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.images.pictures import UnreadablePictureError, load_pillow, prepared, quiet
from whyport.runtime.inputs.numbers import OtherTypeError
from whyport.runtime.inputs.sources import is_arrow, is_missing, values_of
from whyport.runtime.providers import available_cores

if TYPE_CHECKING:
    import pyarrow as pa

logger = logging.getLogger(__name__)

NOT_PICTURES = "columns that are not an encoded picture, or uint8 pixels, a row"
"""The fault of columns that hold no pictures, in words."""

BYTES = "bytes"
PATH = "path"
"""The fields of a struct that holds a picture."""

HELD = (bytes, bytearray, memoryview, Mapping, list, tuple, np.ndarray)
"""The Python types of a picture."""

NO_ROWS = np.zeros(0, dtype=np.int64)

PRICE = (
    "column %r holds pixels as numbers: Parquet has no uint8, so that they take many times the space of encoded "
    "pictures, and are read a hundred times as slowly"
)


@final
@dataclass(frozen=True)
class ImageEncoder(CellsEncoder):
    """Turns a column of pictures into pixels: in the order y, x, channel, from 0 to 255.

    A picture is encoded bytes, a mapping or struct with its `bytes`, or pixels uint8 of the image's own size.
    """

    rule: ClassVar[str] = NOT_PICTURES

    @property
    def prepare(self) -> ImagePreparation:
        """How a picture becomes pixels."""
        assert self.source.feeds is not None
        assert isinstance(self.source.feeds.prepare, ImagePreparation)
        return self.source.feeds.prepare

    @property
    def shape(self) -> tuple[int, ...]:
        """Height, width and channels."""
        assert self.source.feeds is not None
        return row_shape(self.source.feeds)

    def encode(self, column: Any) -> tuple[NDArray[Any], NDArray[np.int64]]:
        values, are_pixels = self._values(column)
        if are_pixels:
            logger.warning(PRICE, self.source.column.name)
        else:
            load_pillow()  # what is not installed is no fault of a row
        cells = np.empty((len(values), len(self.source.places)), dtype=np.float32)

        def fill(row: int) -> None:
            try:
                cells[row] = self._pixels(values[row]).reshape(-1)
            except UnreadablePictureError:
                cells[row] = np.nan

        with quiet():
            for _ in _in_parallel(fill, len(values)):
                pass
        return cells, NO_ROWS

    def takes(self, kind: "pa.DataType") -> bool:
        return _is_encoded(kind) or self._is_pixels(kind)

    def fault(self, value: Any) -> str:
        try:
            with quiet():
                self._pixels(value)
        except UnreadablePictureError as error:
            return str(error)
        return "expected a picture"

    def _pixels(self, value: Any) -> NDArray[np.uint8]:
        """The pixels [height, width, channels] of one value; raises UnreadablePictureError."""
        value = value.as_py() if hasattr(value, "as_py") else value
        if isinstance(value, Mapping):
            if is_missing(value.get(BYTES)) and not is_missing(value.get(PATH)):
                raise UnreadablePictureError(
                    f"expected the picture's bytes, got the path {value[PATH]!r} alone: a job opens no files that a "
                    "row names"
                )
            value = value.get(BYTES)
        if is_missing(value):
            raise UnreadablePictureError("expected a picture, got null")
        if isinstance(value, bytes | bytearray | memoryview):
            return prepared(value, self.prepare)
        return self._as_pixels(value)

    def _as_pixels(self, value: Any) -> NDArray[np.uint8]:
        """Pixels that are there as numbers; raises UnreadablePictureError for others than the image's."""
        height, width, channels = self.shape
        try:
            is_of_objects = isinstance(value, np.ndarray) and value.dtype.kind == "O"
            array = np.asarray(value.tolist() if is_of_objects else value)
        except ValueError:  # lists of different lengths
            array = np.zeros(0)
        fits = array.shape in (self.shape, (height * width * channels,)) or (
            channels == 1 and array.shape == (height, width)
        )
        if not fits:
            wanted = f"expected pixels {[height, width, channels]}, as the model takes them"
            raise UnreadablePictureError(f"{wanted}, got {list(array.shape)}")
        if array.dtype.kind not in "ui" or array.min() < 0 or array.max() > np.iinfo(np.uint8).max:
            raise UnreadablePictureError("expected pixels of whole numbers from 0 to 255, got others")
        return array.astype(np.uint8).reshape(self.shape)

    def _values(self, column: Any) -> tuple[Any, bool]:
        """The column's values by position, and whether they are pixels; raises OtherTypeError."""
        if is_arrow(column):
            if not self.takes(column.type):
                raise OtherTypeError(str(column.type))
            return column, not _is_encoded(column.type)
        values = values_of(column)
        if values.dtype != object:
            if values.dtype != np.uint8 or values.ndim < 2:
                raise OtherTypeError(f"{values.dtype}, shape {list(values.shape)}")
            return values, False  # in memory they cost nothing
        for value in values:
            if not (is_missing(value) or isinstance(value, HELD)):
                raise OtherTypeError(type(value).__name__)
        return values, False

    def _is_pixels(self, kind: "pa.DataType") -> bool:
        """Whether an Arrow type holds uint8 numbers in lists or tensors."""
        import pyarrow as pa

        from whyport.runtime.inputs.lists import list_type

        shape, leaf = list_type(kind)
        return bool(shape) and pa.types.is_integer(leaf)


def _is_encoded(kind: "pa.DataType") -> bool:
    """Whether an Arrow type holds bytes, alone or in a struct, or nothing at all."""
    from pyarrow import types

    if types.is_struct(kind):
        place = kind.get_field_index(BYTES)
        return place >= 0 and _is_encoded(kind.field(place).type)
    if types.is_dictionary(kind):
        return _is_encoded(kind.value_type)
    tests = (types.is_binary, types.is_large_binary, types.is_binary_view, types.is_fixed_size_binary, types.is_null)
    return any(test(kind) for test in tests)


def _in_parallel(work: Callable[[int], None], rows: int) -> Iterator[None]:
    """Do something for every row, on as many threads as there are cores: decoding is done outside Python's lock."""
    threads = min(available_cores(), rows)
    if threads < 2:
        yield from map(work, range(rows))
        return
    with ThreadPoolExecutor(threads, "whyport-images") as pool:
        yield from pool.map(work, range(rows))
