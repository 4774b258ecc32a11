"""Paths of this machine: an address of the net is refused, and a name that is no text is shown with its bytes."""

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from whyport.runtime.errors import UsageError

if TYPE_CHECKING:
    import pyarrow as pa

URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


def check_path(name: str, path: str | Path) -> None:
    """Raise UsageError for an address such as s3://bucket/folder, or no text; `name` is the argument's name."""
    if path == "":  # a variable that is not set: it would be the working folder
        raise UsageError(f"{name}: expected a path, got ''")
    if URL.match(str(path)):
        raise UsageError(f"{name}: expected a path, got the URL {str(path)!r}: copy what it names to a disk first")


def path_text(path: str | Path) -> str:
    """The path as text; in a name that is not UTF-8, the bytes that are not are shown as \\xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def is_utf8(path: str | Path) -> bool:
    """Whether the path is text: names of files are bytes, and some come from systems with other encodings."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def open_file(path: Path) -> "pa.NativeFile":
    """A file for pyarrow, which would take a name such as `day:1.parquet` for a URL; raises OSError."""
    import pyarrow as pa

    return pa.OSFile(os.fsencode(path))


class LocalPath(click.Path):
    """A click type for a path of this machine; a URL is refused, and so is a path that is not UTF-8."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises UsageError as `check_path` does."""
        name = (
            "path" if param is None else param.opts[0] if isinstance(param, click.Option) else param.human_readable_name
        )
        check_path(name, value)
        if not is_utf8(value):
            raise UsageError(f"{name}: expected a path in UTF-8, got {path_text(value)}")
        return super().convert(value, param, ctx)
