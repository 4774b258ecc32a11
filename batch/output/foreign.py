"""Entries of a finished run's folder that are not its own: other files, folders, links, leftovers."""

import os
import re
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from whyport.batch.output.folder import (
    JOB_FILE,
    PARTS,
    REJECTED_FOLDER,
    REPORT_FILE,
    SIGNATURE_FILE,
    SKIPPED_FILE,
    SUCCESS_FILE,
    OutputFolder,
)
from whyport.batch.store.lock import nature_of
from whyport.runtime.paths import path_text
from whyport.runtime.store.path import StorePath

FINISHED_FILES: tuple[str, ...] = (JOB_FILE, REPORT_FILE, SKIPPED_FILE, SUCCESS_FILE, SIGNATURE_FILE)
"""The names of a finished run's files beside its parts; whatever else a command adds to the folder is named here."""

PASSING = re.compile(r"_lock(-(probe-)?[0-9a-f]{16})?|_workers-[0-9a-f]{16}")
"""The names of locks and fences, which come and go while a run is at work, and say nothing of it."""


def foreign(folder: OutputFolder) -> list[str]:
    """Entries that are not the run's own, by name in the folder, with their nature where that is what is wrong."""
    path = folder.path
    if isinstance(path, StorePath):
        names = (each.relative_to(path).as_posix() for each, _ in path.walk_files())
        return sorted(name for name in names if not _may_be(name))
    return sorted(_foreign_on_disk(path))


def _foreign_on_disk(folder: Path) -> Iterator[str]:
    for below in ("", REJECTED_FOLDER):
        place = folder / below
        if place.is_symlink() or not place.is_dir():
            continue  # a link in place of the folder of rejected rows is named above
        with os.scandir(place) as entries:
            for entry in entries:
                name = f"{below}/{entry.name}" if below else entry.name
                is_folder = name == REJECTED_FOLDER
                fits = entry.is_dir(follow_symlinks=False) if is_folder else entry.is_file(follow_symlinks=False)
                if not is_folder and not _may_be(name):
                    yield path_text(name)
                elif not fits:
                    yield f"{path_text(name)}: {nature_of(Path(entry.path))}"


def _may_be(name: str) -> bool:
    """Whether a file of a run may have a name; which parts there must be, its report says."""
    inside = name.removeprefix(f"{REJECTED_FOLDER}/")
    is_part = "/" not in inside and fnmatchcase(inside, PARTS)
    return is_part or name in FINISHED_FILES or PASSING.fullmatch(name) is not None
