"""Milliseconds that a graph takes for a row, on one core."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.providers import load_onnxruntime, open_session

BATCHES = (1, 64)
"""The rows of a call that are timed."""

FEWEST_REPEATS, MOST_REPEATS = 5, 101
SECONDS = 1.0
"""The processor time that the repeats of one graph and number of rows may take, past the fewest."""

Feeds = Mapping[str, NDArray[Any]]


def milliseconds(contents: Mapping[str, bytes], feeds: Feeds, batches: Sequence[int]) -> dict[str, dict[int, float]]:
    """The median processor time for a row in milliseconds, by graph and by rows of a call.

    All graphs are called in turn, so that a drift of the machine's speed affects all alike.

    Args:
        contents: ONNX files by name, which take the same tensors.
        feeds: these, N long on the first axis; rows repeat where there are too few.
        batches: the rows of a call.
    """
    sessions = {name: _open(content) for name, content in contents.items()}
    found: dict[str, dict[int, float]] = {name: {} for name in contents}
    for rows in batches:
        calls = {name: _call(session, feeds, rows) for name, session in sessions.items()}
        spent = {name: [_seconds(call)] for name, call in calls.items()}  # the first call makes plans of its memory
        repeats = int(SECONDS / max(1e-9, *(each[0] for each in spent.values())))
        for _ in range(min(MOST_REPEATS, max(FEWEST_REPEATS, repeats))):
            for name, call in calls.items():
                spent[name].append(_seconds(call))
        for name, each in spent.items():
            found[name][rows] = 1000 * statistics.median(each[1:]) / rows
    return found


def _open(content: bytes) -> Any:
    onnxruntime = load_onnxruntime()
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return open_session(content, "cpu", options, onnxruntime)[0]


def _call(session: Any, feeds: Feeds, rows: int) -> Callable[[], Any]:
    given = {name: values[np.arange(rows) % len(values)] for name, values in feeds.items()}
    return lambda: session.run(None, given)


def _seconds(call: Callable[[], Any]) -> float:
    started = time.thread_time()
    call()
    return time.thread_time() - started
