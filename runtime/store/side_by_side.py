"""Calls side by side, where each waits for a store."""

from collections.abc import Callable, Generator, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

AT_ONCE = 32
"""Calls at a time: each waits for some round trips."""


def mapped(
    call: Callable[[Item], Result], items: Iterable[Item], *, side_by_side: bool, at_once: int = AT_ONCE
) -> Generator[Result, None, None]:
    """What a call gives for each item, in order; raises what the first failed one raises.

    Args:
        call: what is called; by several threads if side by side.
        items: its arguments.
        side_by_side: whether calls are made at once; else each is made when its result is asked for.
        at_once: the number of calls at a time.
    """
    if not side_by_side:
        yield from map(call, items)
        return
    with ThreadPoolExecutor(at_once, "whyport-store") as pool:
        yield from pool.map(call, items)  # what has not begun is dropped where the caller ends
