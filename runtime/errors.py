"""The errors that whyport raises on purpose.

    WhyportError
    ├── UsageError             an option or a name that cannot be what was meant   (exit code 2)
    ├── BundleError            a bundle that cannot be trusted
    │   ├── BundleFormatError      bundle.json is missing, malformed, or of another format version
    │   └── DigestError            a file is missing or is not the one that was exported
    ├── ProviderError          the execution provider that was asked for cannot be had
    ├── StoreError             an object store does not answer, or refuses; it is an OSError too
    ├── SignatureError         a signature is missing, or is not of this key and these files
    ├── MissingPackageError    a package of an extra is not installed
    ├── DataError              input data that cannot be used
    │   ├── ColumnError            a column is missing, of the wrong type, or its name is taken
    │   ├── ValueRangeError        a value that float32 cannot hold faithfully
    │   ├── UnseenValueError       a value that training has not seen, where none is allowed
    │   ├── MissingValueError      a null, NaN or infinity where none is allowed
    │   └── NotFiniteError         a row for which the model gives NaN or infinity
    ├── TrainingError          a table or settings that no model can be trained with
    ├── ExportError            a model that cannot be turned into a bundle
    │   └── UnsupportedOperatorError   an operator that no rule of DeepSHAP can explain
    ├── ParityError            two engines disagree about the same rows
    ├── InterruptedJobError    a signal ended the run; the same command resumes it (exit code 128 + signal)
    └── JobError               a run that cannot start or did not conserve its rows
        ├── OutputError            the output cannot be written: disk full, permission denied
        └── AuditError             a finished run is not what it says

A message says what, expected, got, where. The place is added once, where it is known, with `at`.
"""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Self


def message_line(error: BaseException) -> str:
    """The first line of the message, or the type if it is empty: messages of other packages run over pages."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def first_line(error: BaseException) -> str:
    """The type and the first line of the message: messages of other packages run over pages."""
    return f"{type(error).__name__}: {str(error).strip().partition(chr(10))[0]}"


class WhyportError(Exception):
    """The root of the tree: catching it catches every error of whyport's own."""

    exit_code = 1

    details: tuple[str, ...] = ()
    """Further lines, each about one thing."""

    def lines(self) -> list[str]:
        """The message, and the further lines."""
        return [super().__str__(), *self.details]

    def with_details(self, lines: Iterable[str]) -> Self:
        """The same error with further lines, which `str` gives indented."""
        self.details = tuple(lines)
        return self

    def __str__(self) -> str:
        return "\n  ".join(self.lines())

    def at(self, place: str) -> Self:
        """The same error with the place where it happened appended to its message."""
        return type(self)(f"{self}, in {place}")


class UsageError(WhyportError):
    """An option or a name that cannot be what was meant."""

    exit_code = 2


class BundleError(WhyportError):
    """A bundle that cannot be trusted."""


class BundleFormatError(BundleError):
    """bundle.json is missing, malformed, or of another format version."""


class DigestError(BundleError):
    """A file of the bundle is missing or is not the one that was exported."""


class ProviderError(WhyportError):
    """The execution provider that was asked for cannot be had."""


class StoreError(WhyportError, OSError):
    """An object store does not answer, or refuses what it is asked for.

    Takes what OSError takes: a number or None, the reason, and the object's address.
    """

    def lines(self) -> list[str]:
        """The message, with the object's address."""
        return [f"{self.strerror}, in {self.filename}", *self.details]

    def at(self, place: str) -> Self:
        """The error itself, which names the object already."""
        return self


class SignatureError(WhyportError):
    """A signature is missing, or is not of this key and these files."""


class MissingPackageError(WhyportError):
    """A package that an extra of whyport brings is not installed."""


class DataError(WhyportError):
    """Input data that cannot be used."""


class ColumnError(DataError):
    """A column is missing, of the wrong type, or its name is taken."""


class ValueRangeError(DataError):
    """A value that float32 cannot hold faithfully."""


class UnseenValueError(DataError):
    """A value that training has not seen, where none is allowed."""


class MissingValueError(DataError):
    """A null, NaN or infinity where none is allowed."""


class NotFiniteError(DataError):
    """A row for which the model gives NaN or infinity: it has no prediction."""


class TrainingError(WhyportError):
    """A table or settings that no model can be trained with."""


class ExportError(WhyportError):
    """A model that cannot be turned into a bundle."""


class UnsupportedOperatorError(ExportError):
    """The path from the input to the logits holds an operator that no rule of DeepSHAP can explain."""


class ParityError(WhyportError):
    """Two engines disagree about the same rows."""

    output = ""
    """What they disagree about, where that is one output: the graph's file, if not model.onnx, and its name."""


class InterruptedJobError(WhyportError):
    """A signal ended the run; the same command resumes it.

    Args:
        message: what happened.
        exit_code: 128 + the signal's number, as shells count.
    """

    def __init__(self, message: str, exit_code: int = 130) -> None:
        super().__init__(message)
        self.exit_code = exit_code

    def at(self, place: str) -> Self:
        """The same error: the place where the signal met the run is of no interest."""
        return self


class JobError(WhyportError):
    """A run that cannot start, or that did not conserve its rows."""


class OutputError(JobError):
    """The output cannot be written."""


class AuditError(JobError):
    """A finished run is not what it says."""


def listing(names: Iterable[str], limit: int = 12) -> str:
    """The names in quotes, comma-separated; the names beyond `limit` only as a count."""
    quoted = [repr(name) for name in names]
    if len(quoted) > limit:
        return ", ".join(quoted[:limit]) + f" and {len(quoted) - limit} more"
    return ", ".join(quoted) or "none"


def unknown(kind: str, name: str, known: Iterable[str]) -> str:
    """The message for an unknown name, which suggests the nearest known name and lists the known ones."""
    known = list(known)
    near = get_close_matches(name, known, n=1)
    hint = f" (did you mean {near[0]!r}?)" if near else ""
    return f"unknown {kind} {name!r}{hint}; known: {listing(known)}"
