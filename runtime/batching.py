"""How many rows one call of ONNX Runtime takes."""

from collections import deque
from collections.abc import Iterator, Mapping
from typing import TypeVar

from whyport.runtime.bundle.signature import Signature

# Values of one call on the CPU: calls of few rows stay in the cache, though each row meets every reference.
CALL_VALUES = 2048
CALL_ROWS = 64


def rows_per_call(signature: Signature) -> dict[str, int]:
    """How many rows a call of either graph takes, by device."""
    on_cpu = max(1, min(CALL_ROWS, CALL_VALUES // len(signature.features.columns)))
    return {"cpu": on_cpu, "cuda": 16 * on_cpu}


T = TypeVar("T")


def batch_slices(rows: int, batch_rows: int) -> Iterator[slice]:
    """Slices of at most `batch_rows` rows that cover `rows` rows in order; none where there are no rows."""
    for start in range(0, rows, batch_rows):
        yield slice(start, min(start + batch_rows, rows))


def taken(waiting: deque[T]) -> Iterator[T]:
    """Items out of a queue until it is empty; several threads may take from the same one."""
    while True:
        try:
            item = waiting.popleft()
        except IndexError:
            return
        yield item


ROW_VALUES_KEY = "whyport.row_values"
"""The key of an ONNX file's metadata_props for how many values its nodes compute for a row."""

# On the CPU calls run side by side, one thread each (on 2 cores that is a third faster than calls that share the
# threads): so few rows that what a call computes stays in the cache, so many that the call itself does not count. On 2
# cores the demo model, 23 000 values a row, runs 104 000 rows/s with 128 rows a call and 83 000 with 2 048, a small
# MLP, 156 values, 3.1 million with 128 and 14.5 million with 4 096.
CALL_VALUES = 1 << 21
FEWEST_ROWS, MOST_ROWS = 128, 4096
CPU_ROWS = 512
"""Of a graph that does not say how much it computes."""

# A card wants many at once.
CUDA_ROWS = 16384


def suitable_rows(device: str, properties: Mapping[str, str]) -> int:
    """Rows of a call of a graph with these metadata_props: a power of two that depends on nothing else."""
    if device != "cpu":
        return CUDA_ROWS
    values = properties.get(ROW_VALUES_KEY, "")
    if not values.isdecimal():
        return CPU_ROWS
    fitting = max(CALL_VALUES // max(int(values), 1), 1)
    return min(max(1 << (fitting.bit_length() - 1), FEWEST_ROWS), MOST_ROWS)
