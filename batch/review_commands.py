"""The commands that look at a finished run: `audit`, `show` and `report`."""

from pathlib import Path
from typing import Any

import click

from whyport.batch.review.document import TEXT, format_option, tell
from whyport.runtime.paths import LocalPath, PlacePath, endpoint_option
from whyport.runtime.providers import DEVICES
from whyport.runtime.store.path import Place
from whyport.runtime.terminal import say


@click.command()
@click.argument("out", type=PlacePath(), metavar="DIR")
@click.option("--sample", type=click.IntRange(min=0), default=100, show_default=True, help="Rows to compute again.")
@click.option("--seed", default=0, show_default=True, help="The seed for drawing the rows.")
@click.option("--full", is_flag=True, help="Compute every row again, in place of a sample.")
@click.option(
    "--state",
    type=LocalPath(dir_okay=False),
    help="A file outside DIR that keeps how far --full has come: the same command goes on from there.",
)
@click.option("--bundle", type=PlacePath(), help="The bundle's path, if it was moved since the run.")
@click.option("--key", type=LocalPath(), metavar="PUBLIC", help="The public key (PEM) that must have signed the run.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
@click.option("--threads", type=int, help="Threads on the CPU; by default the cores that this process may use.")
@format_option()
@endpoint_option()
def audit(out: Place, bundle: Place | None, key: Path | None, format: str, **asked: Any) -> None:
    """Prove the finished run in DIR: its files, columns, rows and counts, and a sample computed again.

    The sample needs the bundle and the inputs; --sample 0 needs only the bundle. The exit code is 1 if anything is not
    as the run wrote it.

    \b
    Example: whyport audit scored --sample 1000
    Example: whyport audit scored --full --state audit.json
    """
    from whyport.batch.review.audit import Audit, report_of
    from whyport.batch.review.checks.audited import Asked

    findings = Audit(out, bundle, Asked(**asked), key).run()
    if format != TEXT:
        tell(report_of(findings), format)
        return
    for finding in findings:  # each as soon as it is known
        tell(report_of([finding]), format)


@click.command()
@click.argument("out", type=PlacePath(), metavar="DIR")
@click.option(
    "--row", type=click.IntRange(min=0), multiple=True, help="The row's number in its file, from 0; may be repeated."
)
@click.option(
    "--where",
    metavar="CONDITION",
    help="In place of --row: rows that meet this condition on columns of the output, in the language of "
    "run --explain-where.",
)
@click.option("--file", help="The input, if the run has several: its source_file, or how that name ends.")
@click.option(
    "--against", type=click.IntRange(min=0), metavar="ROW", help="A row that each is set against, share by share."
)
@click.option("--against-file", metavar="FILE", help="The input of --against, if it is another than --file.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Reasons to print.")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=10,
    show_default=True,
    help="Rows to print of those that meet --where; the others are counted.",
)
@format_option()
@endpoint_option()
def show(out: Place, row: tuple[int, ...], format: str, **options: Any) -> None:
    """Print rows of the run in DIR: each one's prediction and the reasons, strongest first.

    \b
    Example: whyport show scored --row 7 --file 2026-01-31.parquet

    \b
    Example: whyport show scored --where "customer_id == 'C01211'" --format markdown
    """
    from whyport.batch.review.shown import Question, answer

    tell(answer(out, Question(row, **options)), format)


@click.command()
@click.argument("out", type=PlacePath(), metavar="DIR")
@click.option(
    "--out",
    "page",
    type=LocalPath(dir_okay=False),
    default="report.html",
    show_default=True,
    help="The page; everything is in this one file.",
)
@click.option("--bundle", type=PlacePath(), help="The bundle's path, if it was moved since the run.")
@click.option(
    "--label",
    metavar="COLUMN",
    help="The kept column with the true classes or the measured values.  [default: the one that the model was trained "
    "on, if it was kept]",
)
@click.option(
    "--row",
    type=click.IntRange(min=0),
    multiple=True,
    help="A row to show, from 0; may be repeated.  [default: most certain, least certain and wrong rows]",
)
@click.option("--file", help="The input of --row, if the run has several.")
@click.option("--images", type=LocalPath(file_okay=False), help="A folder for the pictures as files.")
@click.option(
    "--format", "formats", default="png", show_default=True, metavar="png,svg,eps", help="Formats of these files."
)
@click.option("--max-features", type=click.IntRange(min=1), default=20, show_default=True, help="Features per figure.")
@click.option(
    "--by",
    metavar="COLUMN[:EDGE,...]",
    help="Add a section with the groups of rows by this column beside each other, or by intervals of it: age:18,30,60.",
)
@click.option("--labels", type=PlacePath(), help="Truth that arrived later: Parquet or CSV, with --key and --by.")
@click.option("--key", metavar="COLUMN", help="The column that the run and --labels have in common.")
@click.option(
    "--faithfulness",
    type=click.IntRange(min=0),
    default=0,
    show_default=True,
    help="Add a section that measures the explanations on so many rows.",
)
@click.option(
    "--against",
    type=PlacePath(),
    metavar="RUN|BUNDLE",
    help="Add a section that compares the run with another one, or with a bundle's training, as whyport compare does.",
)
@click.option("--no-rows", is_flag=True, help="Leave out single rows, and every figure that has something of one.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
@endpoint_option()
def report(out: Place, page: Path, images: Path | None, formats: str, **options: Any) -> None:
    """Write a page with pictures of the finished run in DIR: the model, the reasons, single rows, errors and drift.

    The page needs no network. The bundle must be there; values from inputs that are gone are left out.

    \b
    Example: whyport report scored --out report.html --images pictures --format png,svg
    """
    from whyport.batch.report.report import report as write_report

    files = write_report(out, page, images=images, format=formats.split(","), **options)
    say(f"report    {files[0]}")
    if images is not None:
        say(f"pictures  {len(files) - 1} files in {images}")
