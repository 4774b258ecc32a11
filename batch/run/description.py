"""The descriptions of a run about to begin and of each of its parts."""

from importlib.metadata import version
from importlib.util import find_spec
from typing import Any

from whyport.batch.methods.catalogue import engine_of
from whyport.batch.methods.method import TORCHSCRIPT
from whyport.batch.output.job_file import FORMAT_VERSION, BundleMark, InputMark, JobFile, PinnedSettings
from whyport.batch.output.parts import PartSpan
from whyport.batch.run.plan import BadFile, Plan
from whyport.batch.settings import JobSettings
from whyport.batch.source.files import UNREADABLE
from whyport.batch.source.parquet import SourceFile
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.providers import load_onnxruntime
from whyport.runtime.session import Session
from whyport.runtime.store.path import real_place


def describe_job(bundle: Bundle, plan: Plan, session: Session) -> JobFile:
    """The contents of _job.json for a plan."""
    settings = plan.settings
    return JobFile(
        format_version=FORMAT_VERSION,
        bundle=BundleMark(bundle.sidecar.name, bundle.digest, str(bundle.path.resolve())),
        task=session.task.name,
        targets=session.task.targets,
        units=session.task.units,
        target_columns=session.task.target_columns,
        settings=PinnedSettings(
            methods=settings.methods,
            explain_target=plan.choice.text,
            explain_where=settings.explain_where,
            explain_fraction=settings.explain_fraction,
            layout=settings.layout,
            per=settings.per,
            reduction=settings.reduction,
            top_k=settings.top_k,
            reasons=None if plan.reasons is None else plan.reasons.choice,
            keep=settings.keep,
            on_bad_row=settings.on_bad_row,
            on_unseen=settings.on_unseen,
            variant=settings.variant,
            batch_rows=plan.rows_per_batch,
            part_rows=plan.rows_per_part,
            explain=settings.explain.record(),
            call_rows=session.batch_rows,
        ),
        provider=session.provider.name,
        versions=_versions(settings),
        inputs=tuple(_describe_input(source) for source in plan.inputs),
    )


def describe_part(job: JobFile, source: SourceFile, span: PartSpan) -> dict[str, Any]:
    """The metadata of one part: what made it, and its rows. A copy of the input elsewhere gives the same metadata."""
    last_row = max(span.start, span.stop - 1)
    groups = [source.row_group(span.start), source.row_group(last_row)] if source.rows else []
    return {
        **job.of_every_part(),
        "source_file": source.name,
        "source_footer_sha256": source.fingerprint.footer_sha256,
        "source_rows": [span.start, span.stop],
        "source_row_groups": groups,
    }


def _describe_input(source: SourceFile | BadFile) -> InputMark:
    mark = source.fingerprint or UNREADABLE
    rows = source.rows if isinstance(source, SourceFile) else None
    path = str(real_place(source.path))
    return InputMark(source.name, path, rows, mark.size, mark.modified_ns, mark.footer_sha256)


def _versions(settings: JobSettings) -> dict[str, str]:
    by_torch = any(engine_of(method, settings.explain.engine) == TORCHSCRIPT for method in settings.methods)
    versions = {name: version(name) for name in ("whyport", "numpy", "pyarrow", *(["torch"] if by_torch else []))}
    # The fused kernels' last bits differ from the portable program's.
    if by_torch and find_spec("numba"):
        versions["numba"] = version("numba")
    return versions | {"onnxruntime": load_onnxruntime().__version__}
