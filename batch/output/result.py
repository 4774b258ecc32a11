"""The result of a run, in counts."""

import resource
import sys
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from whyport.batch.output.folder import REPORT_FILE, OutputFolder
from whyport.batch.output.totals import MethodTotals, Totals
from whyport.batch.output.value_totals import ValueTotals
from whyport.batch.reasons.totals import ReasonReport
from whyport.batch.source.discovery import PassedOver
from whyport.runtime.bundle.codec import MAY_LACK, build, load
from whyport.runtime.errors import BundleFormatError, JobError
from whyport.runtime.limits import RowLimit
from whyport.runtime.signing.signature import SignatureMark
from whyport.runtime.task import Task

TAIL_SHARE = 0.99
MOST_LOST = 10
"""Lost workers that are named on the terminal."""

# Exit codes of a run that finished, but not as it should.
TOO_MANY_FAULTY = 3
FILES_SKIPPED = 4


@dataclass(frozen=True)
class MethodReport:
    """The completeness errors of one method's attributions, in the score's unit."""

    worst_completeness_error: float | None
    """The largest error; None if an error is not finite."""
    p99_completeness_error: float | None
    """The bound that 99 % of the errors do not exceed; itself up to 5 % too large."""
    not_converged: int
    """Rows of which an explanation has not converged."""

    @classmethod
    def of(cls, totals: MethodTotals) -> Self:
        """The figures for a reader, from the totals."""
        tail = totals.errors.quantile(TAIL_SHARE)
        return cls(
            worst_completeness_error=None if totals.errors.not_finite else totals.errors.worst,
            p99_completeness_error=tail if tail < float("inf") else None,
            not_converged=totals.not_converged,
        )


@dataclass(frozen=True)
class ValueReport:
    """The predictions of one quantity, in its own unit; None where there are no rows."""

    minimum: float | None
    mean: float | None
    maximum: float | None

    @classmethod
    def of(cls, totals: ValueTotals) -> Self:
        """The figures for a reader, from the totals."""
        return cls(totals.minimum, totals.mean, totals.maximum)


@dataclass(frozen=True)
class FileReport:
    """One input that was scored."""

    source_file: str
    rows_in: int
    rows_out: int
    rows_rejected: int


@dataclass(frozen=True)
class SkippedFile:
    """One input that was skipped; none of its rows are in the output."""

    source_file: str
    reason: str


@dataclass(frozen=True)
class Workers:
    """The workers of an executor that made parts in other processes."""

    orders: dict[str, int]
    """Orders carried out, by worker; an order is some parts of one input."""
    attempts: int
    """Orders given: more than were carried out where a worker was lost."""
    lost: tuple[str, ...]
    """The workers that were lost, as far as the executor names them."""


@dataclass(frozen=True)
class Performance:
    """The performance of one attempt: everything that may differ between two runs of the same job."""

    resumed_parts: int
    """The number of parts that existed before this attempt."""
    seconds: dict[str, float]
    """Seconds by stage in this attempt; `total` is the wall clock."""
    rows_per_second: dict[str, float]
    """Rows per second by stage, over the rows of this attempt."""
    peak_memory_bytes: int
    workers: Workers | None = field(default=None, metadata={MAY_LACK: True})
    """The workers of this attempt; None where the process itself made the parts."""

    @classmethod
    def of(cls, seconds: dict[str, float], rows: int, resumed_parts: int, workers: Workers | None = None) -> Self:
        """The figures of an attempt with these seconds by stage, over the rows that it scored itself."""
        rates = {name: rows / max(value, 1e-9) for name, value in seconds.items()}
        return cls(resumed_parts, dict(seconds), rates, peak_memory(), workers)

    @property
    def workers_lines(self) -> list[str]:
        """The workers for a terminal."""
        if self.workers is None:
            return []
        workers = self.workers
        done = sum(workers.orders.values())
        return [
            f"workers   {len(workers.orders)}, {done} orders, {workers.attempts} attempts, {len(workers.lost)} lost",
            *(f"          lost: {name}" for name in workers.lost[:MOST_LOST]),
            *([f"          and {len(workers.lost) - MOST_LOST} more"] if len(workers.lost) > MOST_LOST else []),
        ]


