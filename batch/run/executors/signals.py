"""This process's own signal handlers, where an engine that is started would put its own in their place."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from whyport.batch.run.interruption import SIGNALS


@contextmanager
def signals_kept() -> Iterator[None]:
    """Put the handlers from before back, after the context."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
