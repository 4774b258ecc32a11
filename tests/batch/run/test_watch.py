import logging
import os
import signal
import threading
from collections.abc import Iterator

import pytest

from whyport.batch.run.watch import SIGNALS, Interruption
from whyport.runtime.errors import InterruptedJobError


@pytest.fixture(autouse=True)
def former() -> Iterator[dict[int, object]]:
    """The handlers before and after."""
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    yield handlers
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(("number", "exit_code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_first_signal_waits_for_the_end_of_a_part(
    number: int, exit_code: int, caplog: pytest.LogCaptureFixture
) -> None:
    with Interruption() as interruption:
        interruption.announce(10)
        interruption.check()
        os.kill(os.getpid(), number)
        interruption.announce(70)
        interruption.announce(60)
        with pytest.raises(InterruptedJobError, match="stopped after a whole part") as raised:
            interruption.check()
    assert raised.value.exit_code == exit_code
    assert raised.value.at("somewhere").exit_code == exit_code
    assert [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING] == [
        f"{signal.Signals(number).name}: 70 more rows finish the part at hand; once more to stop at once"
    ]


def test_the_second_signal_does_not_wait() -> None:
    with Interruption():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(InterruptedJobError, match="stopped at once") as raised:
            os.kill(os.getpid(), signal.SIGTERM)
    assert raised.value.exit_code == 143


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
