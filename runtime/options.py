"""Options that take names, and what `predict` may do with a row."""

import re
from collections.abc import Callable, Iterable
from typing import Any

import click

ON_BAD_ROW = ("null", "fail")
"""What `predict` does with a row for which the model gives NaN or infinity."""

RULE = "Comma-separated; an option that is repeated takes one name each time, commas and all."

# A name in double quotes, in which "" is a quote; or whatever is between two commas.
FIELD = re.compile(r'\s*(?:"((?:[^"]|"")*)"|([^,]*?))\s*(?:,|$)')


def split_names(values: tuple[str, ...]) -> tuple[str, ...]:
    """The names behind an option; empty names are dropped.

    - An option given once is split at commas, as a line of CSV: `a,b` is two names, `"a,b"` in double quotes is one.
      Blanks around a name are dropped.
    - An option given several times has one name each time, as it is.
    """
    if len(values) == 1:
        pieces = FIELD.finditer(values[0])
        values = tuple(plain if quoted is None else quoted.replace('""', '"') for quoted, plain in map(_groups, pieces))
    return tuple(name for name in values if name)


def names_option(flag: str, *, help: str, metavar: str = "COLUMNS", required: bool = False) -> Callable[[Any], Any]:
    """A click option whose value is a tuple of names, by the rule of `split_names`; () where it is not given."""
    return click.option(
        flag,
        multiple=True,
        required=required,
        metavar=metavar,
        callback=lambda context, option, values: split_names(values),
        help=f"{help} {RULE}",
    )


def as_names(names: str | Iterable[str]) -> tuple[str, ...]:
    """The names from a Python caller: one string is one name, whatever it contains."""
    return (names,) if isinstance(names, str) else tuple(names)


def _groups(match: re.Match[str]) -> tuple[str | None, str]:
    return match[1], match[2] or ""
