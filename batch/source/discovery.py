"""The input files of a run, found by name, folder or pattern; and what was passed over on the way."""

import glob
import os
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from whyport.batch.source.names import HIDDEN, SUFFIX, matches
from whyport.batch.source.store_search import StoreSearch
from whyport.runtime.bundle.codec import MAY_LACK
from whyport.runtime.errors import DataError, UsageError, listing
from whyport.runtime.paths import path_text
from whyport.runtime.store.path import Place, StorePath, real_place
from whyport.runtime.store.url import is_url

CSV_SUFFIXES = (".csv", ".tsv", ".txt")
NAMES = 12
"""The files passed over that are named; further ones are only counted."""


@dataclass(frozen=True)
class PassedOver:
    """The entries of the input folders that are no inputs, and the inputs that were scored before."""

    others: int = 0
    """The number of files with other names, and of links to folders that are read anyway."""
    names: tuple[str, ...] = ()
    """The first of their names."""
    hidden: int = 0
    """The number of entries whose names begin with "_" or ".": by convention not data."""
    scored: int = field(default=0, metadata={MAY_LACK: True})
    """The number of inputs that finished jobs have scored, of a run that takes new ones alone."""

    @property
    def text(self) -> str:
        """The entries for a reader; empty where nothing was passed over."""
        files = "file" if self.others == 1 else "files"
        more = ", …" if self.others > len(self.names) else ""
        texts = [f"{self.others} other {files} passed over: {', '.join(self.names)}{more}"] if self.others else []
        if self.hidden:
            texts.append(f"{self.hidden} passed over that begin with _ or .")
        if self.scored:
            texts.append(f"{self.scored} passed over that finished jobs have scored")
        return "; ".join(texts)


@dataclass(frozen=True)
class Found:
    """The inputs in order, some of which may turn out to be no Parquet files, and what was passed over."""

    paths: tuple[Place, ...]
    passed_over: PassedOver
    folders: tuple[Place, ...]
    """The folders that were searched, without the folders below them, and links to folders that were followed."""


def discover(inputs: Sequence[str], *, may_be_empty: bool = False) -> Found:
    """The Parquet files behind files, folders and glob patterns: in the given order, each folder or glob sorted.

    - In a folder, every entry named *.parquet is an input, in capitals too, with all folders below. Entries that cannot
      be read as files, such as pipes, are inputs as well: the run then says what is wrong with them.
    - A folder named *.parquet is searched like any other, and is itself an input if there is none in it.
    - A link is followed; a link to a folder that is searched already is passed over.
    - Names that begin with "_" or "." are passed over.
    - A folder that matches a pattern without ** is searched.
    - In a store, the same names are inputs; there are no links, and a folder is what names have in common.

    Args:
        inputs: files, folders and patterns.
        may_be_empty: whether a folder without Parquet files is no error.

    Raises:
        UsageError: there is no input, one names no file or no known kind of store, or a file is named twice.
        DataError: a folder cannot be read.
    """
    if not inputs:
        raise UsageError("expected one or several inputs, got none")
    paths: list[Place] = []
    searches: list[_Search | StoreSearch] = []
    for text in inputs:
        if is_url(text):
            in_store = StoreSearch(text)
            if not in_store.inputs and not may_be_empty:
                raise UsageError(_nothing(text, [path.name for path in in_store.others]))
            searches.append(in_store)
            paths += in_store.inputs
            continue
        given = Path(text)
        matches = [given] if os.path.lexists(given) else sorted(map(Path, glob.glob(text, recursive=True)))
        found: list[Path] = []
        for path in matches:
            if not path.is_dir():
                found.append(path)
            elif "**" not in text:
                search = _Search(path)
                searches.append(search)
                found += search.inputs
        if not found and not (may_be_empty and Path(text).is_dir()):
            raise UsageError(_nothing(text, [path.name for search in searches for path in search.others]))
        paths += found
    repeated = [path for path, count in Counter(map(real_place, paths)).items() if count > 1]
    if repeated:
        raise UsageError(f"inputs named twice: {listing(map(path_text, repeated))}")
    # Names that are not UTF-8 are escaped, and could then be another file's.
    alike = [name for name, count in Counter(path_text(path.as_posix()) for path in paths).items() if count > 1]
    if alike:
        raise UsageError(f"inputs of the same name: {listing(alike)}")
    others = [path_text(path) for search in searches for path in search.others]
    passed_over = PassedOver(len(others), tuple(others[:NAMES]), sum(search.hidden for search in searches))
    return Found(tuple(paths), passed_over, tuple(folder for search in searches for folder in search.tops))


def _nothing(text: str, others: list[str]) -> str:
    message = (
        f"expected Parquet files, a folder of them or a glob pattern, got {path_text(text)!r}, which names none"
        + (f" among {len(others)} other files: {listing(map(path_text, others), 5)}" if others else "")
    )
    is_csv = any(name.lower().endswith(CSV_SUFFIXES) for name in (text, *others))
    return f"{message}; {CSV_ADVICE}" if is_csv else message


