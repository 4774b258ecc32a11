"""The names of input files, and the patterns that find them."""

from collections.abc import Sequence
from fnmatch import fnmatchcase

SUFFIX = ".parquet"
HIDDEN = ("_", ".")
"""How names begin that are no data by convention."""


def matches(pattern: Sequence[str], parts: Sequence[str]) -> bool:
    """Whether a glob pattern finds a path; both in their parts. `**` stands for any number of folders."""
    if not pattern or not parts:
        return not parts and all(part == "**" for part in pattern)
    if pattern[0] == "**":
        return matches(pattern[1:], parts) or (not parts[0].startswith(".") and matches(pattern, parts[1:]))
    is_hidden = parts[0].startswith(".") and not pattern[0].startswith(".")
    return not is_hidden and fnmatchcase(parts[0], pattern[0]) and matches(pattern[1:], parts[1:])
