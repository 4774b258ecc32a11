"""The wordings of reasons, from a file or from Python."""

import csv
import io
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from whyport.batch.option_files import read_option_file
from whyport.runtime.bundle.codec import load
from whyport.runtime.errors import BundleFormatError, UsageError, unknown

OPTION = "reason_texts"
EXAMPLE = '{"income": "Income is too low", "debt": {"text": "Debt", "code": "D1"}}'
FIELDS = ("text", "code", "high", "low")
REQUIRED = ("feature", "text")


@dataclass(frozen=True)
class Wording:
    """The user's words for a feature that speaks against the outcome."""

    text: str
    code: str | None = None
    """The code of the reason, which has a column of its own."""
    high: str | None = None
    """The text where the value is above the mean of the reference rows; None for `text`."""
    low: str | None = None
    """The text where it is below."""

    @property
    def has_sides(self) -> bool:
        """Whether the text depends on the value."""
        return self.high is not None or self.low is not None

    def record(self) -> dict[str, str]:
        """The texts that are given, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def given_wordings(given: str | Path | Mapping[str, Any] | None) -> dict[str, Wording]:
    """The wording of each feature, of a file or as they are: a text, or a mapping with text, code, high, low.

    A file named *.json holds an object of these; one named *.csv has the columns feature and text, and perhaps code,
    high and low.

    Raises UsageError where the file cannot be read, or there is something else.
    """
    if given is None:
        return {}
    if not isinstance(given, str | Path):
        return _from_mapping(given)
    return read_option_file(OPTION, Path(given), _from_json, _from_csv)


def _from_mapping(given: Any) -> dict[str, Wording]:
    if not isinstance(given, Mapping):
        raise UsageError(f"{OPTION}: expected an object such as {EXAMPLE}, got {type(given).__name__}")
    if not given:
        raise UsageError(f"{OPTION}: expected the wording of a feature, got none")
    return {str(feature): _wording(str(feature), each) for feature, each in given.items()}


def _wording(feature: str, given: Any) -> Wording:
    if isinstance(given, Wording):
        return given
    values = {"text": given} if isinstance(given, str) else given
    if not isinstance(values, Mapping) or "text" not in values:
        raise UsageError(f"{OPTION}: expected a text, or an object with one, for {feature!r}, got {given!r}")
    for name, value in values.items():
        if name not in FIELDS:
            raise UsageError(f"{OPTION}: {unknown('key', str(name), FIELDS)}, of {feature!r}")
        if value is not None and (not isinstance(value, str) or not value.strip()):
            raise UsageError(f"{OPTION}: expected a text as {name} of {feature!r}, got {value!r}")
    if values["text"] is None:
        raise UsageError(f"{OPTION}: expected a text for {feature!r}, got none")
    return Wording(**values)


def _from_json(text: str) -> dict[str, Wording]:
    try:
        return _from_mapping(load(text))
    except BundleFormatError as error:
        raise UsageError(f"{OPTION}: {error}") from None


def _from_csv(text: str) -> dict[str, Wording]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise UsageError(f"{OPTION}: {error}") from None
    header = lines[0] if lines else []
    known = (*REQUIRED, *FIELDS[1:])
    if not set(REQUIRED) <= set(header) <= set(known) or len(set(header)) < len(header):
        raise UsageError(f"{OPTION}: expected the columns feature,text[,code][,high][,low], got {','.join(header)!r}")
    found: dict[str, Any] = {}
    for line in lines[1:]:
        if len(line) != len(header):
            raise UsageError(f"{OPTION}: expected {len(header)} values in every line, got {','.join(line)!r}")
        values = {name: value for name, value in zip(header, line, strict=True) if value}
        feature = values.pop("feature", "")
        if feature in found:
            raise UsageError(f"{OPTION}: expected one wording for each feature, got {feature!r} twice")
        found[feature] = values
    return _from_mapping(found)
