import gc
import logging
import os
import signal
import sys
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import pytest

from whyport.batch.run.interruption import SIGNALS, Interruption
from whyport.runtime.errors import InterruptedJobError


@pytest.fixture(autouse=True)
def former() -> Iterator[dict[int, object]]:
    """The handlers before and after."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield handlers
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.fixture
def lines(caplog: pytest.LogCaptureFixture) -> Callable[[int], list[str]]:
    """Wait until so many lines are in the log."""
    caplog.set_level(logging.INFO)

    def lines(count: int) -> list[str]:
        until = time.monotonic() + 10
        while len(caplog.records) < count and time.monotonic() < until:
            time.sleep(0.002)
        return [record.getMessage() for record in caplog.records]

    return lines


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_first_signal_waits_for_the_end_of_a_part(number: int, exit_code: int) -> None:
    with Interruption() as interruption:
        interruption.begin(100)
        os.kill(os.getpid(), number)
        interruption.advance(100)
        interruption.end()
        with pytest.raises(InterruptedJobError, match="stopped after a whole part") as raised:
            interruption.check()
        with pytest.raises(InterruptedJobError, match="stopped after a whole part"):
            interruption.begin(100)
    assert raised.value.exit_code == exit_code
    assert raised.value.at("somewhere").exit_code == exit_code


@pytest.mark.parametrize("number", SIGNALS)
def test_a_signal_is_answered_at_once_and_then_from_time_to_time(
    number: signal.Signals, lines: Callable[[int], list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    monkeypatch.setattr("whyport.batch.run.interruption.time", SimpleNamespace(monotonic=lambda: now[0]))
    with Interruption() as interruption:
        interruption.begin(100)
        now[0] = 10.0
        interruption.advance(30)
        os.kill(os.getpid(), number)
        assert len(lines(1)) == 1  # while the batch goes on
        now[0] = 14.0
        interruption.advance(40)
        assert len(lines(1)) == 1  # soon after the line before
        now[0] = 20.0
        interruption.advance(26)
        now[0] = 30.0
        interruption.advance(4)
    assert lines(3) == [
        f"{number.name}: waiting for the part at hand: 70 of 100 rows are left, about 23 s; once more to stop at once",
        f"{number.name}: waiting for the part at hand: 4 of 100 rows are left, about 1 s",
        f"{number.name}: waiting for the part at hand to be written",
    ]


def test_a_signal_without_a_part_or_a_rate_says_what_is_known(lines: Callable[[int], list[str]]) -> None:
    with Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        assert lines(1) == ["SIGINT: waiting for what is under way; once more to stop at once"]
    with Interruption() as interruption:
        interruption.begin(7)
        os.kill(os.getpid(), signal.SIGINT)
        what = "SIGINT: waiting for the part at hand: 7 of 7 rows are left; once more to stop at once"
        assert lines(2)[1] == what


def test_nothing_is_said_without_a_signal(lines: Callable[[int], list[str]]) -> None:
    with Interruption() as interruption:
        interruption.begin(7)
        interruption.advance(7)
        interruption.end()
        interruption.check()
    assert lines(0) == []
    assert "whyport-signals" not in {thread.name for thread in threading.enumerate()}


def test_the_second_signal_does_not_wait() -> None:
    def run() -> None:
        with Interruption():
            os.kill(os.getpid(), signal.SIGINT)
            os.kill(os.getpid(), signal.SIGTERM)
            pytest.fail("the second signal was not raised")

    with pytest.raises(InterruptedJobError, match="stopped at once") as raised:
        run()
    assert raised.value.exit_code == 143


class SignalledInDestructor:
    def __del__(self) -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)


def of_reference() -> None:
    thing = SignalledInCycle()
    weakref.finalize(thing, os.kill, os.getpid(), signal.SIGTERM)


class SignalledInCycle:
    """Its end is that of a cycle, which the garbage collector finds."""

    def __init__(self) -> None:
        self.own = self


class Handler(logging.Handler):
    """As logging's own: an error in it is told, and goes no further."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            os.kill(os.getpid(), signal.SIGTERM)
            time.sleep(0)
        except Exception:
            self.handleError(record)


def in_handler() -> None:
    Handler().handle(logging.makeLogRecord({"msg": "a record"}))


def in_except_clause() -> None:
    try:
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(0)
    except Exception:
        pytest.fail("taken for another error")


@pytest.mark.parametrize("place", [SignalledInDestructor, of_reference, in_handler, in_except_clause])
def test_a_second_signal_stops_wherever_it_comes(
    place: Callable[[], object], capsys: pytest.CaptureFixture[str]
) -> None:
    def run() -> None:
        with Interruption():
            os.kill(os.getpid(), signal.SIGINT)
            place()
            gc.collect()
            for _ in range(1000):  # the run goes on
                time.sleep(0.005)

    started = time.monotonic()
    with pytest.raises(InterruptedJobError, match=r"stopped at once \(SIGTERM\)"):
        run()
    assert time.monotonic() - started < 4
    assert capsys.readouterr().err == ""


def test_other_errors_in_destructors_are_told_as_before(monkeypatch: pytest.MonkeyPatch) -> None:
    told = []
    monkeypatch.setattr(sys, "unraisablehook", told.append)

    class Faulty:
        def __del__(self) -> None:
            raise ValueError("a defect")

    with Interruption():
        Faulty()
    assert [str(each.exc_value) for each in told] == ["a defect"]
    assert sys.unraisablehook == told.append


def test_the_handlers_are_given_back(former: dict[int, object]) -> None:
    with Interruption():
        assert signal.getsignal(signal.SIGTERM) is not former[signal.SIGTERM]
    assert {number: signal.getsignal(number) for number in SIGNALS} == former


def test_what_was_ignored_stays_ignored() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with Interruption() as interruption:
        os.kill(os.getpid(), signal.SIGINT)
        interruption.check()


def test_another_thread_watches_nothing(former: dict[int, object]) -> None:
    seen = []

    def run() -> None:
        with Interruption() as interruption:
            interruption.check()
            seen.append({number: signal.getsignal(number) for number in SIGNALS})

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [former]
