"""The output folder of a run: its files, its lock, and what an earlier attempt left."""

import fcntl
import json
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from whyport.batch.output.job_file import JobFile
from whyport.batch.output.parts import PartSpan
from whyport.batch.store.local import Disk, remove_file, write_whole, writing
from whyport.runtime.errors import JobError, OutputError, UsageError, listing

# Keys that only inform a reader about where things were; the digests identify them.
INFORMATIVE = ("path",)


def differences(there: dict[str, Any], here: dict[str, Any]) -> list[str]:
    """The differences between two jobs, one line each; empty if they give the same output."""
    old, new = dict(_flat(there)), dict(_flat(here))
    return [
        f"{key}: {_shown(old, key)} there, {_shown(new, key)} here"
        for key in dict.fromkeys([*old, *new])
        if key not in old or key not in new or old[key] != new[key]
    ]


def _flat(document: dict[str, Any], place: str = "") -> Iterator[tuple[str, Any]]:
    """Every value with its path; inputs are keyed by name and order."""
    for key, value in document.items():
        if key in INFORMATIVE:
            continue
        if key == "inputs" and isinstance(value, list):
            for i, entry in enumerate(value):
                name = entry.get("source_file")
                yield f"input {name!r}, place", i
                yield from ((f"input {name!r}, {inner}", v) for inner, v in _flat(entry))
        elif isinstance(value, dict):
            yield from _flat(value, f"{place}{key}.")
        else:
            yield f"{place}{key}", value


def _shown(values: dict[str, Any], key: str) -> str:
    return json.dumps(values[key], ensure_ascii=False) if key in values else "nothing"


LOCK_FILE = "_lock"


@contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold a folder's lock; raises JobError naming the holder if another process has it."""
    path = folder / LOCK_FILE
    descriptor = _acquire(path)
    try:
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"process {os.getpid()} on {socket.gethostname()}".encode(), 0)
        yield
    finally:
        path.unlink(missing_ok=True)
        os.close(descriptor)


def _acquire(path: Path) -> int:
    while True:
        with writing(path):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(descriptor, 200, 0).decode(errors="replace") or "another process"
            os.close(descriptor)
            raise JobError(f"another run writes to {str(path.parent)!r}: {holder}") from None
        # The previous holder may have removed the file between our open and our lock: we would hold an invisible name.
        if path.exists() and os.path.samestat(os.fstat(descriptor), path.stat()):
            return descriptor
        os.close(descriptor)


JOB_FILE = "_job.json"
REPORT_FILE = "_report.json"
SKIPPED_FILE = "_skipped.json"
SUCCESS_FILE = "_SUCCESS"
REJECTED_FOLDER = "_rejected"

MAX_DIFFERENCES = 12


