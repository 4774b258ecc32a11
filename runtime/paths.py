"""Paths of this machine and of stores; a name that is no text is shown with its bytes."""

import os
import re
from collections.abc import Callable
from pathlib import Path, PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import click

from whyport.runtime.errors import UsageError
from whyport.runtime.store.client import use_endpoint
from whyport.runtime.store.path import Place, StorePath, as_place
from whyport.runtime.store.url import is_url

if TYPE_CHECKING:
    import pyarrow as pa

F = TypeVar("F", bound=Callable[..., Any])


def check_path(name: str, path: str | PurePath) -> None:
    """Raise UsageError for an address such as s3://bucket/folder, or no text; `name` is the argument's name."""
    if path == "":  # a variable that is not set: it would be the working folder
        raise UsageError(f"{name}: expected a path, got ''")
    if is_url(str(path)):
        raise UsageError(f"{name}: expected a path, got the URL {str(path)!r}: copy what it names to a disk first")


def path_text(path: str | PurePath) -> str:
    """The path as text; in a name that is not UTF-8, the bytes that are not are shown as \\xe9."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def path_of_text(text: str) -> Path:
    """The path that `path_text` has shown, where every \\xe9 stands for a byte that is not UTF-8."""
    return Path(
        os.fsdecode(re.sub(rb"\\x([0-9a-f]{2})", lambda found: bytes.fromhex(found[1].decode()), text.encode()))
    )


def is_utf8(path: str | PurePath) -> bool:
    """Whether the path is text: names of files are bytes, and some come from systems with other encodings."""
    try:
        str(path).encode()
    except UnicodeEncodeError:
        return False
    return True


def open_file(path: Place) -> "pa.NativeFile":
    """A file for pyarrow, which would take a name such as `day:1.parquet` for a URL; raises OSError."""
    import pyarrow as pa

    if isinstance(path, StorePath):
        from whyport.runtime.store.copy import ObjectCopy

        return pa.PythonFile(ObjectCopy(path), mode="r")
    return pa.OSFile(os.fsencode(path))


def check_place(name: str, place: "str | os.PathLike[str]") -> None:
    """Raise UsageError for an address that is of no store, or no text; `name` is the argument's name."""
    if place == "":
        raise UsageError(f"{name}: expected a path or an address, got ''")
    try:
        as_place(place)
    except UsageError as error:
        raise UsageError(f"{name}: {error}") from None


class LocalPath(click.Path):
    """A click type for a path of this machine; a URL is refused, and so is a path that is not UTF-8."""

    def __init__(self, **options: Any) -> None:
        super().__init__(path_type=Path, **options)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The path; raises UsageError as `check_path` does."""
        name = _argument(param)
        check_path(name, value)
        if not is_utf8(value):
            raise UsageError(f"{name}: expected a path in UTF-8, got {path_text(value)}")
        return super().convert(value, param, ctx)


class PlacePath(LocalPath):
    """A click type for a path of this machine, or of a store."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The place; raises UsageError as `check_place` does."""
        if not is_url(value):
            return super().convert(value, param, ctx)
        check_place(_argument(param), value)
        return as_place(value)


def _argument(param: click.Parameter | None) -> str:
    """The argument's name in messages."""
    if param is None:
        return "path"
    return param.opts[0] if isinstance(param, click.Option) else param.human_readable_name


def endpoint_option() -> Callable[[F], F]:
    """The option `--endpoint`, which every command that reads or writes stores has."""
    return click.option(
        "--endpoint",
        metavar="URL",
        expose_value=False,
        is_eager=True,
        callback=lambda context, option, address: use_endpoint(address),
        help="The server behind s3:// addresses, where it is another than Amazon's, such as http://127.0.0.1:9000.",
    )
