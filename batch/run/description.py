"""What decides every byte of a run's output: recorded in the folder, and compared before a run is resumed."""

import dataclasses
import json
from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from whyport.batch.methods.catalogue import engine_of
from whyport.batch.methods.settings import TORCHSCRIPT
from whyport.batch.output.parts import PartSpan
from whyport.batch.run.plan import BadFile, Plan
from whyport.batch.settings import JobSettings
from whyport.batch.source.files import Fingerprint
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.providers import load_onnxruntime
from whyport.runtime.session import Session

FORMAT_VERSION = 1

# These change when, where and how fast a run runs, not what it writes; the provider says what `device` came to.
UNPINNED = ("inputs", "out", "overwrite", "threads", "device", "on_bad_file", "max_rejected")


def describe_job(bundle: Bundle, plan: Plan, session: Session) -> dict[str, Any]:
    """The contents of _job.json."""
    settings = dataclasses.asdict(plan.settings)
    for name in UNPINNED:
        del settings[name]
    settings |= {"batch_rows": plan.rows_a_batch, "part_rows": plan.rows_a_part, "call_rows": session.batch_rows}
    sidecar = bundle.sidecar
    document = {
        "format_version": FORMAT_VERSION,
        "bundle": {"name": sidecar.name, "digest": bundle.digest, "path": str(bundle.path.resolve())},
        "settings": settings,
        "provider": session.provider.name,
        "versions": _versions(plan.settings),
        "inputs": [_describe_input(source) for source in plan.inputs],
    }
    # As it will be read back: tuples become lists.
    read: dict[str, Any] = json.loads(json.dumps(document))
    return read


def describe_part(job: dict[str, Any], source: SourceFile, span: PartSpan) -> dict[str, Any]:
    """The metadata of one part: what made it, and of which rows. A copy of the input elsewhere gives the same."""
    last_row = max(span.start, span.stop - 1)
    groups = [source.row_group(span.start), source.row_group(last_row)] if source.rows else []
    return {
        "bundle": {key: job["bundle"][key] for key in ("name", "digest")},
        "settings": job["settings"],
        "provider": job["provider"],
        "versions": job["versions"],
        "source_file": source.name,
        "source_footer_sha256": source.fingerprint.footer_sha256,
        "source_rows": [span.start, span.stop],
        "source_row_groups": groups,
    }


def _describe_input(source: SourceFile | BadFile) -> dict[str, Any]:
    mark = source.fingerprint or Fingerprint(0, 0, None)
    return {
        "source_file": source.name,
        "path": str(source.path.resolve()),
        "rows": source.rows if isinstance(source, SourceFile) else None,
        **dataclasses.asdict(mark),
    }


def _versions(settings: JobSettings) -> dict[str, str]:
    by_torch = any(engine_of(method, settings.explain.engine) == TORCHSCRIPT for method in settings.methods)
    versions = {name: version(name) for name in ("whyport", "numpy", "pyarrow", *(["torch"] if by_torch else []))}
    # The fused kernels' last bits are not the portable program's.
    if by_torch and find_spec("numba"):
        versions["numba"] = version("numba")
    return versions | {"onnxruntime": load_onnxruntime().__version__}
