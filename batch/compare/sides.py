"""The sides of a comparison: finished runs, and a bundle in the place of its training."""

from dataclasses import dataclass
from functools import cached_property
from typing import Self

from whyport.batch.output.folder import JOB_FILE
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import SIDECAR, task_of
from whyport.runtime.errors import UsageError, WhyportError
from whyport.runtime.store.path import Place, has_file
from whyport.runtime.task import Task


@dataclass(frozen=True)
class RunSide:
    """A finished run."""

    run: FinishedRun
    place: Place
    """The folder, as it was given."""

    @property
    def title(self) -> str:
        """The side in words."""
        return str(self.place)

    @property
    def task(self) -> Task:
        """The meaning of the model's outputs."""
        return self.run.task

    @property
    def digest(self) -> str:
        """The digest of the model's bundle."""
        return self.run.job.bundle.digest

    @property
    def model(self) -> str:
        """The name of the model's bundle."""
        return self.run.job.bundle.name

    @property
    def rows(self) -> int:
        """The number of scored rows."""
        return self.run.report.rows_out

    @cached_property
    def bundle(self) -> Bundle | None:
        """The run's bundle; None where it is gone."""
        try:
            return self.run.open_bundle()
        except WhyportError:
            return None


@dataclass(frozen=True)
class TrainingSide:
    """A bundle, for its training."""

    bundle: Bundle
    place: Place

    @property
    def title(self) -> str:
        """The side in words."""
        return f"the training of {self.place}"

    @property
    def task(self) -> Task:
        """The meaning of the model's outputs."""
        return task_of(self.bundle.sidecar)

    @property
    def digest(self) -> str:
        """The digest of the bundle."""
        return self.bundle.digest

    @property
    def model(self) -> str:
        """The name of the bundle."""
        return self.bundle.sidecar.name

    @property
    def rows(self) -> int | None:
        """The number of scored rows; None, as there are none."""
        return None

    @classmethod
    def read(cls, place: Place) -> Self:
        """Read the bundle of a folder; raises BundleError if it cannot be read."""
        return cls(Bundle.read(place), place)


def first_side(place: Place) -> RunSide | TrainingSide:
    """The side that others are compared with, a run or a bundle; raises UsageError for another folder."""
    if has_file(place / JOB_FILE):
        return RunSide(FinishedRun.read(place), place)
    if has_file(place / SIDECAR):
        return TrainingSide.read(place)
    raise UsageError(
        f"expected the output folder of a run, which has a {JOB_FILE}, or a bundle, which has a {SIDECAR}, "
        f"got {str(place)!r}"
    )


def other_side(place: Place) -> RunSide:
    """A side that is compared with the first one; raises UsageError for anything but a run."""
    if not has_file(place / JOB_FILE) and has_file(place / SIDECAR):
        raise UsageError(f"expected the output folder of a run, got the bundle {str(place)!r}: name it first")
    return RunSide(FinishedRun.read(place), place)
