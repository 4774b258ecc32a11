"""The benchmarks' way of timing, by a clock that the timed calls move."""

import time
from collections.abc import Callable

import pytest

from timing import cpu_seconds, fastest, in_turn


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The processor time, in a list of one."""
    now = [100.0]
    monkeypatch.setattr(time, "process_time", lambda: now[0])
    return now


def spending(clock: list[float], *seconds: float) -> Callable[[], float]:
    """A call that takes these times, one after another, and gives the time that it took."""
    left = list(seconds)

    def call() -> float:
        taken = left.pop(0)
        clock[0] += taken
        return taken

    return call


def test_a_call_takes_what_it_moves_the_clock(clock: list[float]) -> None:
    assert cpu_seconds(spending(clock, 3.0)) == 3.0


def test_the_fastest_of_some_calls(clock: list[float]) -> None:
    assert fastest({8: spending(clock, 3.0), 16: spending(clock, 1.0), 32: spending(clock, 2.0)}) == 16


def test_medians_leave_the_first_repeat_out(clock: list[float]) -> None:
    calls = {"one": spending(clock, 90.0, 1.0, 5.0, 2.0), "other": spending(clock, 0.0, 4.0, 4.0, 7.0)}
    assert in_turn(calls, 3) == ({"one": 2.0, "other": 4.0}, {"one": 2.0, "other": 7.0})


def test_calls_are_made_in_turn() -> None:
    order: list[str] = []
    in_turn({name: lambda name=name: order.append(name) for name in "ab"}, 2)
    assert "".join(order) == "ababab"
