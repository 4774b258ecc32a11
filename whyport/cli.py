"""The command `whyport`: a literal table of sub-commands, each imported on use."""

import importlib
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any

import click

from whyport.runtime.errors import WhyportError
from whyport.runtime.extras import missing_package
from whyport.runtime.terminal import LineFormatter, say

COMMANDS = {
    "train": (
        "whyport.exporter.commands:train",
        "Train a network, or grow trees, on a table and export it as a verified bundle.",
    ),
    "export": ("whyport.exporter.commands:export", "Export your own model, of any framework, as a verified bundle."),
    "shrink": (
        "whyport.exporter.shrink_commands:shrink",
        "Add smaller, faster variants to a bundle, and measure what each costs.",
    ),
    "inspect": ("whyport.runtime.commands:inspect", "Show what a bundle holds: classes, features, files, parity."),
    "verify": ("whyport.runtime.commands:verify", "Check a bundle's files and replay its test vectors."),
    "predict": (
        "whyport.runtime.commands:predict",
        "Predict a small table in memory: CSV or Parquet in, the same out.",
    ),
    "run": ("whyport.batch.commands:run", "Stream Parquet files of any size through predictions and explanations."),
    "audit": (
        "whyport.batch.review_commands:audit",
        "Prove a finished run: digests, every row once, a sample computed again.",
    ),
    "show": (
        "whyport.batch.review_commands:show",
        "Print rows of a run, by number or by a condition: the prediction and the reasons.",
    ),
    "compare": (
        "whyport.batch.compare_commands:compare",
        "Compare runs with each other, or with a bundle's training: what moved, and whose reasons changed.",
    ),
    "report": (
        "whyport.batch.review_commands:report",
        "Write a page with pictures of a run: the model, the reasons, errors and drift.",
    ),
    "sign": ("whyport.batch.sign_commands:sign", "Sign a bundle or a finished run by a key of your own."),
    "lineage": (
        "whyport.batch.sign_commands:lineage",
        "Print the chain from the training data to a run, or to one row of it, with digests and signatures.",
    ),
    "faithfulness": (
        "whyport.batch.faithfulness_commands:faithfulness",
        "Measure on a sample whether a run's explanations are themselves sound.",
    ),
    "methods": ("whyport.batch.commands:methods", "List the explanation methods with cost, guarantee and source."),
}

INTERRUPTED = 130


class LazyGroup(click.Group):
    """A group that imports a sub-command's module on use, and prints whyport's errors as one line each."""

    def main(self, args: Any = None, *rest: Any, **options: Any) -> Any:
        """Run the command; where its arguments are this process's own, it also ends the process."""
        run = errors_as_lines()(partial(super().main, args, *rest, **options))
        if args is not None:
            return run()
        from whyport.process import run_command

        run_command(run)

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, name: str) -> click.Command | None:
        if name not in COMMANDS:
            return None
        module, attribute = COMMANDS[name][0].split(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, help_text) for name, (_, help_text) in COMMANDS.items()])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            fail(["interrupted"], INTERRUPTED)


@contextmanager
def errors_as_lines() -> Iterator[None]:
    """Turn an error that is the user's, or the system's, into lines on stderr and an exit code."""
    try:
        yield
    except WhyportError as error:
        fail(error.lines(), error.exit_code)
    except ModuleNotFoundError as error:
        missing = missing_package(error)
        if missing is None:
            raise
        fail(missing.lines(), missing.exit_code)
    except OSError as error:
        if error.strerror is None:
            raise
        fail([f"{error.strerror}: {error.filename!r}" if error.filename else error.strerror], 1)


def fail(lines: list[str], exit_code: int) -> None:
    """Print an error's line on stderr, with its further lines below, and end the process."""
    first, *further = lines
    for line in (f"error: {first}", *(f"  {line}" for line in further)):
        say(line, err=True)
    sys.exit(exit_code)


@click.group(
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120},
    epilog="Example: whyport train patients.parquet --target diagnosis --out bundle",
)
@click.version_option(package_name="whyport", prog_name="whyport")
def main() -> None:
    """Portable model bundles, and Parquet streamed through predictions and the reasons for them."""
    import logging

    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(LineFormatter("%(levelname)s %(message)s"))
    logging.basicConfig(level=logging.INFO, handlers=[handler])
    logging.captureWarnings(True)
