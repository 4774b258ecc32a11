"""Groups of columns that share one value, from a file or from Python."""

import csv
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from whyport.batch.methods.players import as_groups
from whyport.batch.option_files import read_option_file
from whyport.runtime.bundle.codec import load
from whyport.runtime.errors import BundleFormatError, UsageError

HEADER = ["player", "column"]
"""The first line of a CSV file; one line for each column of each group follows."""


def given_groups(given: str | Path | Mapping[str, Iterable[str]] | None) -> dict[str, tuple[str, ...]]:
    """The columns of each group, by its name: of a file, or as they are; no groups for None.

    Raises:
        UsageError: the file cannot be read, or there is something else than names.
    """
    if isinstance(given, str | Path):
        return read_groups(Path(given))
    return {} if given is None else as_groups(given)


def read_groups(path: Path) -> dict[str, tuple[str, ...]]:
    """The groups of a file.

    A file named *.json holds an object: `{"size": ["radius", "area"]}`. A file named *.csv has the columns `player` and
    `column`, and a line for each column of each group.

    Raises:
        UsageError: the file cannot be read, names a group twice, or holds something else.
    """
    return read_option_file("players", path, _from_json, _from_csv)


def _from_json(text: str) -> dict[str, tuple[str, ...]]:
    try:
        document = load(text)
    except BundleFormatError as error:
        raise UsageError(f"players: {error}") from None
    lists: Any = document
    if not isinstance(lists, dict) or not all(isinstance(columns, list) for columns in lists.values()):
        raise UsageError('players: expected an object such as {"size": ["radius", "area"]}, got something else')
    return as_groups(lists)


def _from_csv(text: str) -> dict[str, tuple[str, ...]]:
    try:
        lines = [line for line in csv.reader(io.StringIO(text, newline=""), strict=True) if line]
    except csv.Error as error:
        raise UsageError(f"players: {error}") from None
    if not lines or lines[0] != HEADER:
        got = ",".join(lines[0]) if lines else "nothing"
        raise UsageError(f"players: expected the columns {','.join(HEADER)} in the first line, got {got!r}")
    found: dict[str, tuple[str, ...]] = {}
    for line in lines[1:]:
        if len(line) != len(HEADER):
            raise UsageError(f"players: expected a player and a column in every line, got {','.join(line)!r}")
        name, column = line
        found[name] = (*found.get(name, ()), column)
    return found
