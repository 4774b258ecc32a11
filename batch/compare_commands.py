"""The command `compare`."""

import sys
from typing import Any

import click

from whyport.batch.compare.alarms import ALARMS, parse_limits
from whyport.batch.groups.options import check_options, group_options
from whyport.batch.review.document import JSON, format_option, tell, tell_line
from whyport.runtime.paths import PlacePath, endpoint_option
from whyport.runtime.providers import DEVICES
from whyport.runtime.store.path import Place


@click.command()
@click.argument("first", type=PlacePath(), metavar="A")
@click.argument("others", type=PlacePath(), nargs=-1, metavar="[B...]")
@click.option(
    "--key",
    metavar="COLUMN",
    help="A column that the runs have kept, by which rows are matched; each of its values is in one row of a run.",
)
@click.option(
    "--rows",
    type=click.IntRange(min=0),
    default=10,
    show_default=True,
    help="Rows to list whose reasons changed most, with --key.",
)
@click.option(
    "--fail-over",
    metavar="NAME=LIMIT,...",
    help=f"Exit with code 3 where a figure is above its limit, such as psi=0.25,shift=5%: {', '.join(ALARMS)}.",
)
@click.option(
    "--top", type=click.IntRange(min=1), default=20, show_default=True, help="Rows of a table; JSON has them all."
)
@click.option(
    "--threads",
    type=click.IntRange(min=1),
    help="Threads on the CPU; by default the cores that this process may use.",
)
@click.option(
    "--device",
    type=click.Choice(DEVICES),
    default="auto",
    show_default=True,
    help="Where the reference rows of a bundle are explained.",
)
@group_options
@format_option()
@endpoint_option()
def compare(
    first: Place,
    others: tuple[Place, ...],
    key: str | None,
    rows: int,
    fail_over: str | None,
    top: int,
    threads: int | None,
    device: str,
    format: str,
    **groups: Any,
) -> None:
    """Compare the finished runs B with A, a run or a bundle: predictions, inputs and shares, and what moved most.

    A bundle stands for its training. Rows are matched by --key alone; without it only distributions are compared. Exit
    codes: 0 done, 1 failed, 2 usage, 3 done with a figure above its limit in --fail-over.

    With --by, A is one run, whose groups of rows are put beside each other; --key then joins --labels.

    \b
    Example: whyport compare scored/2026-11-26 scored/2026-11-27 --key customer_id --fail-over psi=0.25

    \b
    Example: whyport compare bundle scored --format markdown

    \b
    Example: whyport compare scored/2026-11-01 scored/2026-11-0[2-9]

    \b
    Example: whyport compare scored --by age:18,30,60 --labels outcomes.csv --key customer_id
    """
    if check_options(groups, 1 + len(others)):
        from whyport.batch.groups.public import compare_groups

        for line in compare_groups(first, key=key, format=format, **groups):
            tell_line(line, format)
        return
    from whyport.batch.compare.compare import compare as compared
    from whyport.batch.compare.document import document_of

    parse_limits(fail_over)  # a wrong name is told before anything is read
    report = compared(first, *others, key=key, rows=rows, fail_over=fail_over, threads=threads, device=device)
    tell(document_of(report, None if format == JSON else top), format)
    sys.exit(report.exit_code)