class OutputFolder:
    """Every file of a run except its lock.

    Args:
        path: the folder.
        disk: writes the files.
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self.path = path
        self.disk = disk
        self.rejected = path / REJECTED_FOLDER

    @property
    def is_finished(self) -> bool:
        """Whether the run in the folder finished."""
        return (self.path / SUCCESS_FILE).exists()

    def check(self) -> None:
        """Check that a run may write here; raises UsageError if it would mix with other files or destroy them."""
        if self.path.exists() and not self.path.is_dir():
            raise UsageError(f"expected a folder for the output, got the file {str(self.path)!r}")
        if not self.path.exists() or (self.path / JOB_FILE).exists():
            return
        if any(entry.name not in (LOCK_FILE, f".{JOB_FILE}.tmp") for entry in self.path.iterdir()):
            raise UsageError(
                f"{str(self.path)!r} is not empty and holds no earlier run ({JOB_FILE}): choose another folder"
            )

    def check_writable(self) -> None:
        """Check, without writing, that the folder or its nearest parent is writable; raises OutputError otherwise."""
        nearest = next(path for path in (self.path, *self.path.absolute().parents) if path.exists())
        if not os.access(nearest, os.W_OK | os.X_OK):
            raise OutputError(f"cannot write: permission denied, in {nearest}")

    def holds(self, job: JobFile, overwrite: bool) -> bool:
        """Whether the folder holds an attempt at this job; raises UsageError if it holds another that must stay."""
        if not (self.path / JOB_FILE).exists():
            return False
        found = self.read_json(JOB_FILE)
        changed = differences(found, job.document())
        if changed and not overwrite:
            raise UsageError(_refusal(self.path, found, changed))
        return not changed and not (overwrite and self.is_finished)

    def open(self, job: JobFile, overwrite: bool) -> bool:
        """Make the folder ready for a job; returns whether it holds an attempt at the same job.

        A different job, or with `overwrite` a finished one, is removed first; raises UsageError if that is not allowed.
        """
        is_held = self.holds(job, overwrite)
        if not is_held:
            if (self.path / JOB_FILE).exists():
                self._clear()
            self.write_json(JOB_FILE, job.document())
        self._remove_unfinished()
        return is_held

    def parts(self) -> list[Path]:
        """The parts, then the rejected parts."""
        return [path for folder in (self.path, self.rejected) for path in sorted(folder.glob("part-*.parquet"))]

    def check_contents(self, expected: Iterable[PartSpan]) -> None:
        """Raise JobError for parts that are not the job's: readers of the folder would count their rows."""
        names = {span.name for span in expected}
        foreign = [str(path) for path in self.parts() if path.name not in names]
        if foreign:
            raise JobError(f"expected parts of this job alone, got {listing(foreign)}")

    def rejected_file(self, span: PartSpan) -> Path:
        """The path for the rejected rows of a part; makes the folder."""
        with writing(self.rejected):
            self.disk.make_folder(self.rejected)
        return self.rejected / span.name

    def remove_part(self, span: PartSpan) -> None:
        """Remove a part and then its rejected part; in this order, because a part vouches for both."""
        remove_file(self.disk, self.path / span.name)
        remove_file(self.disk, self.rejected / span.name)

    def skipped(self) -> dict[str, str]:
        """The inputs that an earlier attempt found to be bad, with the reason."""
        return self.read_json(SKIPPED_FILE) if (self.path / SKIPPED_FILE).exists() else {}

    def forget_skipped(self) -> None:
        """Forget which inputs were skipped, so that they are tried again."""
        self._remove(SUCCESS_FILE)
        self._remove(SKIPPED_FILE)

    def finish(self, report: dict[str, Any]) -> None:
        """Write the report, and then `_SUCCESS`."""
        self.write_json(REPORT_FILE, report)
        write_whole(self.disk, self.path / SUCCESS_FILE, b"")

    def read_json(self, name: str) -> dict[str, Any]:
        """Read one of the folder's documents; raises JobError where it cannot be read."""
        path = self.path / name
        try:
            document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise JobError(f"expected a document that a run has written, got {error}, in {path}") from None
        return document

    def write_json(self, name: str, document: dict[str, Any]) -> None:
        """Write one of the folder's documents, whole or not at all."""
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
        write_whole(self.disk, self.path / name, text.encode())

    def _clear(self) -> None:
        """Remove only an earlier run's files; after a kill on the way, the folder still says that it is unfinished."""
        self.write_json(JOB_FILE, {})
        for name in (SUCCESS_FILE, REPORT_FILE, SKIPPED_FILE):
            self._remove(name)
        for path in self.parts():
            remove_file(self.disk, path)

    def _remove_unfinished(self) -> None:
        for folder in (self.path, self.rejected):
            for path in (*folder.glob(".part-*.parquet.tmp"), *folder.glob("._*.tmp")):
                remove_file(self.disk, path)

    def _remove(self, name: str) -> None:
        remove_file(self.disk, self.path / name)


def _refusal(path: Path, found: dict[str, Any], changed: list[str]) -> str:
    if not found:
        return f"{str(path)!r} holds a run that was being replaced; --overwrite goes on with that"
    shown = "".join(f"\n  {line}" for line in changed[:MAX_DIFFERENCES])
    more = f"\n  and {len(changed) - MAX_DIFFERENCES} more" if len(changed) > MAX_DIFFERENCES else ""
    return f"{str(path)!r} holds another job; --overwrite replaces it, or choose another folder{shown}{more}"