@dataclass(frozen=True)
class JobReport:
    """The contents of _report.json."""

    rows_in: int
    """Rows of the inputs that were scored."""
    rows_out: int
    rejected: dict[str, int]
    """Rows by reason."""
    predictions: dict[str, int]
    """Rows by predicted target; empty for a task that predicts none."""
    values: dict[str, ValueReport]
    """Predicted quantities by column; empty for a task that predicts targets."""
    explained: dict[str, int]
    """Rows by method."""
    not_finite: dict[str, int]
    """Rows by method of which an explanation is not finite, and has no attributions."""
    methods: dict[str, MethodReport]
    """Figures of each method that claims to add up."""
    rows_unseen: int
    """Rows, rejected ones too, with a value that training has not seen in any column."""
    unseen: dict[str, int]
    """Such values by column: other categories, changed types, dates that do not exist."""
    cut: dict[str, int]
    """Texts by column that are longer than the model takes, of which it sees the beginning."""
    reasons: ReasonReport | None
    """What the reasons as texts tell, and leave out; None where none were asked for."""
    parts: dict[str, str]
    """sha256 by file, of the parts and the rejected parts."""
    files: tuple[FileReport, ...]
    skipped: tuple[SkippedFile, ...]
    passed_over: PassedOver
    provider: str
    performance: Performance
    bundle_signature: SignatureMark | None = field(default=None, metadata={MAY_LACK: True})
    """The bundle's signature as the last attempt found it; None where the bundle was not signed."""

    @classmethod
    def of(
        cls,
        files: list[tuple[FileReport, Totals]],
        skipped: list[SkippedFile],
        passed_over: PassedOver,
        parts: dict[str, str],
        provider: str,
        performance: Performance,
    ) -> Self:
        """Sum up the reports of the inputs."""
        totals = sum((totals for _, totals in files), Totals())
        return cls(
            rows_in=sum(file.rows_in for file, _ in files),
            rows_out=totals.rows_out,
            rejected=totals.rejected,
            predictions=totals.predictions,
            values={name: ValueReport.of(values) for name, values in totals.values.items()},
            explained={name: method.explained for name, method in totals.methods.items()},
            not_finite={name: method.not_finite for name, method in totals.methods.items()},
            methods={name: MethodReport.of(method) for name, method in totals.methods.items() if method.errors.total},
            rows_unseen=totals.rows_unseen,
            unseen=totals.unseen,
            cut=totals.cut,
            reasons=None if totals.reasons is None else ReasonReport.of(totals.reasons),
            parts=parts,
            files=tuple(file for file, _ in files),
            skipped=tuple(skipped),
            passed_over=passed_over,
            provider=provider,
            performance=performance,
        )

    def check(self) -> None:
        """Raise BundleFormatError for a method without its number of rows, or times without their total."""
        for name in {**self.methods, **self.not_finite}:
            if name not in self.explained:
                raise BundleFormatError(f"$.explained: missing key {name!r}")
        performance = self.performance
        for key, values in {"seconds": performance.seconds, "rows_per_second": performance.rows_per_second}.items():
            if "total" not in values:
                raise BundleFormatError(f"$.performance.{key}: missing key 'total'")

    @property
    def rows_rejected(self) -> int:
        """The number of rejected rows, over all reasons."""
        return sum(self.rejected.values())

    def exit_code(
        self,
        max_rejected: int | str | None = None,
        max_not_converged: int | str | None = None,
        max_unseen: int | str | None = None,
    ) -> int:
        """The exit code of a finished run: 0, TOO_MANY_FAULTY or FILES_SKIPPED.

        Args:
            max_rejected: a count, or a share of all rows such as "1%"; None for no limit.
            max_not_converged: a count, or a share of the explained rows, that no method may exceed; None for no limit.
            max_unseen: a count, or a share of all rows, of rows with a value that training has not seen.
        """
        if self.skipped:
            return FILES_SKIPPED
        faulty = (("max_rejected", max_rejected, self.rows_rejected), ("max_unseen", max_unseen, self.rows_unseen))
        for name, most, rows in faulty:
            if most is not None and RowLimit.parse(name, most).is_exceeded(rows, self.rows_in):
                return TOO_MANY_FAULTY
        if max_not_converged is not None:
            limit = RowLimit.parse("max_not_converged", max_not_converged)
            # A method that makes no claim has only what is not finite against it.
            missed = self.not_finite | {name: method.not_converged for name, method in self.methods.items()}
            if any(limit.is_exceeded(count, self.explained[name]) for name, count in missed.items()):
                return TOO_MANY_FAULTY
        return 0

    def lines(self, task: Task) -> list[str]:
        """The report for a terminal, in the terms of the model's task."""
        performance = self.performance
        seconds = performance.seconds
        resumed = f", {performance.resumed_parts} of them from an attempt before" if performance.resumed_parts else ""
        rejected_parts = sum(name.startswith("_") for name in self.parts)
        lines = [
            f"rows      {self.rows_in} in = {self.rows_out} out + {self.rows_rejected} rejected",
            *(f"          {count} x {reason}" for reason, count in Counter(self.rejected).most_common(10)),
            *self._unseen_lines(),
            *(f"cut       {count} texts of column {name!r} at the most tokens" for name, count in self.cut.items()),
            f"files     {len(self.files)}, {len(self.skipped)} skipped",
            *(f"          skipped: {skipped.reason}" for skipped in self.skipped),
            *([f"          {self.passed_over.text}"] if self.passed_over.text else []),
            f"parts     {len(self.parts) - rejected_parts}{resumed}",
            *self._signature_lines(),
        ]
        if self.predictions:
            counted = ", ".join(f"{name} {count}" for name, count in self.predictions.items())
            lines.append(f"{task.targets_title:9} {counted}")
        lines += self._value_lines(task)
        if self.explained:
            lines.append("explained " + ", ".join(f"{count} rows by {name}" for name, count in self.explained.items()))
        for name, method in self.methods.items():
            worst, tail = _shown(method.worst_completeness_error), _shown(method.p99_completeness_error)
            lines.append(
                f"{name}: worst completeness error {worst} {task.unit}, 99 % within {tail}, "
                f"{method.not_converged} of {self.explained[name]} rows not converged"
            )
        lines += [
            f"{name}: {count} rows with an explanation that is not finite: its attributions are null, not converged"
            for name, count in self.not_finite.items()
            if count
        ]
        lines += [] if self.reasons is None else self.reasons.lines()
        rates = performance.rows_per_second
        lines.append(f"time      {seconds['total']:.1f} s, {rates['total']:.0f} rows/s on {self.provider}")
        for name, value in seconds.items():
            if name != "total":
                lines.append(f"          {name:8} {value:10.1f} s {rates[name]:12.0f} rows/s")
        return [
            *lines,
            *performance.workers_lines,
            f"memory    {performance.peak_memory_bytes / 2**20:.0f} MiB at its peak",
        ]

    def _value_lines(self, task: Task) -> list[str]:
        """Smallest, mean and largest of every predicted quantity."""
        units = {column.name: f" {column.unit}" if column.unit else "" for column in task.columns}
        return [
            f"{name:9} {each.minimum:.6g} to {each.maximum:.6g}{units[name]}, mean {each.mean:.6g}{units[name]}"
            for name, each in self.values.items()
            if each.mean is not None
        ]

    def _signature_lines(self) -> list[str]:
        mark = self.bundle_signature
        if mark is None:
            return []
        state = "verified" if mark.verified else "not verified"
        return [f"signature the bundle's, {f'by the key {mark.key}' if mark.key else 'by no key'}, {state}"]

    def _unseen_lines(self) -> list[str]:
        if not self.unseen:
            return []
        columns = [f"          {count} x column {name!r}" for name, count in Counter(self.unseen).most_common(10)]
        return [f"unseen    {self.rows_unseen} rows have values that training has not seen", *columns]


NOT_COUNTED = {
    "values": {},
    "not_finite": {},
    "rows_unseen": 0,
    "unseen": {},
    "cut": {},
    "reasons": None,
    "passed_over": {"others": 0, "names": [], "hidden": 0},
}
"""The counts that reports of older runs lack."""


def read_report(folder: OutputFolder) -> JobReport:
    """Read the report of a finished run; raises JobError where it cannot be read."""
    path = folder.path / REPORT_FILE
    try:
        document = load(folder.read_text(REPORT_FILE))
        report = build(JobReport, NOT_COUNTED | document if isinstance(document, dict) else document)
        report.check()
        return report
    except (OSError, UnicodeDecodeError, BundleFormatError) as error:
        raise JobError(f"expected the report of a run, got {error}, in {path}") from None


def peak_memory() -> int:
    """The peak memory of this process so far, in bytes."""
    # On Linux, ru_maxrss also includes the peak of the process that started this one.
    status = Path("/proc/self/status")
    for line in status.read_text().splitlines() if status.exists() else ():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _shown(error: float | None) -> str:
    return "infinite" if error is None else f"{error:.2g}"
