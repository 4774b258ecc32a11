"""Text for a terminal: whatever in it could steer the terminal, or pass for a line of its own, is shown escaped."""

import errno
import io
import logging
import os
import re
import sys
from collections.abc import Iterable

import click

# JSON takes \uXXXX for any character inside a string. What is no text there is white space, which stays.
NOT_PRINTED = re.compile(r"[^ -~\n\r\t]")


def escaped(text: str) -> str:
    """The text with every character that is not printable as a backslash escape, as `repr` shows it.

    Control characters, line breaks, marks that change the direction of writing, and halves of surrogate pairs are such.
    """
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else each.encode("unicode_escape").decode() for each in text)


def escaped_json(text: str) -> str:
    """The same document, with every character that is not printable as JSON's own escape."""

    def escape(match: re.Match[str]) -> str:
        character = match[0]
        if character.isprintable():
            return character
        units = character.encode("utf-16-be", "surrogatepass")
        return "".join(f"\\u{units[i : i + 2].hex()}" for i in range(0, len(units), 2))

    return NOT_PRINTED.sub(escape, text)


class Painted(str):
    """A line of which some parts have a colour on a terminal.

    Args:
        parts: the line's parts in order, each with its colour as `click.style` takes it, or None.
    """

    parts: tuple[tuple[str, str | None], ...]

    def __new__(cls, parts: Iterable[tuple[str, str | None]]) -> "Painted":
        kept = tuple(parts)
        made = super().__new__(cls, "".join(text for text, _ in kept))
        made.parts = kept
        return made


def say(line: str, *, err: bool = False) -> None:
    """Print one line, escaped, on stdout or stderr.

    A painted one has its colours on a terminal, unless the variable NO_COLOR is set: https://no-color.org.
    """
    if not isinstance(line, Painted) or os.environ.get("NO_COLOR"):
        click.echo(escaped(line), err=err)
        return
    click.echo("".join(click.style(escaped(text), fg=colour) for text, colour in line.parts), err=err)


class LineFormatter(logging.Formatter):
    """Log records as lines of which no message can make two; a traceback follows as it is."""

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802, logging calls it so
        return escaped(super().formatMessage(record).rstrip("\n"))


def can_print() -> bool:
    """Whether stdout is open for writing; False where the command was started with it closed."""
    try:
        os.write(sys.stdout.fileno(), b"")
    except io.UnsupportedOperation:
        return True  # a stream without a descriptor, of a caller in this process
    except OSError as error:
        return error.errno != errno.EBADF
    return True
