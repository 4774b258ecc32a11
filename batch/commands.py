"""The commands that look at a run: audit, show, report."""

from pathlib import Path
from typing import Any

import click

from runtime.providers import DEVICES


@click.command()
@click.argument("out", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--sample", type=click.IntRange(min=0), default=100, show_default=True, help="Rows to compute again.")
@click.option("--seed", default=0, show_default=True, help="Draws the rows.")
@click.option("--bundle", type=click.Path(path_type=Path), help="Where the bundle lies now, if it was moved.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
def audit(out: Path, sample: int, seed: int, bundle: Path | None, device: str) -> None:
    """Prove the finished run in DIR: digests, columns, every row once, and a sample computed again.

    The sample needs the bundle and the inputs; --sample 0 needs the bundle alone. Exit code 1 if anything is not as the
    run wrote it.

    \b
    Example: whyport audit scored --sample 1000
    """
    from batch.audit import Audit

    for line in Audit(out, bundle).run(sample, seed, device):
        click.echo(line)


@click.command()
@click.argument("out", type=click.Path(path_type=Path), metavar="DIR")
@click.option("--row", type=click.IntRange(min=0), required=True, help="The row's number in its file, from 0.")
@click.option("--file", help="The input, where the run has several: its source_file, or how that ends after a slash.")
@click.option("--top", type=click.IntRange(min=1), default=10, show_default=True, help="Reasons to print.")
def show(out: Path, row: int, file: str | None, top: int) -> None:
    """Print one row of the run in DIR: its prediction and the reasons, strongest first.

    \b
    Example: whyport show scored --row 7 --file 2026-01-31.parquet
    """
    from batch.show import describe_row

    for line in describe_row(out, row, file, top):
        click.echo(line)


@click.command()
@click.argument("out", type=click.Path(path_type=Path), metavar="DIR")
@click.option(
    "--out",
    "page",
    type=click.Path(path_type=Path, dir_okay=False),
    default="report.html",
    show_default=True,
    help="The page; everything is in this one file.",
)
@click.option("--bundle", type=click.Path(path_type=Path), help="Where the bundle lies now, if it was moved.")
@click.option(
    "--label",
    metavar="COLUMN",
    help="The kept column with the true classes.  [default: the one the model was trained on, if it was kept]",
)
@click.option(
    "--row",
    "rows",
    type=click.IntRange(min=0),
    multiple=True,
    help="A row to show, from 0, in place of those that stand out.",
)
@click.option("--file", help="The input of --row, where the run has several.")
@click.option("--images", type=click.Path(path_type=Path, file_okay=False), help="A folder for the pictures as files.")
@click.option("--format", "formats", default="png", show_default=True, metavar="png,svg,eps", help="Of these files.")
@click.option("--max-features", type=click.IntRange(min=1), default=20, show_default=True, help="In one figure.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
def report(out: Path, page: Path, images: Path | None, formats: str, rows: tuple[int, ...], **options: Any) -> None:
    """Write a page with pictures of the finished run in DIR: the model, the reasons, single rows, errors and drift.

    The page needs no network. The bundle must be there; what lies in inputs that are gone is left out.

    \b
    Example: whyport report scored --out report.html --images pictures --format png,svg
    """
    import matplotlib

    from batch.pictures.page import ReportTarget, write_report
    from batch.pictures.view import ReportSettings

    matplotlib.use("agg")  # no window, whatever this machine has
    target = ReportTarget(page, images, tuple(dict.fromkeys(formats.split(","))))
    files = write_report(ReportSettings(out, rows=rows, **options), target)
    click.echo(f"report    {files[0]}")
    if images is not None:
        click.echo(f"pictures  {len(files) - 1} files in {images}")
