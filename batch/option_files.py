"""Files that options name, as JSON or CSV by the end of their name."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from whyport.runtime.errors import UsageError, message_line
from whyport.runtime.paths import path_text

Content = TypeVar("Content")


def read_option_file(
    option: str, path: Path, from_json: Callable[[str], Content], from_csv: Callable[[str], Content]
) -> Content:
    """The content of an option's file, named *.json or *.csv.

    Args:
        option: the option's name, for messages.
        path: the file.
        from_json, from_csv: read a text of that kind; each raises UsageError for another one.

    Raises UsageError, which names the file, where it cannot be read or holds something else.
    """
    readers, place = {".json": from_json, ".csv": from_csv}, path_text(path)
    if path.suffix.lower() not in readers:
        raise UsageError(f"{option}: expected a file named *.json or *.csv, got {place!r}")
    try:
        text = path.read_text("utf-8-sig")
    except UnicodeDecodeError:
        raise UsageError(f"{option}: expected text in UTF-8, got other bytes, in {place!r}") from None
    except OSError as error:
        raise UsageError(f"{option}: cannot read {place!r}: {message_line(error)}") from None
    try:
        return readers[path.suffix.lower()](text)
    except UsageError as error:
        raise UsageError(f"{error}, in {place!r}") from None
