"""Columns that only the path gives: folders named year=2026/month=01, as Hive writes them."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from urllib.parse import unquote

import pyarrow as pa
import pyarrow.compute as pc

NULL = "__HIVE_DEFAULT_PARTITION__"


def hive_partitions(paths: Sequence[Path]) -> list[Mapping[str, pa.Scalar]]:
    """The partition columns of each path, by name.

    A column's type is inferred from all paths, as pyarrow's Hive partitioning does: int32 where every value is a number
    that fits, otherwise string; `__HIVE_DEFAULT_PARTITION__` is null.
    """
    texts = [_segments(path) for path in paths]
    columns: dict[str, set[str]] = {}
    for segments in texts:
        for name, text in segments.items():
            columns.setdefault(name, set()).add(text)
    types = {name: _inferred(values - {NULL}) for name, values in columns.items()}
    return [
        {name: pa.scalar(None if text == NULL else text).cast(types[name]) for name, text in segments.items()}
        for segments in texts
    ]


def _segments(path: Path) -> dict[str, str]:
    pairs = (part.partition("=") for part in path.parent.parts)
    return {unquote(name): unquote(text) for name, separator, text in pairs if name and separator}


def _inferred(values: set[str]) -> pa.DataType:
    try:
        pc.cast(pa.array(sorted(values), pa.string()), pa.int32())
    except pa.ArrowInvalid:
        return pa.string()
    return pa.int32() if values else pa.string()