CSV_ADVICE = "whyport predict takes a CSV file; for a run, write it as Parquet: pandas.read_csv(…).to_parquet(…)"


class _Search:
    """The entries of a folder and of all folders below; each folder is entered once, whatever links lead to it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.tops = [folder]
        """The folder, and the links to folders that were followed."""
        self.inputs: list[Path] = []
        self.others: list[Path] = []
        """The entries that are no inputs, as paths from the folder."""
        self.hidden = 0
        self._entered: set[tuple[int, int]] = set()
        self._links: list[Path] = []
        self._named_as_inputs: list[Path] = []
        """Folders that have the name of a Parquet file."""
        self._enter(folder)
        while self._links:  # after the folders themselves, so that a file has the name without a link
            self._follow(self._links.pop(0))
        parents = {parent for path in self.inputs for parent in path.parents}
        self.inputs = sorted([*self.inputs, *(path for path in self._named_as_inputs if path not in parents)])

    def _enter(self, folder: Path) -> None:
        folders = [folder]
        while folders:
            folder = folders.pop()
            try:
                self._entered.add(_identity(folder))
                with os.scandir(folder) as entries:
                    ordered = sorted(entries, key=lambda entry: entry.name)
            except OSError as error:
                # The files inside would be missing from the output, and nobody would know.
                raise DataError(f"cannot read: {error.strerror}, in {path_text(error.filename)}") from None
            folders += [folder / entry.name for entry in ordered if self._is_folder(folder, entry)]

    def _is_folder(self, folder: Path, entry: os.DirEntry[str]) -> bool:
        """Sort an entry; returns whether it is a folder to enter next."""
        path, is_named_so = folder / entry.name, entry.name.lower().endswith(SUFFIX)
        if entry.name.startswith(HIDDEN):
            self.hidden += 1
        elif os.path.isdir(path):  # no error for a link that leads in circles
            if is_named_so:
                self._named_as_inputs.append(path)
            if not entry.is_symlink():
                return _identity(path) not in self._entered
            self._links.append(path)
        elif is_named_so:
            self.inputs.append(path)
        else:
            self.others.append(path.relative_to(self.folder))
        return False

    def _follow(self, link: Path) -> None:
        """Enter the folder behind a link, unless it was entered before or would lead here again."""
        if _identity(link) in self._entered:
            self.others.append(link.relative_to(self.folder))
            self._named_as_inputs = [path for path in self._named_as_inputs if path != link]
        elif Path(os.path.realpath(link.parent)).is_relative_to(os.path.realpath(link)):
            self.inputs.append(link)
        else:
            self.tops.append(link)
            self._enter(link)


def _identity(folder: Path) -> tuple[int, int]:
    status = folder.stat()
    return status.st_dev, status.st_ino


def check_apart(inputs: Sequence[str], found: Found, out: Place) -> None:
    """Raise UsageError if inputs are in the output folder, or if the same inputs would find the output's parts."""
    place = real_place(out)
    inside = [path for path in found.paths if real_place(path).is_relative_to(place)]
    if inside:
        raise UsageError(f"inputs are in the output folder: {listing(path_text(path) for path in inside)}")
    part = place / f"part{SUFFIX}"
    searched = [str(folder) for folder in found.folders if _is_searched(real_place(folder), part)]
    matching = [text for text in inputs if not os.path.lexists(text) and _would_find(text, part)]
    if searched or matching:
        raise UsageError(
            f"the output folder {path_text(out)!r} is among the inputs of {path_text([*searched, *matching][0])!r}: "
            "its parts would be inputs when the run is resumed; choose a folder elsewhere, or a name that begins with _"
        )


def _is_searched(folder: Place, path: Place) -> bool:
    return path.is_relative_to(folder) and not any(part.startswith(HIDDEN) for part in path.relative_to(folder).parts)


def _would_find(pattern: str, path: Place) -> bool:
    """Whether a glob pattern finds that file, or a folder in which it is searched."""
    folders = [] if "**" in pattern else path.parents
    return _matches(pattern, path) or any(
        _matches(pattern, folder) and _is_searched(folder, path) for folder in folders
    )


def _matches(pattern: str, path: Place) -> bool:
    """Whether a glob pattern finds that absolute path, with its links resolved."""
    if is_url(pattern) or isinstance(path, StorePath):
        return is_url(pattern) and isinstance(path, StorePath) and matches(StorePath(pattern).parts, path.parts)
    parts = Path(os.path.abspath(pattern)).parts
    first = next((i for i, part in enumerate(parts) if glob.has_magic(part)), len(parts))
    start = Path(os.path.realpath(Path(*parts[:first])))
    return path.is_relative_to(start) and matches(parts[first:], path.relative_to(start).parts)
