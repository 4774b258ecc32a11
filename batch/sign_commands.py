"""The commands `sign` and `lineage`."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from whyport.batch.review.document import format_option, tell_line
from whyport.runtime.paths import LocalPath, PlacePath, endpoint_option
from whyport.runtime.store.path import Place
from whyport.runtime.terminal import say


@click.command()
@click.argument("path", type=PlacePath(), metavar="BUNDLE|DIR")
@click.option("--key", type=LocalPath(), required=True, metavar="FILE", help="An EC private key (PEM, curve P-256).")
@click.option("--overwrite", is_flag=True, help="Replace the signature that is there.")
@endpoint_option()
def sign(path: Place, key: Path, overwrite: bool) -> None:
    """Sign a bundle, or the finished run in DIR, in the format of OpenSSF's model-signing.

    Nothing is sent anywhere. The password of an encrypted key is asked for on a terminal; elsewhere, the variable
    WHYPORT_KEY_PASSWORD has it. What a signature says, and what it does not, is in docs/signing.md.

    \b
    Example: whyport sign models/breast_cancer --key models.pem

    \b
    Example: whyport sign scored --key operations.pem
    """
    from whyport.batch.review.sign import sign_folder

    signature = sign_folder(path, key, _password, overwrite=overwrite)
    say(f"{signature.files} files signed by the key {signature.key}")
    say(f"signature {signature.place}")


@click.command()
@click.argument("out", type=PlacePath(), metavar="DIR")
@click.option("--row", type=click.IntRange(min=0), help="One row: its number in its file, from 0.")
@click.option("--file", help="The input, if the run has several: its source_file, or how that name ends.")
@click.option("--bundle", type=PlacePath(), help="The bundle's path, if it was moved since the run.")
@click.option(
    "--key", type=LocalPath(), multiple=True, metavar="PUBLIC", help="A public key (PEM) to compare; may be repeated."
)
@format_option()
@endpoint_option()
def lineage(out: Place, key: tuple[Path, ...], format: str, **options: Any) -> None:
    """Print the chain that led to the finished run in DIR, from the training data's digest to the run's signature.

    With --row, the chain leads to one row: its part, its row group with its digest, and its place there.

    \b
    Example: whyport lineage scored --row 7 --key models.pub --key operations.pub
    """
    from whyport.batch.review.sign import lineage as library_lineage

    for line in library_lineage(out, key=key, format=format, **options):
        tell_line(line, format)


def _password() -> str:
    """The password of an encrypted key: of the environment, or typed."""
    from whyport.runtime.signing.keys import PASSWORD_VARIABLE, password_of_environment

    if PASSWORD_VARIABLE not in os.environ and sys.stdin is not None and sys.stdin.isatty():
        typed: str = click.prompt("password of the key", hide_input=True, err=True)
        return typed
    return password_of_environment()
