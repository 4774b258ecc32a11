"""A Hadoop file system, by pyarrow, that answers what obstore's stores do: files in place of objects.

A file is written under a hidden name and renamed. There are no conditions: a file is created where none has its name,
and is known by its size and its time of change. Between a look and a rename another process may come. Parts are equal
whoever makes them, so none is harmed.
"""

import secrets
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Literal

from whyport.runtime.errors import MissingPackageError

SCHEME = "hdfs"


class ConditionError(Exception):
    """A file is another one than the one that was asked for."""


@dataclass(frozen=True)
class Content:
    """A file's content, or a range of it, with what is known of the file."""

    meta: dict[str, Any]
    content: bytes

    def bytes(self) -> "bytes":
        """The content."""
        return self.content


class HadoopStore:
    """A file system of pyarrow's with the methods of obstore's stores that are used here.

    Args:
        files: the file system; keys are its absolute paths, without the first slash.
    """

    def __init__(self, files: Any) -> None:
        self._files = files

    @classmethod
    def of(cls, root: str) -> "HadoopStore":
        """The store of an address such as hdfs://namenode:8020; raises OSError where there is none."""
        try:
            from pyarrow import fs
        except ModuleNotFoundError:
            message = f"{SCHEME}:// needs the package 'pyarrow': pip install 'whyport[batch]'"
            raise MissingPackageError(message) from None
        try:
            return cls(fs.HadoopFileSystem.from_uri(root))
        except (OSError, ValueError) as error:
            message = f"expected a Hadoop file system, by the libraries at JAVA_HOME and HADOOP_HOME, got: {error}"
            raise OSError(message) from None

    def head(self, key: str) -> dict[str, Any]:
        """The facts about a file; raises FileNotFoundError where there is none."""
        (info,) = self._files.get_file_info([f"/{key}"])
        if not info.is_file:
            raise FileNotFoundError(key)
        return _entry(info)

    def get(self, key: str, *, options: Mapping[str, Any] | None = None) -> Content:
        """The content of a file; `options` may have a `range`, and the tag that the file must have: `if_match`."""
        given = options or {}
        meta = self.head(key)
        _check(meta, given.get("if_match"))
        start, stop = given.get("range", (0, meta["size"]))
        with self._files.open_input_file(f"/{key}") as opened:
            opened.seek(start)
            content = opened.read(stop - start)
        _check(self.head(key), meta["e_tag"])
        return Content(meta, content)

    def list(self, prefix: str | None, *, chunk_size: int = 0) -> Iterator[Sequence[dict[str, Any]]]:
        """The files in a folder and the folders below, in pages of which there is one."""
        yield [_entry(info) for info in self._infos(prefix, recursive=True) if info.is_file]

    def list_with_delimiter(self, prefix: str | None) -> dict[str, Sequence[Any]]:
        """The files and the folders in a folder."""
        infos = self._infos(prefix, recursive=False)
        return {
            "common_prefixes": [_key(info) for info in infos if not info.is_file],
            "objects": [_entry(info) for info in infos if info.is_file],
        }

    def put(
        self,
        key: str,
        content: bytes,
        *,
        mode: Literal["create", "overwrite"] | Mapping[str, Any] = "overwrite",
        use_multipart: bool = False,
    ) -> dict[str, Any]:
        """Write a file under a name of this attempt's own and rename it, over no file or over the one with that tag."""
        path = PurePosixPath(f"/{key}")
        own = path.with_name(f".{path.name}.{secrets.token_hex(8)}.tmp")
        self._files.create_dir(str(path.parent), recursive=True)
        try:
            with self._files.open_output_stream(str(own)) as opened:
                opened.write(content)
            self._clear(key, mode)
            self._files.move(str(own), str(path))
        except BaseException:
            self.delete([str(own).removeprefix("/")])
            raise
        return self.head(key)

    def delete(self, keys: Sequence[str]) -> None:
        """Remove files; no error where there is none."""
        for key in [keys] if isinstance(keys, str) else keys:
            with suppress(FileNotFoundError):
                self._files.delete_file(f"/{key}")

    def _clear(self, key: str, mode: Any) -> None:
        """Make room for a file, where the mode allows it: a rename replaces none."""
        try:
            there = self.head(key)
        except FileNotFoundError:
            if mode in ("create", "overwrite"):
                return
            raise
        if mode == "create":
            raise FileExistsError(key)
        if mode != "overwrite":
            _check(there, mode["e_tag"])
        self.delete([key])

    def _infos(self, prefix: str | None, *, recursive: bool) -> Sequence[Any]:
        from pyarrow.fs import FileSelector, FileType

        folder = f"/{(prefix or '').removesuffix('/')}"
        if folder != "/" and self._files.get_file_info([folder])[0].type != FileType.Directory:
            return []
        found = self._files.get_file_info(FileSelector(folder, allow_not_found=True, recursive=recursive))
        # A file that is being written, or whose writer has died, is not there for anybody.
        return [info for info in found if not (info.base_name.startswith(".") and info.base_name.endswith(".tmp"))]


def _check(meta: Mapping[str, Any], tag: str | None) -> None:
    if tag is not None and meta["e_tag"] != tag:
        raise ConditionError(meta["path"])


def _key(info: Any) -> str:
    return str(info.path).removeprefix("/")


def _entry(info: Any) -> dict[str, Any]:
    tag = f"{info.size}-{info.mtime_ns}"
    return {"path": _key(info), "size": info.size, "last_modified": info.mtime, "e_tag": tag, "version": None}
