"""The commands that need only a bundle and ONNX Runtime: inspect, verify, predict."""

import sys
from pathlib import Path

import click

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError
from whyport.runtime.inspect import bundle_lines
from whyport.runtime.options import ON_BAD_ROW, names_option
from whyport.runtime.paths import LocalPath, PlacePath, endpoint_option
from whyport.runtime.providers import DEVICES
from whyport.runtime.store.path import Place
from whyport.runtime.terminal import can_print, escaped_json, say

WITHOUT_PREDICTION = 3
"""The exit code where some rows have no prediction."""


@click.command()
@click.argument("bundle", type=PlacePath())
@click.option("--json", "as_json", is_flag=True, help="Print the sidecar as JSON.")
@endpoint_option()
def inspect(bundle: Place, as_json: bool) -> None:
    """Show what BUNDLE holds: targets, columns, graphs, files, parity.

    \b
    Example: whyport inspect models/breast_cancer
    """
    read = Bundle.read(bundle)
    if as_json:
        click.echo(escaped_json((read.path / "bundle.json").read_text(encoding="utf-8")), nl=False)
        return
    for line in bundle_lines(read):
        say(line)


@click.command()
@click.argument("bundle", type=PlacePath())
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
@click.option("--key", type=LocalPath(), metavar="PUBLIC", help="The public key (PEM) that must have signed BUNDLE.")
@endpoint_option()
def verify(bundle: Place, device: str, key: Path | None) -> None:
    """Check every file of BUNDLE against its digest and replay its test vectors.

    With --key, the signature is compared first.

    \b
    Example: whyport verify models/breast_cancer

    \b
    Example: whyport verify models/breast_cancer --key models.pub
    """
    from whyport.runtime.verify import verify as library_verify

    verification = library_verify(bundle, device, key=key)
    if verification.signed_by is not None:
        say(f"signed by the key {verification.signed_by}")
    say(f"{verification.files} files match their digests")
    for name, value in verification.deviations.items():
        say(f"{name}: within {value:.2g} of the test vectors on {verification.provider}")


@click.command()
@click.argument("bundle", type=PlacePath())
@click.argument("data", type=LocalPath())
@click.option("--out", type=LocalPath(), help="A CSV or Parquet file; by default CSV on stdout.")
@names_option("--keep", help="Columns of DATA to copy.")
@click.option(
    "--on-bad-row",
    type=click.Choice(ON_BAD_ROW),
    default="null",
    show_default=True,
    help="What to do with a row for which the model gives NaN or infinity: leave its prediction empty, or fail.",
)
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
@click.option("--variant", metavar="NAME", help="A smaller variant of the bundle, such as int8.")
@click.option("--overwrite", is_flag=True, help="Replace the file named by --out.")
@endpoint_option()
def predict(
    bundle: Place,
    data: Path,
    out: Path | None,
    keep: tuple[str, ...],
    on_bad_row: str,
    device: str,
    variant: str | None,
    overwrite: bool,
) -> None:
    """Predict the rows of DATA, a CSV or Parquet file that fits in memory.

    For large files, and for explanations, see whyport run. Texts go to CSV as they are: a cell that begins with = is a
    formula to a spreadsheet. Exit codes: 0 done, 1 failed, 2 usage, 3 done with rows
    that have no prediction.

    \b
    Example: whyport predict models/breast_cancer patients.csv --keep id --out predictions.csv
    """
    from whyport.runtime.predict import check_output, lacks_predictions, predict_file, write_predictions
    from whyport.runtime.session import Session
    from whyport.runtime.tables import write_table

    if out is not None:
        check_output(out, overwrite)
    elif not can_print():
        raise UsageError("stdout: expected an open stream, got a closed one; --out names a file instead")
    session = Session(bundle, device, variant=variant)
    predictions = predict_file(session, data, keep, on_bad_row)
    if out is None:
        write_table(predictions, sys.stdout.buffer, "csv")
        sys.stdout.buffer.flush()
    else:
        write_predictions(predictions, out)
        say(f"{predictions.num_rows} rows on {session.provider.name} -> {out}", err=True)
    if lacks_predictions(session, predictions):
        sys.exit(WITHOUT_PREDICTION)
