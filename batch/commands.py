"""The commands that look at a run: audit, show."""

from pathlib import Path

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
