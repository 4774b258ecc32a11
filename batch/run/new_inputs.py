"""The inputs of a run that takes alone what no finished job has scored."""

import dataclasses
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from whyport.batch.output.differences import refusal
from whyport.batch.output.earlier import EarlierJobs
from whyport.batch.output.folder import JOB_FILE, OutputFolder
from whyport.batch.output.job_file import InputMark, JobFile
from whyport.batch.output.scored_inputs import ScoredInputs, Standing
from whyport.batch.settings import JobSettings
from whyport.batch.source.files import UNREADABLE, Fingerprint
from whyport.batch.store.objects import disk_of
from whyport.runtime.errors import DataError, UsageError, listing
from whyport.runtime.paths import path_text
from whyport.runtime.store.path import Place, StorePath, is_there
from whyport.runtime.store.side_by_side import mapped

NAMED = 5
"""The files that a line names; further ones are counted."""


@dataclass(frozen=True)
class NewInputs:
    """The chosen inputs of a run, and the others that were found, each in the order in which they were found."""

    chosen: Mapping[Place, Standing]
    passed_over: Mapping[Place, Standing]
    """Inputs that finished jobs have scored."""
    left: tuple[Place, ...]
    """Inputs that no finished job has scored, and that are not chosen, as the output folder holds a job."""
    jobs: EarlierJobs
    bundle: str
    """The digest of the run's bundle."""
    resumes: bool
    """Whether the chosen ones are the inputs of an unfinished job in the output folder."""

    @classmethod
    def choose(
        cls, found: Sequence[Place], settings: JobSettings, bundle: str, columns: Collection[str]
    ) -> "NewInputs":
        """Choose a run's inputs among all that were found.

        Where the output folder holds a job that is not finished, its inputs are chosen, whatever has come since: so the
        same command resumes it, and every shard has the same inputs. Elsewhere, and with `overwrite`, those are chosen
        that no finished job below `settings.new_since` has scored. A finished job in the output folder leaves nothing
        to be chosen.

        Args:
            found: the inputs.
            settings: the options.
            bundle: the bundle's digest.
            columns: the columns that are read.

        Raises:
            UsageError: the job in the output folder is finished, and there are newer inputs; or it is not, and none of
                its inputs was found, or another job has scored some; or it is being replaced.
            JobError: a job cannot be read.
        """
        folder = OutputFolder(settings.out, disk_of(settings.out))
        own = {} if settings.overwrite else _inputs_of(folder)
        is_finished = bool(own) and folder.is_finished
        jobs = EarlierJobs.below(settings.new_since, settings.out).with_job(folder.path if is_finished else None)
        scored = ScoredInputs(jobs.finished, columns)
        chosen: dict[Place, Standing] = {}
        passed_over: dict[Place, Standing] = {}
        left = []

        def look(path: Place) -> tuple[Standing, bool]:
            """The standing of an input, and whether it is chosen."""
            standing, mark = scored.standing(path), own.get(_name(path))
            if own and not is_finished:
                return standing, mark is not None
            return standing, not standing.is_scored and (mark is None or not _is_as_it_was(path, mark))

        in_store = any(isinstance(path, StorePath) for path in found)
        for path, (standing, is_chosen) in zip(found, mapped(look, found, side_by_side=in_store), strict=True):
            if is_chosen:
                chosen[path] = standing
            elif standing.is_scored:
                passed_over[path] = standing
            else:
                left.append(path)
        inputs = cls(chosen, passed_over, tuple(left), jobs, bundle, bool(own) and not is_finished)
        if is_finished:
            inputs._check_finished(folder)
        elif own:
            inputs._check_resumed(folder)
        return inputs

    def check_still_new(self, settings: JobSettings, columns: Collection[str]) -> None:
        """Raise UsageError if another job has scored some of these inputs since they were chosen.

        Takes what `choose` took; the output folder holds the job, not finished.
        """
        resumed = dataclasses.replace(settings, overwrite=False)
        self.choose(tuple(self.chosen), resumed, self.bundle, columns)

    @property
    def names(self) -> tuple[str, ...]:
        """The chosen inputs, as `source_file` names them."""
        return tuple(map(_name, self.chosen))

    @property
    def lines(self) -> list[str]:
        """What was chosen and why, in a line each."""
        every = len(self.chosen) + len(self.passed_over) + len(self.left)
        jobs = f"{len(self.jobs.finished)} finished job{'' if len(self.jobs.finished) == 1 else 's'}"
        if self.resumes:
            first = f"of the job in the output folder: {len(self.chosen)} of {every} inputs"
        elif self.chosen:
            first = f"new since {jobs}: {len(self.chosen)} of {every} inputs"
        else:
            first = f"nothing new since {jobs}: none of {every} inputs"
        return [first, *(f"{what}: {_named(paths)}" for what, paths in self._sorts() if paths), *self._of_others()]

    @property
    def warnings(self) -> list[str]:
        """What may call for somebody's action, in a line each."""
        doubtful = [path for path, each in self.passed_over.items() if each.is_doubtful]
        sorts = {
            "not finished, and so not counted": self.jobs.unfinished,
            "passed over with a footer and size that were scored, but changed at another time": doubtful,
        }
        return [f"{what}: {_named(paths)}" for what, paths in sorts.items() if paths]

    def _sorts(self) -> Iterator[tuple[str, list[Place]]]:
        """The sorts of inputs that are named."""
        if not self.resumes:
            new = self.chosen.items()
            yield "changed since a job scored them", [path for path, each in new if each.last_job]
            unsure = "new by the time of change alone, with a scored footer that has no statistics"
            yield unsure, [path for path, each in new if each.is_doubtful]
            yield "alike in footer and size, and each scored", _alike(self.chosen)
        yield "not scored, and left for another run", list(self.left)

    def _of_others(self) -> list[str]:
        count = sum(self.bundle not in each.bundles for each in self.passed_over.values())
        return [f"scored by other bundles alone: {count} of the {len(self.passed_over)} passed over"] if count else []

    def _check_finished(self, folder: OutputFolder) -> None:
        """Raise UsageError where the output folder holds a finished job, and something is new."""
        if self.chosen:
            newer = f"choose another folder for newer inputs: {_named(self.chosen)}"
            raise UsageError(f"{path_text(folder.path)!r} holds a finished job; {newer}")

    def _check_resumed(self, folder: OutputFolder) -> None:
        """Raise UsageError for an unfinished job that cannot go on."""
        holds = f"{path_text(folder.path)!r} holds an unfinished job, and"
        if not self.chosen:
            raise UsageError(f"{holds} none of its inputs is there; --overwrite replaces it, or choose another folder")
        again = [path for path, each in self.chosen.items() if each.is_scored]
        if again:
            since = f"other jobs have scored {len(again)} of its inputs since: {_named(again)}"
            raise UsageError(f"{holds} {since}; --overwrite takes what is new now")


