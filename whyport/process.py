"""The process of the command: standard streams that cannot fail it, and an end that nothing can turn into a crash."""

import errno
import io
import logging
import os
import sys
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

STDIN, STDOUT, STDERR = range(3)


class _Standard(io.FileIO):
    """A standard stream that drops what nobody can read any more; its other errors are raised."""

    def __init__(self, descriptor: int, dropped: frozenset[int] | None) -> None:
        super().__init__(descriptor, "w", closefd=False)
        self._dropped = dropped
        """The numbers of the errors that lose the text, and nothing else; None for every number."""

    def write(self, data: Any) -> int:
        try:
            return super().write(data)
        except OSError as error:
            if self._dropped is not None and error.errno not in self._dropped:
                raise
            return len(data)


def prepare_streams() -> None:
    """Make the standard streams safe to use.

    - A descriptor that is closed is taken: otherwise a file of the run would get its number, and with it every word
      that a library says on stderr.
    - A reader of stdout that goes away, or a closed stdout, does not fail the command. A full disk does.
    - Nothing that becomes of stderr fails the command.
    - A character that the stream's encoding lacks is shown escaped.
    """
    for descriptor in (STDIN, STDOUT, STDERR):
        try:
            os.fstat(descriptor)
        except OSError:
            # The lowest free number; only for reading, so that writers still learn that it was closed.
            os.set_inheritable(os.open(os.devnull, os.O_RDONLY), True)
    sys.stdout = _text(STDOUT, sys.stdout, frozenset({errno.EPIPE, errno.EBADF}))
    sys.stderr = _text(STDERR, sys.stderr, None)
    logging.raiseExceptions = False


def run_command(command: Callable[[], object]) -> NoReturn:
    """Run a command that ends by SystemExit, and end the process with its exit code.

    The interpreter's own end is left out: threads of other packages that are still at work then, and destructors that
    meet a full disk, would end the process by SIGABRT (apache/arrow#34314).
    """
    prepare_streams()
    try:
        command()
        code: object = None
    except SystemExit as ended:
        code = ended.code
    logging.shutdown()
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else 0 if code is None else 1)


def _text(descriptor: int, stream: Any, dropped: frozenset[int] | None) -> io.TextIOWrapper:
    """The stream of a descriptor, with the encoding of the one that Python opened, if it did."""
    raw = _Standard(descriptor, dropped)
    encoding = getattr(stream, "encoding", "utf-8")
    return io.TextIOWrapper(
        io.BufferedWriter(raw), encoding=encoding, errors="backslashreplace", line_buffering=raw.isatty()
    )
