"""The values of a table that are found in a folder's files, in whatever form: as text, as numbers, or as bytes."""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

NUMBER = re.compile(rb"-?\d+\.\d+(?:e-?\d+)?")


def values_found(folder: Path, values: Iterable[float]) -> dict[str, set[float]]:
    """The values that are in each file: as decimals, as numbers of tables and archives, and as bytes at any place.

    Args:
        folder: the folder.
        values: the values to look for, none of which is whole or zero.
    """
    wanted = np.array([*values], dtype=np.float64)
    found = {}
    for path in sorted(folder.rglob("*")):
        own = {value for content in _contents(path) for value in _in(content, wanted)} if path.is_file() else set()
        if own:
            found[path.relative_to(folder).as_posix()] = own
    return found


def _contents(path: Path) -> Iterator[bytes]:
    """A file's bytes, with what is packed in it unpacked."""
    content = path.read_bytes()
    yield content
    if zipfile.is_zipfile(io.BytesIO(content)):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from map(archive.read, archive.namelist())
    if path.suffix == ".parquet":
        for column in pq.read_table(path).columns:
            values = column.combine_chunks()
            while not pa.types.is_primitive(values.type) and hasattr(values, "flatten"):
                values = values.flatten()
            if pa.types.is_floating(values.type):
                yield np.ascontiguousarray(values.to_numpy(zero_copy_only=False)).tobytes()


def _in(content: bytes, wanted: np.ndarray) -> Iterator[float]:
    told = {float(np.float32(float(text))) for text in NUMBER.findall(content)}
    for value in wanted.tolist():
        single = np.float32(value)
        if (
            float(single) in told
            or single.tobytes() in content
            or np.float64(single).tobytes() in content
            or np.float64(value).tobytes() in content
        ):
            yield value
