"""The inputs behind an address in a store: an object, a folder or a glob pattern."""

import glob
from collections.abc import Iterator

from whyport.batch.source.names import HIDDEN, SUFFIX, matches
from whyport.runtime.errors import DataError
from whyport.runtime.store.path import StorePath
from whyport.runtime.store.url import parse_url


class StoreSearch:
    """The inputs, by name, and what was passed over; in one listing, whatever the number of folders.

    Args:
        text: the address.

    Raises UsageError for an address of no store, DataError where the store does not answer.
    """

    def __init__(self, text: str) -> None:
        parse_url(text)
        self.folder = StorePath(text)
        self.tops: list[StorePath] = []
        """The folders that were searched."""
        self.inputs: list[StorePath] = []
        self.others: list[StorePath] = []
        """The entries that are no inputs, as paths from the folder."""
        self._hidden: set[StorePath] = set()
        try:
            self._search()
        except OSError as error:
            raise DataError(f"cannot read: {error.strerror or error}, in {text}") from None
        self.inputs.sort()
        self.others.sort()

    @property
    def hidden(self) -> int:
        """The number of entries whose names begin with "_" or "."."""
        return len(self._hidden)

    def _search(self) -> None:
        if not glob.has_magic(str(self.folder)):
            if self.folder.is_file():
                self.inputs.append(self.folder)
                return
            self.tops.append(self.folder)
            for path, _ in self.folder.walk_files():
                self._sort(self.folder, path)
            return
        parts = self.folder.parts
        start = StorePath(*parts[: next(i for i, part in enumerate(parts) if glob.has_magic(part))])
        tops: dict[StorePath, None] = {}
        for path, _ in start.walk_files():
            if matches(parts, path.parts):
                self.inputs.append(path)
            elif "**" not in parts and (top := next(self._matching_folders(path), None)) is not None:
                tops[top] = None
                self._sort(top, path)
        self.tops += sorted(tops)

    def _matching_folders(self, path: StorePath) -> Iterator[StorePath]:
        return (folder for folder in path.parents if matches(self.folder.parts, folder.parts))

    def _sort(self, folder: StorePath, path: StorePath) -> None:
        """Sort an object inside a folder that is searched."""
        inside = path.relative_to(folder)
        first = next((i for i, part in enumerate(inside.parts) if part.startswith(HIDDEN)), None)
        if first is not None:
            self._hidden.add(folder.joinpath(*inside.parts[: first + 1]))
        elif path.name.lower().endswith(SUFFIX):
            self.inputs.append(path)
        else:
            self.others.append(inside)
