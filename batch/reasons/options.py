"""The options of `whyport run` about reasons as texts."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from whyport.runtime.paths import LocalPath

F = TypeVar("F", bound=Callable[..., Any])


def reason_options(command: F) -> F:
    """Add the options to a command."""
    for option in reversed(OPTIONS):
        command = option(command)
    return command


OPTIONS = (
    click.option(
        "--reasons",
        type=int,
        metavar="N",
        help="Write the texts of the N strongest reasons against the favourable outcome, reason_1 the strongest.",
    ),
    click.option(
        "--reason-texts",
        type=LocalPath(),
        metavar="FILE",
        help='The text of each feature, with --reasons: {"income": "Income is too low"} in a file *.json, or the '
        "columns feature,text in a file *.csv; perhaps code, high and low. Other features give no reason.",
    ),
    click.option(
        "--favourable",
        metavar="CLASS",
        help="The favourable class; of a regression higher or lower values.  [default: the second of two classes; "
        "higher]",
    ),
    click.option(
        "--reason-method", metavar="METHOD", help="Whose shares the reasons are.  [default: the first method]"
    ),
)
