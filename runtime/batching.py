"""How many rows one call of ONNX Runtime takes, and how rows are cut into calls."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import TypeVar

# Explanations: features times rows of a call on the CPU. A call of few rows stays in the cache, although each row meets
# every reference.
EXPLAINED_VALUES = 2048
MOST_EXPLAINED_ROWS = 64

ROW_VALUES_KEY = "whyport.row_values"
"""The key in an ONNX file's metadata_props for the number of values that its nodes compute per row."""

# On the CPU, calls run side by side, one thread each; on 2 cores that is a third faster than calls that share the
# threads. A call has few enough rows for its values to stay in the cache, and enough rows to outweigh the call itself.
# Rates on 2 cores: the demo model (23 000 values per row) runs 104 000 rows/s with 128 rows per call and 83 000 with
# 2 048; a small MLP (156 values per row) runs 3.1 million with 128 and 14.5 million with 4 096.
PREDICTED_VALUES = 1 << 21
FEWEST_ROWS, MOST_ROWS = 128, 4096

# A row of many values, as of a picture or a text, keeps the operators busy alone. MobileNetV2 on pictures of 160 x 160
# (7.2 million values per row) takes 4.7 ms per row with 4 to 16 rows per call and 5.4 ms with 128; on pictures of
# 224 x 224, 2 rows per call add 0.13 GB to the process, and 128 add 1.3 GB.
LARGE_CALL_VALUES = 1 << 25

CPU_ROWS = 512
"""Rows per call on the CPU, for a graph without that key."""

MOST_DIGITS = 18
"""Digits of that number; a longer one is none that a graph computes."""

# A GPU needs many rows at once.
CUDA_ROWS = 16384

T = TypeVar("T")


def rows_per_call(cells: int) -> dict[str, int]:
    """The number of rows per call of explain.onnx or gradient.onnx where a row has so many cells, by device."""
    on_cpu = max(1, min(MOST_EXPLAINED_ROWS, EXPLAINED_VALUES // cells))
    return {"cpu": on_cpu, "cuda": 16 * on_cpu}


def suitable_rows(device: str, properties: Mapping[str, str]) -> int:
    """Rows per call of a graph with these metadata_props: a power of two that depends on nothing else."""
    if device != "cpu":
        return CUDA_ROWS
    values = properties.get(ROW_VALUES_KEY, "")
    if not values.isdecimal() or len(values) > MOST_DIGITS:
        return CPU_ROWS
    in_cache, large = (_power_of_two(most // max(int(values), 1)) for most in (PREDICTED_VALUES, LARGE_CALL_VALUES))
    return min(max(in_cache, min(large, FEWEST_ROWS)), MOST_ROWS)


def _power_of_two(most: int) -> int:
    """The largest power of two that is at most so many; at least 1."""
    return 1 << (max(most, 1).bit_length() - 1)


def batch_slices(rows: int, batch_rows: int) -> Iterator[slice]:
    """Slices of up to `batch_rows` rows that cover `rows` rows in order; none if there are no rows."""
    for start in range(0, rows, batch_rows):
        yield slice(start, min(start + batch_rows, rows))


def taken(waiting: deque[T]) -> Iterator[T]:
    """Take items from a queue until it is empty; several threads may take from the same queue."""
    while True:
        try:
            item = waiting.popleft()
        except IndexError:
            return
        yield item
