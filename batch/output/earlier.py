"""The jobs below some folders, and the inputs that the finished ones have scored."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from whyport.batch.output.folder import JOB_FILE, REPORT_FILE, SUCCESS_FILE, OutputFolder
from whyport.batch.output.job_file import BundleMark, InputMark, JobFile
from whyport.batch.output.result import read_report
from whyport.batch.store.objects import disk_of
from whyport.runtime.errors import JobError, UsageError
from whyport.runtime.paths import path_text
from whyport.runtime.store.path import Place, StorePath, is_there, real_place


@dataclass(frozen=True)
class EarlierJob:
    """A finished job."""

    folder: Place
    bundle: BundleMark
    scored: tuple[InputMark, ...]
    """The inputs whose every row is in a part or rejected; none that was skipped."""

    @classmethod
    def read(cls, folder: Place) -> "EarlierJob | None":
        """Read a folder's documents; None for a job that is not finished.

        Raises JobError where a document of a finished job cannot be read, or its two documents are of different inputs.
        """
        there = OutputFolder(folder, disk_of(folder))
        if not there.is_finished:
            return None
        document = there.read_json(JOB_FILE)
        if document == {}:  # a run that is being replaced
            return None
        job = JobFile.build(document, folder / JOB_FILE)
        report = read_report(there)
        rows = {file.source_file: file.rows_in for file in report.files}
        scored = tuple(mark for mark in job.inputs if mark.source_file in rows)
        accounted = rows.keys() | {file.source_file for file in report.skipped}
        if accounted != {mark.source_file for mark in job.inputs} or any(rows[m.source_file] != m.rows for m in scored):
            raise JobError(
                f"expected the inputs that {JOB_FILE} has, and their rows, got others, in {folder / REPORT_FILE}"
            )
        return cls(folder, job.bundle, scored)


@dataclass(frozen=True)
class EarlierJobs:
    """The jobs below some folders."""

    finished: tuple[EarlierJob, ...]
    unfinished: tuple[Place, ...]

    @classmethod
    def below(cls, folders: Sequence[Place], out: Place) -> "EarlierJobs":
        """Find and read the jobs in some folders and at any depth below them, each once, but for the one in `out`.

        A link to a folder is followed. Folders whose names begin with "." are passed over. A folder that is not there
        has no jobs, if `out` is below it: the first job makes it.

        Raises:
            UsageError: one of the folders is no folder, or is not there.
            JobError: a folder, or a document of a finished job, cannot be read.
        """
        finished, unfinished = [], []
        for folder in _job_folders(folders, real_place(out)):
            job = EarlierJob.read(folder)
            if job is None:
                unfinished.append(folder)
            else:
                finished.append(job)
        return cls(tuple(finished), tuple(unfinished))

    def with_job(self, folder: Place | None) -> "EarlierJobs":
        """These jobs and the finished one in a folder."""
        job = None if folder is None else EarlierJob.read(folder)
        return self if job is None else EarlierJobs((*self.finished, job), self.unfinished)


def _job_folders(folders: Sequence[Place], out: Place) -> Iterator[Place]:
    """The folders with a job's documents, each once."""
    entered: set[Place] = set()
    for given in folders:
        if not is_there(given) and out.is_relative_to(real_place(given)):
            continue
        if not given.is_dir():
            got = "what is no folder" if is_there(given) else "nothing"
            raise UsageError(
                f"new_since: expected the folder of a job, or of several, got {got}, in {path_text(given)}"
            )
        remaining = [given]
        while remaining:
            folder = remaining.pop()
            place = real_place(folder)
            if place in entered or place == out:
                continue
            entered.add(place)
            names, below = _entries(folder)
            remaining += below
            if JOB_FILE in names or {SUCCESS_FILE, REPORT_FILE} <= names:
                yield folder


def _entries(folder: Place) -> tuple[set[str], list[Place]]:
    """The names in a folder; and the folders in it, the last name first."""
    if isinstance(folder, StorePath):
        folders, objects = folder.entries()
        names = {path.name for path in (*folders, *objects)}
        return names, [path for path in sorted(folders, reverse=True) if not path.name.startswith(".")]
    try:
        with os.scandir(folder) as scanned:
            entries = sorted(scanned, key=lambda entry: entry.name, reverse=True)
    except OSError as error:
        # The jobs below would not count, and nobody would know.
        raise JobError(f"cannot read: {error.strerror}, in {path_text(error.filename)}") from None
    below: list[Place] = [
        folder / entry.name for entry in entries if not entry.name.startswith(".") and _is_folder(entry)
    ]
    return {entry.name for entry in entries}, below


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder, or a link to one; a link that leads in circles is none."""
    return entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path))