def _inputs_of(folder: OutputFolder) -> dict[str, InputMark]:
    """The inputs of the job in a folder, by name; none where there is no job."""
    if not is_there(folder.path / JOB_FILE):
        return {}
    document = folder.read_json(JOB_FILE)
    if document == {}:
        raise refusal(folder.path, document, [])
    return {mark.source_file: mark for mark in JobFile.build(document, folder.path / JOB_FILE).inputs}


def _is_as_it_was(path: Place, mark: InputMark) -> bool:
    """Whether a file is the one that a job had as an input, scored or skipped."""
    try:
        found = Fingerprint.read(path)
    except (OSError, DataError):
        found = UNREADABLE
    return (found.size, found.modified_ns, found.footer_sha256) == (mark.size, mark.modified_ns, mark.footer_sha256)


def _alike(paths: Mapping[Place, Standing]) -> list[Place]:
    """The files with the footer and the size of another one."""
    by_content: dict[tuple[str, int] | None, list[Place]] = {}
    for path, each in paths.items():
        by_content.setdefault(each.content, []).append(path)
    by_content.pop(None, None)
    return [path for group in by_content.values() if len(group) > 1 for path in group]


def _name(path: Place) -> str:
    return path_text(path.as_posix())


def _named(paths: Iterable[Place]) -> str:
    return listing(map(_name, paths), NAMED)
