"""The command `shrink`, and the options that it shares with `export`."""

from collections.abc import Callable
from functools import reduce
from pathlib import Path
from typing import Any

import click

from whyport.runtime.options import names_option
from whyport.runtime.paths import LocalPath
from whyport.runtime.terminal import say

MAX_CHANGED = click.option(
    "--max-changed",
    default="0.5%",
    show_default=True,
    metavar="N|N%",
    help="Refuse a variant that changes the prediction of more held-out rows than this, a count or a share.",
)
MAX_DRIFT = click.option(
    "--max-drift",
    default="10%",
    show_default=True,
    metavar="N%",
    help="Leave out graphs of reasons that drift by more: |difference| over |attributions|, summed over held-out rows.",
)
KEEP_SLOWER = click.option(
    "--keep-slower", is_flag=True, help="Keep variants that are slower, or not smaller, than the model in full size."
)


def variant_options(help: str) -> Callable[[Any], Any]:
    """The options of smaller variants.

    Args:
        help: the text of `--variants`.
    """
    options = (names_option("--variants", metavar="NAMES", help=help), MAX_CHANGED, MAX_DRIFT, KEEP_SLOWER)
    return lambda command: reduce(lambda made, option: option(made), reversed(options), command)


@click.command()
@click.argument("bundle", type=LocalPath())
@variant_options("float16, weights-int8, dynamic-int8, int8; by default all that are worth it.")
@click.option(
    "--rows",
    type=LocalPath(),
    metavar="DATA",
    help="Rows to measure with, CSV or Parquet, that training has not seen; by default those of the test vectors.",
)
@click.option("--out", type=LocalPath(), metavar="BUNDLE", help="Make a copy; by default BUNDLE itself is changed.")
@click.option("--overwrite", is_flag=True, help="Replace a bundle at --out, once the new one is complete.")
def shrink(bundle: Path, **options: Any) -> None:
    """Add smaller, faster variants to BUNDLE, and measure what each costs in accuracy and in reasons.

    \b
    float16       weights of 16 bits, widened as the file is loaded
    weights-int8  weights of 8 bits, widened as the file is loaded
    dynamic-int8  sums of 8-bit numbers, with ranges measured in every call
    int8          sums of 8-bit numbers, with ranges of the bundle's reference rows

    Graphs that explain compute in float32 in all of them, so that attributions add up. Trees need no variant.

    \b
    Example: whyport shrink bundle --rows held_out.parquet
             whyport shrink bundle --variants int8,float16 --max-changed 0.1% --out small
    """
    from whyport.exporter.shrink.public import shrink as shrink_bundle

    show_variants(shrink_bundle(bundle, **options))


def show_variants(bundle: Any) -> None:
    """Print a line for each graph of each variant that a bundle has."""
    from whyport.exporter.shrink.outcome import lines_of

    lines = lines_of(bundle.sidecar)
    for line in lines:
        say(line)
    if not lines:
        say("no variant is worth it; --keep-slower keeps those that are not smaller, or slower")
    say(f"{'bundle':23} {bundle.path}")
