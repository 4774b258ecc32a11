"""The options of `compare` that put a run's groups beside each other."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click
from click.core import ParameterSource

from whyport.runtime.errors import UsageError
from whyport.runtime.paths import PlacePath

F = TypeVar("F", bound=Callable[..., Any])

NAMES = ("by", "label", "labels", "favourable", "small_group", "bundle")
OF_SIDES = ("rows", "fail_over", "top", "threads", "device")
"""The options that mean something only where two sides are compared."""


def group_options(command: F) -> F:
    """Add the options NAMES to a command."""
    options = (
        click.option(
            "--by",
            metavar="COLUMN[:EDGE,...]",
            help="Put the groups of one run beside each other, by a column, or by intervals of it: age:18,30,60.",
        ),
        click.option(
            "--label",
            metavar="COLUMN",
            help="With --by: the column with the truth, a kept one or one of --labels.  "
            "[default: the one that the model was trained on]",
        ),
        click.option(
            "--labels",
            type=PlacePath(),
            help="With --by: truth that arrived later, Parquet or CSV, a file or a folder, joined by --key.",
        ),
        click.option(
            "--favourable",
            metavar="CLASS",
            help="With --by: the class to look at.  [default: the last of two, each of several]",
        ),
        click.option(
            "--small-group",
            type=click.IntRange(min=1),
            default=30,
            show_default=True,
            help="With --by: groups of fewer rows are marked.",
        ),
        click.option("--bundle", type=PlacePath(), help="With --by: the bundle's path, if it was moved since the run."),
    )
    for option in reversed(options):
        command = option(command)
    return command


def check_options(options: Mapping[str, Any], sides: int) -> bool:
    """Whether groups are asked for; raises UsageError for options that fit only the other way to compare.

    Args:
        options: the options NAMES.
        sides: how many runs there are.
    """
    context, by = click.get_current_context(), options["by"] is not None
    if by and sides > 1:
        raise UsageError(f"by: expected one run, whose groups are compared, got {sides}")
    for name in OF_SIDES if by else NAMES:
        if context.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise UsageError(f"{name}: expected {'it without by, got both' if by else 'by beside it, got none'}")
    return by
