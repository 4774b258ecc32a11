"""The output folder of a run: its files, and what an earlier attempt left."""

import json
import os
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from whyport.batch.output.differences import differences, refusal
from whyport.batch.output.job_file import JobFile
from whyport.batch.output.parts import PartSpan
from whyport.batch.store.local import Disk, leftovers, remove_file, remove_leftover, write_new, write_whole, writing
from whyport.batch.store.lock import LOCK_FILE, nature_of
from whyport.runtime.errors import JobError, OutputError, UsageError, listing
from whyport.runtime.store.client import Meta
from whyport.runtime.store.path import Place, StorePath, has_file

JOB_FILE = "_job.json"
REPORT_FILE = "_report.json"
SKIPPED_FILE = "_skipped.json"
SUCCESS_FILE = "_SUCCESS"
SIGNATURE_FILE = "_report.json.sig"
"""The signature of the whole folder, which is made once the run has ended."""
REJECTED_FOLDER = "_rejected"

PARTS = "part-*.parquet"
"""The names of parts."""

OWN_NAMES = (LOCK_FILE, JOB_FILE, REPORT_FILE, SKIPPED_FILE, SUCCESS_FILE, SIGNATURE_FILE, REJECTED_FOLDER)


class OutputFolder:
    """Every file of a run except its lock.

    Args:
        path: the folder; it stays the same after a change of the working folder.
        disk: writes the files.
    """

    def __init__(self, path: Place, disk: Disk) -> None:
        self.path: Place = path.absolute()
        self.disk = disk
        self.rejected: Place = self.path / REJECTED_FOLDER
        self.check_lock: Callable[[], None] = lambda: None
        """Raises JobError where the lock is not held any more; called before anything is replaced or removed."""

    @property
    def is_finished(self) -> bool:
        """Whether the run in the folder finished."""
        return has_file(self.path / SUCCESS_FILE)

    def check_at_work(self) -> None:
        """Raise JobError if others have finished the job, as where a lock was lost: nothing is published then."""
        if isinstance(self.path, StorePath):
            self.check_lock()  # a lease that is held says it, without a request
        elif self.is_finished:
            raise JobError(f"expected a job at work, got one that others have finished meanwhile, in {self.path}")

    def check(self) -> None:
        """Check that a run may write here; raises UsageError if it would mix with other files or destroy them."""
        if isinstance(self.path, StorePath):
            self._check_in_store(self.path)
            return
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"expected a folder for the output, got the file {str(self.path)!r}")
        self._check_natures()
        if not self.path.exists() or (self.path / JOB_FILE).exists():
            return
        known = {*leftovers(self.path, JOB_FILE)}
        self._check_entries(entry for entry in self.path.iterdir() if entry not in known)

    def _check_in_store(self, path: StorePath) -> None:
        """Check a folder in a store as `check` does, by few requests: a store has no links, pipes or devices."""
        if has_file(path / JOB_FILE):
            return
        entries = [*path.iterdir()]
        self._check_entries(entries)
        if not entries and path.is_file():
            raise UsageError(f"expected a folder for the output, got the file {str(path)!r}")

    def _check_entries(self, entries: Iterable[Place]) -> None:
        if any(not entry.name.startswith(LOCK_FILE) for entry in entries):
            raise UsageError(
                f"{str(self.path)!r} is not empty and holds no earlier run ({JOB_FILE}): choose another folder"
            )

    def check_writable(self) -> None:
        """Check, without writing, that the folder or its nearest parent is writable; raises OutputError otherwise."""
        if isinstance(self.path, StorePath):
            return  # only a write can tell
        nearest = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write: permission denied, in {nearest}")

    def holds(self, job: JobFile, overwrite: bool) -> bool:
        """Whether the folder holds an attempt at this job; raises UsageError if it holds another that must stay."""
        if not has_file(self.path / JOB_FILE):
            return False
        found = self.read_json(JOB_FILE)
        changed = differences(found, job.document())
        if changed and not overwrite:
            raise refusal(self.path, found, changed)
        return not changed and not (overwrite and self.is_finished)

    def open(self, job: JobFile, overwrite: bool) -> bool:
        """Make the folder ready for a job; returns whether it holds an attempt at the same job.

        A different job, or with `overwrite` a finished one, is removed first; raises UsageError if that is not allowed.
        """
        is_held = self.holds(job, overwrite)
        if not is_held:
            if has_file(self.path / JOB_FILE):
                self._clear()
            self.write_json(JOB_FILE, job.document())
        self.sweep()
        return is_held

    def join(self, job: JobFile) -> None:
        """Make the folder ready for one of several processes that share a job; nothing is removed.

        Raises UsageError if the folder holds another job.
        """
        if self.holds(job, overwrite=False):
            return
        if not write_new(self.disk, self.path / JOB_FILE, as_json(job.document())):
            self.holds(job, overwrite=False)  # another process was first

    def parts(self) -> list[Place]:
        """The parts, then the rejected parts."""
        if isinstance(self.path, StorePath):
            return [*self.part_objects(self.path)]
        found: list[Place] = []
        for folder in (self.path, self.rejected):
            found += sorted(folder.glob(PARTS))
        return found

    def part_objects(self, path: StorePath) -> dict[StorePath, Meta]:
        """The same in a store, by one listing, with what the store says of each."""
        there = {name: meta for name, meta in path.walk_files() if fnmatchcase(name.name, PARTS)}
        folders = path, path / REJECTED_FOLDER
        return {name: meta for folder in folders for name, meta in there.items() if name.parent == folder}

    def check_contents(self, expected: Iterable[PartSpan]) -> None:
        """Raise JobError for parts that are not the job's: readers of the folder would count their rows."""
        names = {span.name for span in expected}
        foreign = [str(path) for path in self.parts() if path.name not in names]
        if foreign:
            raise JobError(f"expected parts of this job alone, got {listing(foreign)}")

    def rejected_file(self, span: PartSpan) -> Place:
        """The path for the rejected rows of a part; makes the folder."""
        with writing(self.rejected):
            self.disk.make_folder(self.rejected)
        return self.rejected / span.name

    def remove_part(self, span: PartSpan) -> None:
        """Remove a part and then its rejected part; in this order, because a part vouches for both."""
        self.check_lock()
        remove_file(self.disk, self.path / span.name)
        remove_file(self.disk, self.rejected / span.name)

    def make_room(self, spans: Iterable[PartSpan]) -> None:
        """Remove what has the names of parts that are to be made: in a store, a part is created and never replaced."""
        if isinstance(self.path, StorePath):
            there = {path.name for path in self.parts()}
            for span in spans:
                if span.name in there:
                    self.remove_part(span)

    def skipped(self) -> dict[str, str]:
        """The inputs that an earlier attempt found to be bad, with the reason."""
        return self.read_json(SKIPPED_FILE) if has_file(self.path / SKIPPED_FILE) else {}

    def forget_skipped(self) -> None:
        """Forget which inputs were skipped, so that they are tried again."""
        for name in (SIGNATURE_FILE, SUCCESS_FILE, SKIPPED_FILE):
            self._remove(name)

    def sweep(self) -> None:
        """Remove what dead attempts left; temporary files of attempts that are alive stay."""
        for folder in (self.path, self.rejected):
            for path in (*leftovers(folder, PARTS), *leftovers(folder, "_*")):
                remove_leftover(self.disk, path)

    def finish(self, report: dict[str, Any]) -> None:
        """Sweep, write the report, and then `_SUCCESS`."""
        self.sweep()
        self.write_json(REPORT_FILE, report)
        self.check_lock()
        write_whole(self.disk, self.path / SUCCESS_FILE, b"")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the folder's documents; raises JobError where it cannot be read."""
        try:
            document: dict[str, Any] = json.loads(self.read_text(name))
        except (OSError, ValueError) as error:
            raise JobError(f"expected a document that a run has written, got {error}, in {self.path / name}") from None
        return document

    def read_text(self, name: str) -> str:
        """Read one of the folder's documents as text; raises OSError, and UnicodeDecodeError for other bytes."""
        path = self.path / name
        if isinstance(path, StorePath):
            try:
                return path.read_text()
            except FileNotFoundError:
                raise OSError("nothing") from None
        if not path.is_file():  # a pipe would keep the reader waiting
            raise OSError(nature_of(path) if path.exists() else "nothing")
        return path.read_text(encoding="utf-8")

    def write_json(self, name: str, document: dict[str, Any]) -> None:
        """Write one of the folder's documents, whole or not at all."""
        self.check_lock()
        write_whole(self.disk, self.path / name, as_json(document))

    def _check_natures(self) -> None:
        """Raise UsageError for a link, a pipe or a device where a run has a file: none is followed or waited for."""
        assert isinstance(self.path, Path)
        assert isinstance(self.rejected, Path)
        for folder in (self.path, self.rejected):
            if folder is self.rejected and folder.is_symlink():
                raise UsageError(f"expected only what a run has written, got a link: remove it, in {folder}")
            if not folder.is_dir():
                continue
            with os.scandir(folder) as entries:
                for entry in entries:
                    _checknature_of(entry)

    def _clear(self) -> None:
        """Remove only an earlier run's files; after a kill on the way, the folder still says that it is unfinished."""
        self.write_json(JOB_FILE, {})
        for name in (SUCCESS_FILE, REPORT_FILE, SKIPPED_FILE):
            self._remove(name)
        self.disk.remove_existing([self.path / SIGNATURE_FILE, *self.parts()])

    def _remove(self, name: str) -> None:
        self.check_lock()
        remove_file(self.disk, self.path / name)


def as_json(document: dict[str, Any]) -> bytes:
    """The content of one of the folder's documents."""
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    # A path that is not UTF-8 holds surrogates, which JSON escapes in the same way.
    return text.encode(errors="backslashreplace")


def _checknature_of(entry: os.DirEntry[str]) -> None:
    if entry.name not in OWN_NAMES and not entry.name.startswith("part-"):
        return
    is_folder = entry.name == REJECTED_FOLDER and entry.is_dir(follow_symlinks=False)
    if not is_folder and not entry.is_file(follow_symlinks=False):
        got = nature_of(Path(entry.path))
        raise UsageError(f"expected only what a run has written, got {got}: remove it, in {entry.path}")
