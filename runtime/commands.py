"""The commands that need only a bundle and ONNX Runtime: inspect, verify, predict."""

import sys
from pathlib import Path
from typing import Any

import click

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.bundle.sidecar import task_of
from whyport.runtime.errors import UsageError
from whyport.runtime.options import ON_BAD_ROW, names_option
from whyport.runtime.paths import LocalPath
from whyport.runtime.providers import DEVICES
from whyport.runtime.terminal import can_print, escaped_json, say

WITHOUT_PREDICTION = 3
"""The exit code where some rows have no prediction."""


@click.command()
@click.argument("bundle", type=LocalPath())
@click.option("--json", "as_json", is_flag=True, help="Print the sidecar as JSON.")
def inspect(bundle: Path, as_json: bool) -> None:
    """Show what BUNDLE holds: classes, features, files, parity.

    \b
    Example: whyport inspect models/breast_cancer
    """
    read = Bundle.read(bundle)
    if as_json:
        click.echo(escaped_json((read.path / "bundle.json").read_text(encoding="utf-8")), nl=False)
        return
    sidecar = read.sidecar
    say(f"{sidecar.name}  {task_of(sidecar).name}, format version {sidecar.format_version}")
    say(f"digest      {read.digest}")
    say(f"made by     {sidecar.provenance.source}, {_pairs(sidecar.provenance.versions)}")
    say(f"metrics     {_pairs(sidecar.provenance.metrics)}")
    say(f"{task_of(sidecar).targets_title:11} {', '.join(sidecar.targets)}")
    say(f"graphs      opset {sidecar.opset}, IR {sidecar.ir_version}")
    for kind, specs in (("input", sidecar.signature.inputs), ("output", sidecar.signature.outputs)):
        for spec in specs:
            say(f"{kind:11} {spec.name} {spec.dtype} [{', '.join(map(str, spec.shape))}]")
    say("parity      " + (_pairs(sidecar.parity) or "not measured"))
    for baseline in sidecar.baselines:
        rows = "" if baseline.rows is None else f" of {baseline.rows}"
        chosen = "" if baseline.method is None else f", {baseline.method}"
        near = ", ".join(f"{name} {distance:.0%}" for name, distance in baseline.figures.items())
        say(f"baseline    {baseline.name}: {baseline.kind}{rows}{chosen}" + (f"; distance: {near}" if near else ""))
    for name, capability in sidecar.capabilities.items():
        say(f"{name:11} {'available' if capability.available else 'unavailable: ' + capability.reason}")
    say("files       " + ", ".join(sidecar.files))
    say(f"columns     {'name':32} {'mean':>12} {'std':>12} {'median':>12} {'missing':>8}")
    for column in sidecar.columns:
        if column.numbers is not None:
            numbers = column.numbers
            known = f"{numbers.mean:12.5g} {numbers.standard_deviation:12.5g} {numbers.median:12.5g}"
            say(f"            {column.name:32} {known} {column.missing_fraction:8.1%}, {column.missing}")


@click.command()
@click.argument("bundle", type=LocalPath())
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
def verify(bundle: Path, device: str) -> None:
    """Check every file of BUNDLE against its digest and replay its test vectors.

    \b
    Example: whyport verify models/breast_cancer
    """
    from whyport.runtime.verify import verify as library_verify

    verification = library_verify(bundle, device)
    say(f"{verification.files} files match their digests")
    for name, value in verification.deviations.items():
        say(f"{name}: within {value:.2g} of the test vectors on {verification.provider}")


@click.command()
@click.argument("bundle", type=LocalPath())
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
@click.option("--overwrite", is_flag=True, help="Replace the file named by --out.")
def predict(
    bundle: Path, data: Path, out: Path | None, keep: tuple[str, ...], on_bad_row: str, device: str, overwrite: bool
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
    session = Session(bundle, device)
    predictions = predict_file(session, data, keep, on_bad_row)
    if out is None:
        write_table(predictions, sys.stdout.buffer, "csv")
        sys.stdout.buffer.flush()
    else:
        write_predictions(predictions, out)
        say(f"{predictions.num_rows} rows on {session.provider.name} -> {out}", err=True)
    if lacks_predictions(session, predictions):
        sys.exit(WITHOUT_PREDICTION)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {v:.4g}" if isinstance(v, float) else f"{key} {v}" for key, v in values.items())


def _measure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2g}"
