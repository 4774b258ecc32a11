"""Paths in object stores, such as s3://bucket/folder/file: they answer what the paths of this machine do.

A folder is what names have in common up to a slash; it exists as long as there is such a name.
"""

import os
import stat
from collections.abc import Iterator
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import Self

from whyport.runtime.errors import UsageError
from whyport.runtime.store import client
from whyport.runtime.store.url import OPTIONS, is_url, parse_url


class StorePath(PurePosixPath):
    """The path of an object, or of a folder, in a store. It holds no more than its text, and can be pickled.

    Every method that asks the store raises OSError where it does not answer.
    """

    def __str__(self) -> str:
        return super().__str__().replace(":/", "://", 1)

    def __fspath__(self) -> str:
        return str(self)

    @property
    def root_url(self) -> str:
        """The address of the bucket or container."""
        return "://".join((self.parts[0][:-1], self.parts[1]))

    @property
    def key(self) -> str:
        """The name inside the bucket; empty for the bucket itself."""
        return "/".join(self.parts[2:])

    def absolute(self) -> Self:
        """The path itself: there is no working folder in a store."""
        return self

    def resolve(self) -> Self:
        """The path itself: there are no links in a store."""
        return self

    def head(self) -> client.Meta:
        """What the store says of the object; raises FileNotFoundError where there is none."""
        return client.head(self.root_url, self.key)

    def stat(self) -> os.stat_result:
        """The object's size and time of change; raises FileNotFoundError where there is none."""
        meta = self.head()
        seconds = meta.modified_ns // 10**9
        found = (stat.S_IFREG | 0o644, 0, 0, 1, 0, 0, meta.size, seconds, seconds, seconds)
        return os.stat_result(found, {"st_mtime_ns": meta.modified_ns})

    def exists(self) -> bool:
        """Whether there is an object of that name, or a folder."""
        return self.is_file() or self.is_dir()

    def is_file(self) -> bool:
        """Whether there is an object of that name."""
        try:
            return bool(self.key) and self.head() is not None
        except FileNotFoundError:
            return False

    def is_dir(self) -> bool:
        """Whether names begin with this one and a slash."""
        return next(client.names(self.root_url, self._prefix), None) is not None

    def is_symlink(self) -> bool:
        """No: there are no links in a store."""
        return False

    def iterdir(self) -> Iterator[Self]:
        """The entries of the folder, in no order."""
        for paths in self.entries():
            yield from paths

    def entries(self) -> tuple[list[Self], list[Self]]:
        """The folders and the objects in the folder."""
        folders, objects = client.entries(self.root_url, self._prefix)
        return [self / name for name in folders], [self / name for name in objects]

    def glob(self, pattern: str) -> Iterator[Self]:
        """The entries of the folder whose names match a pattern without a slash, in no order."""
        return (entry for entry in self.iterdir() if fnmatchcase(entry.name, pattern))

    def walk_files(self) -> Iterator[tuple[Self, client.Meta]]:
        """All objects in the folder and the folders below, by name.

        Raises UsageError for a name that no address can have, as `a//b` and `a?b=c`.
        """
        for name, meta in client.files(self.root_url, self._prefix):
            inside = name.removeprefix(self._prefix)
            if inside.endswith("/") or not inside:
                continue  # what consoles make for an empty folder
            if any(part in ("", ".", "..") for part in inside.split("/")) or OPTIONS.search(inside):
                raise UsageError(f"expected names of files and folders, got {name!r}: rename it, in {self.root_url}")
            yield self / inside, meta

    def read_bytes(self) -> bytes:
        """The object's content."""
        return client.read(self.root_url, self.key)

    def read_text(self, encoding: str = "utf-8") -> str:
        """The object's content as text."""
        return self.read_bytes().decode(encoding)

    def open(self, mode: str = "rb") -> BytesIO:
        """The object's content as a file, whole in memory."""
        assert mode == "rb"
        return BytesIO(self.read_bytes())

    @property
    def _prefix(self) -> str:
        return f"{self.key}/" if self.key else ""


Place = Path | StorePath
"""Where a file or folder is: on this machine, or in a store."""


def as_place(text: "str | os.PathLike[str]") -> Place:
    """A path of this machine, or of a store where the text is an address of one.

    Raises UsageError for an address of another kind.
    """
    if isinstance(text, StorePath) or not is_url(os.fspath(text)):
        return text if isinstance(text, StorePath) else Path(text)
    parse_url(os.fspath(text))
    return StorePath(os.fspath(text))


def real_place(place: Place) -> Place:
    """The absolute path without links."""
    return place if isinstance(place, StorePath) else Path(os.path.realpath(place))


def has_file(place: Place) -> bool:
    """Whether an object has this name in a store; on this machine, whether anything that is there has it."""
    return place.is_file() if isinstance(place, StorePath) else place.exists()


def is_there(place: Place) -> bool:
    """Whether anything has this name, a link that leads nowhere too."""
    return place.exists() if isinstance(place, StorePath) else os.path.lexists(place)
