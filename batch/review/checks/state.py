"""How far an audit of every row has come: a small file, from which the next attempt goes on."""

import hashlib
import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Self

from whyport.batch.output.folder import JOB_FILE, REPORT_FILE
from whyport.batch.review.comparison import Deviations
from whyport.runtime.bundle.codec import decode, encode
from whyport.runtime.errors import BundleFormatError, OutputError, UsageError
from whyport.runtime.files import whole_file
from whyport.runtime.store.path import Place, StorePath

FORMAT_VERSION = 1
SECONDS = 1.0
"""Seconds between two writes: what a kill loses."""


@dataclass(frozen=True)
class Position:
    """The work that is done: every part before one, and its rows before a row."""

    format_version: int
    run: str
    """The digest of the run that is audited."""
    part: int = 0
    """The place of the first part that is not done."""
    row: int = 0
    """The row of its input, or the part's first one, from which that part is to be done."""
    done: int = 0
    """Rows of inputs that are done."""
    rows: int = 0
    """Rows that were computed; the others of those that are done were rejected."""
    explained: int = 0
    prediction: float = 0.0
    attributions: dict[str, float] = field(default_factory=dict)

    @property
    def deviations(self) -> Deviations:
        """The largest deviations so far."""
        return Deviations(self.rows, self.explained, self.prediction, self.attributions)

    def after(self, part: int, row: int, done: int, found: Deviations) -> Self:
        """The position after more rows."""
        total = self.deviations + found
        return replace(
            self,
            part=part,
            row=row,
            done=self.done + done,
            rows=total.rows,
            explained=total.explained,
            prediction=total.prediction,
            attributions=dict(total.attributions),
        )


class StateFile:
    """The file of an audit's position.

    Args:
        path: the file; None keeps nothing.
        run: the digest of the run that is audited.
    """

    def __init__(self, path: Path | None, run: str) -> None:
        self._path = path
        self._run = run
        self._written = 0.0

    def read(self) -> Position:
        """The position that is kept, or the beginning; raises UsageError for the position of another run."""
        beginning = Position(FORMAT_VERSION, self._run)
        if self._path is None or not self._path.exists():
            return beginning
        try:
            found = decode(Position, self._path.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, BundleFormatError) as error:
            raise UsageError(f"state: expected what an audit has kept, got {error}, in {self._path}") from None
        if (found.format_version, found.run) != (FORMAT_VERSION, self._run):
            raise UsageError(
                "state: expected that of this run, as it is now, got that of another or an older one: remove it, or "
                f"choose another file, in {self._path}"
            )
        return found

    def write(self, position: Position, *, at_once: bool = False) -> None:
        """Keep a position, unless another one was kept a moment ago; raises OutputError on failure."""
        if self._path is None or (not at_once and time.monotonic() - self._written < SECONDS):
            return
        try:
            with whole_file(self._path) as file:
                file.write(encode(position).encode())
        except OSError as error:
            raise OutputError(f"cannot write: {error.strerror}, in {self._path}") from None
        self._written = time.monotonic()


def check_outside(state: Path | None, out: Place) -> None:
    """Raise UsageError for a file in the folder that is audited, where it would be a foreign one."""
    if state is None or isinstance(out, StorePath):
        return
    if state.resolve().is_relative_to(out.resolve()):
        raise UsageError(f"state: expected a file outside {str(out)!r}, which has the run alone, got {str(state)!r}")


def digest_of_run(job: Mapping[str, object], report: Mapping[str, object], bundle: str) -> str:
    """The digest of a run: of its documents, which name every part's digest, and of its bundle.

    Args:
        job: the contents of _job.json.
        report: the contents of _report.json.
        bundle: the bundle's digest.
    """
    document = json.dumps({JOB_FILE: job, REPORT_FILE: report, "bundle": bundle}, sort_keys=True)
    return hashlib.sha256(document.encode()).hexdigest()
