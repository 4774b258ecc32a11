"""The commands that need only a bundle and ONNX Runtime: inspect, verify, predict."""

import sys
from pathlib import Path
from typing import Any

import click

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.options import names_option
from whyport.runtime.providers import DEVICES


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the sidecar as JSON.")
def inspect(bundle: Path, as_json: bool) -> None:
    """Show what BUNDLE holds: classes, features, files, parity.

    \b
    Example: whyport inspect models/breast_cancer
    """
    read = Bundle.read(bundle)
    if as_json:
        click.echo((read.path / "bundle.json").read_text(encoding="utf-8"), nl=False)
        return
    sidecar = read.sidecar
    click.echo(f"{sidecar.name}  {sidecar.task}, format version {sidecar.format_version}")
    click.echo(f"digest      {read.digest}")
    click.echo(f"made by     {sidecar.provenance.source}, {_pairs(sidecar.provenance.versions)}")
    click.echo(f"metrics     {_pairs(sidecar.provenance.metrics)}")
    click.echo(f"classes     {', '.join(sidecar.classes)}")
    click.echo(f"graphs      opset {sidecar.opset}, IR {sidecar.ir_version}")
    for kind, specs in (("input", sidecar.signature.inputs), ("output", sidecar.signature.outputs)):
        for spec in specs:
            click.echo(f"{kind:11} {spec.name} {spec.dtype} [{', '.join(map(str, spec.shape))}]")
    parity = sidecar.parity
    click.echo(
        f"parity      ONNX {_measure(parity.onnx_outputs)}, TorchScript {_measure(parity.torchscript_outputs)}, "
        f"gradients {_measure(parity.torchscript_gradients)}"
    )
    click.echo(
        f"            explain.onnx: outputs {_measure(parity.explain_outputs)}, attributions "
        f"{_measure(parity.explain_attributions)}, completeness {_measure(parity.explain_completeness)}"
    )
    click.echo(
        f"            gradient.onnx: outputs {_measure(parity.gradient_outputs)}, gradients "
        f"{_measure(parity.gradient_gradients)}"
    )
    summary = sidecar.summary
    if summary is not None:
        near = ", ".join(f"{name} {distance:.0%}" for name, distance in summary.distances.items())
        click.echo(f"summary     {summary.rows} references of explain.onnx, {summary.method}; distance: {near}")
    imputes = "imputed" if sidecar.preprocessing.imputation is not None else "not accepted"
    click.echo(f"missing     {imputes}; standardised in the graph: {sidecar.preprocessing.standardised}")
    for name, capability in sidecar.capabilities.items():
        click.echo(f"{name:11} {'available' if capability.available else 'unavailable: ' + capability.reason}")
    click.echo("files       " + ", ".join(sidecar.files))
    click.echo(f"features    {'name':32} {'mean':>12} {'std':>12} {'median':>12} {'missing':>8}")
    for feature in sidecar.features:
        click.echo(
            f"            {feature.name:32} {feature.mean:12.5g} {feature.standard_deviation:12.5g} "
            f"{feature.median:12.5g} {feature.missing_fraction:8.1%}"
        )


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
def verify(bundle: Path, device: str) -> None:
    """Check every file of BUNDLE against its digest and replay its test vectors.

    \b
    Example: whyport verify models/breast_cancer
    """
    from whyport.runtime.verify import verify as library_verify

    verification = library_verify(bundle, device)
    click.echo(f"{verification.files} files match their digests")
    for name, value in verification.deviations.items():
        click.echo(f"{name}: within {value:.2g} of the test vectors on {verification.provider}")


@click.command()
@click.argument("bundle", type=click.Path(path_type=Path))
@click.argument("data", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="A CSV or Parquet file; by default CSV on stdout.")
@names_option("--keep", help="Columns of DATA to copy.")
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
@click.option("--overwrite", is_flag=True, help="Replace the file named by --out.")
def predict(bundle: Path, data: Path, out: Path | None, keep: tuple[str, ...], device: str, overwrite: bool) -> None:
    """Predict the rows of DATA, a CSV or Parquet file that fits in memory.

    For large files, and for explanations, see whyport run.

    \b
    Example: whyport predict models/breast_cancer patients.csv --keep id --out predictions.csv
    """
    from whyport.runtime.predict import check_output, predict_file, write_predictions
    from whyport.runtime.session import Session
    from whyport.runtime.tables import write_table

    if out is not None:
        check_output(out, overwrite)
    session = Session(bundle, device)
    predictions = predict_file(session, data, keep)
    if out is None:
        write_table(predictions, sys.stdout.buffer, "csv")
        return
    write_predictions(predictions, out)
    click.echo(f"{predictions.num_rows} rows on {session.provider.name} -> {out}", err=True)


def _pairs(values: dict[str, Any]) -> str:
    return ", ".join(f"{key} {v:.4g}" if isinstance(v, float) else f"{key} {v}" for key, v in values.items())


def _measure(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.2g}"
