"""The parts that lie in an output folder: which are there, and what is in them."""

from collections.abc import Callable, Generator, Iterable
from dataclasses import replace
from typing import TypeVar

from whyport.batch.output.folder import OutputFolder
from whyport.batch.output.part_file import PartFile
from whyport.runtime.store.client import NO_TAG
from whyport.runtime.store.path import Place, StorePath
from whyport.runtime.store.side_by_side import mapped

Item = TypeVar("Item")
Result = TypeVar("Result")

PARTS_AT_ONCE = 8


class PartsThere:
    """Looks at parts: on this machine one after the other; in a store several at once, which were found by one listing.

    Args:
        folder: the output folder; in a store, its parts are those of this moment.
    """

    def __init__(self, folder: OutputFolder) -> None:
        self._in_store = isinstance(folder.path, StorePath)
        self._objects = folder.part_objects(folder.path) if isinstance(folder.path, StorePath) else {}

    def has(self, path: Place) -> bool:
        """Whether a part is there."""
        return path in self._objects if isinstance(path, StorePath) else path.exists()

    def open(self, path: Place) -> PartFile:
        """A part to look into."""
        known = self._objects.get(path) if isinstance(path, StorePath) else None
        # Not every store writes a tag in a listing as it compares it.
        return PartFile(path, known and replace(known, tag=NO_TAG))

    def each(self, look: Callable[[Item], Result], items: Iterable[Item]) -> Generator[Result, None, None]:
        """What a call finds at each item, in order; raises what the first failed one raises."""
        return mapped(look, items, side_by_side=self._in_store, at_once=PARTS_AT_ONCE)
