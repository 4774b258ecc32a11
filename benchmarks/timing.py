"""Processor time of calls, on a machine whose speed drifts: everything in turn, and medians."""

import statistics
import time
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


def cpu_seconds(call: Callable[[], Any]) -> float:
    """The processor time of one call, of all threads of this process."""
    return timed(call)[0]


def timed(call: Callable[[], Result]) -> tuple[float, Result]:
    """The processor time of one call, and what it gives."""
    started = time.process_time()
    result = call()
    return time.process_time() - started, result


def fastest(calls: Mapping[Key, Callable[[], Any]]) -> Key:
    """Which of some calls takes the least processor time."""
    spent = {key: cpu_seconds(call) for key, call in calls.items()}
    return min(spent, key=spent.__getitem__)


def in_turn(calls: Mapping[str, Callable[[], Result]], repeats: int) -> tuple[dict[str, float], dict[str, Result]]:
    """The median processor seconds of each call, and what it gave last.

    Each repeat calls everything once, in turn, so that a drift of the machine's speed affects all alike. One more
    repeat before them compiles what is compiled, and does not count.
    """
    spent: dict[str, list[float]] = {name: [] for name in calls}
    results: dict[str, Result] = {}
    for repeat in range(repeats + 1):
        for name, call in calls.items():
            seconds, results[name] = timed(call)
            if repeat:
                spent[name].append(seconds)
    return {name: statistics.median(each) for name, each in spent.items()}, results
