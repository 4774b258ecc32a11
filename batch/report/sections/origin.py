"""The section on the origin of a run: the bundle, the settings, the inputs and the versions."""

import json
from dataclasses import asdict
from typing import Any

from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Section, Table

LISTED = 50


def origin_section(view: View) -> Section:
    """The record that leads from this page back to the bytes."""
    job, report, sidecar = view.run.job, view.run.report, view.bundle.sidecar
    provenance = sidecar.provenance
    # Quantities have no classes: a setting about them says nothing there.
    has_classes = view.task.predicts_targets
    settings = {name: value for name, value in provenance.settings.items() if has_classes or "class" not in name}
    seconds = report.performance.seconds.get("total")
    run = {
        "rows": f"{report.rows_in:,} in = {report.rows_out:,} out + {report.rows_rejected:,} rejected",
        "parts": f"{len(view.run.parts):,}",
        "provider": report.provider,
        "time": "" if seconds is None else f"{seconds:.1f} s in the last attempt",
        "peak memory": f"{report.performance.peak_memory_bytes / 2**20:,.0f} MiB",
        **{f"version of {name}": version for name, version in job.versions.items()},
    }
    bundle = {
        "name": sidecar.name,
        "digest (sha256 of bundle.json)": view.bundle.digest,
        "made by": provenance.source,
        "seed": provenance.seed,
        "training data (sha256)": provenance.data_digest,
        **{f"setting {name}": value for name, value in settings.items()},
        **{f"metric {name}": value for name, value in provenance.metrics.items()},
        **{f"version of {name}": version for name, version in provenance.versions.items()},
        "ONNX": f"opset {sidecar.opset}, IR {sidecar.ir_version}",
    }
    inputs = tuple(
        (source.source_file, "" if source.rows is None else f"{source.rows:,}", source.footer_sha256 or "")
        for source in view.run.inputs[:LISTED]
    )
    total = len(view.run.inputs)
    note = "" if total <= LISTED else f"The first {LISTED} of {total}."
    blocks: tuple[Block, ...] = (
        _pairs("The run", run),
        _pairs("Its settings", _flat(asdict(job.settings))),
        _pairs("The bundle", bundle),
        Table("The inputs", ("file", "rows", "sha256 of the footer"), inputs, frozenset({1}), note),
    )
    return Section(
        "origin", "What made this", "The run, the bundle and the inputs, so that it can be made again.", blocks
    )


def _flat(settings: dict[str, Any]) -> dict[str, Any]:
    inner = {f"explain.{name}": value for name, value in settings["explain"].items()}
    return {name: value for name, value in settings.items() if name != "explain"} | inner


def _pairs(title: str, pairs: dict[str, Any]) -> Table:
    rows = tuple((name, _text(value)) for name, value in pairs.items() if value not in (None, "", [], ()))
    return Table(title, ("", ""), rows)


def _text(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.6g}"
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
