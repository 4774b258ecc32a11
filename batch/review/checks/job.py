"""Whether _job.json describes the run's bundle, and inputs that are still the ones that were read."""

from collections import Counter
from collections.abc import Mapping
from typing import Any

from whyport.batch.methods.catalogue import engine_of, method_options
from whyport.batch.methods.method import TORCHSCRIPT
from whyport.batch.methods.settings import shared_default
from whyport.batch.output.folder import JOB_FILE
from whyport.batch.output.job_file import FORMAT_VERSION
from whyport.batch.review.checks.audited import Audited
from whyport.runtime.bundle.sidecar import task_of
from whyport.runtime.errors import AuditError, listing
from whyport.runtime.providers import CPU

ADDED = {
    3: ("arithmetic",),
    4: ("units", "target_columns", "settings.on_unseen", "settings.explain_target"),
    5: ("settings.per", "settings.reduction"),
    6: ("settings.reasons",),
    7: ("settings.variant",),
}
"""The keys that a version of _job.json has first: no older one has them."""


def check_job(audited: Audited) -> str:
    """Check what _job.json says against the bundle, the inputs, and itself."""
    _check_version(audited)
    _check_model(audited)
    _check_settings(audited)
    _check_arithmetic(audited)
    names = [mark.source_file for mark in audited.run.inputs]
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise _fault(audited, "inputs", "each once", f"twice {listing(twice)}")
    if not audited.asked.reads_inputs:
        return "the bundle is the run's; inputs are not looked at without rows to compute"
    _check_inputs(audited)
    return f"the bundle and {len(audited.sources)} inputs are those that {JOB_FILE} describes"


def _check_version(audited: Audited) -> None:
    """Check that a document with every key of the newest version does not pass for an older one."""
    document, version = audited.job_document, audited.job_document["format_version"]
    later = [key for first in range(version + 1, FORMAT_VERSION + 1) for key in ADDED[first]]
    if later and all(_has(document, key) for key in later):
        expected = f"{FORMAT_VERSION}, which has the key {listing(later)}"
        raise _fault(audited, "format_version", expected, version)


def _check_model(audited: Audited) -> None:
    """Check the bundle's name, and the task with its targets, against the bundle itself."""
    job, sidecar = audited.run.job, audited.bundle.sidecar
    task = task_of(sidecar)
    pairs: dict[str, tuple[Any, Any]] = {
        "bundle.name": (sidecar.name, job.bundle.name),
        "task": (task.name, job.task),
        "targets": (task.targets, job.targets),
    }
    if audited.is_newest:
        pairs["units"] = (task.units, job.units)
        pairs["target_columns"] = (task.target_columns, job.target_columns)
    for key, (expected, got) in pairs.items():
        if got != expected:
            raise _fault(audited, key, expected, got)


def _check_settings(audited: Audited) -> None:
    """Check what the settings say twice."""
    job, report = audited.run.job, audited.report
    settings = job.settings
    if settings.part_rows % settings.batch_rows:
        expected = f"a multiple of {settings.batch_rows}, the rows of a batch"
        raise _fault(audited, "settings.part_rows", expected, settings.part_rows)
    if len(set(settings.methods)) < len(settings.methods):
        raise _fault(audited, "settings.methods", "each once", listing(settings.methods))
    for name, declared in method_options().items():
        default = shared_default(declared)
        if not declared.keys() & set(settings.methods) and settings.explain.get(name, default) != default:
            expected = f"{default}, without a method that has it"
            raise _fault(audited, f"settings.explain.{name}", expected, settings.explain[name])
    if report.provider != job.provider:
        raise AuditError(f"provider: expected {job.provider}, as the job, got {report.provider}, in {audited.out}")
    engine = settings.explain_settings.engine
    by_torch = any(engine_of(method, engine) == TORCHSCRIPT for method in settings.methods)
    needed = {"whyport", "numpy", "pyarrow", "onnxruntime", *(["torch"] if by_torch else [])}
    got = job.versions.keys() - ({"numba"} if by_torch else set())
    if got != needed:
        raise _fault(audited, "versions", listing(sorted(needed)), listing(sorted(got)))


def _check_arithmetic(audited: Audited) -> None:
    """Check that arithmetics are of the model and of the methods, and of processors alone."""
    job = audited.run.job
    expected = {"outputs", *job.settings.methods} if job.provider == CPU.name else set()
    for each in job.arithmetic:
        if each.keys() != expected:
            raise _fault(audited, "arithmetic", listing(sorted(expected)), listing(sorted(each)))


def _check_inputs(audited: Audited) -> None:
    """Check that the inputs that were scored have the rows and the size that they had; their digests are compared too.

    Raises DataError or AuditError.
    """
    for i, source in audited.sources.items():
        mark = audited.run.inputs[i]
        pairs = {"rows": (source.rows, mark.rows), "size": (source.fingerprint.size, mark.size)}
        for key, (found, said) in pairs.items():
            if said != found:
                raise _fault(audited, f"inputs[{i}].{key}", f"{found}, as {mark.path} has", said)


def _has(document: Mapping[str, Any], key: str) -> bool:
    """Whether a document has a key, which may be below another one."""
    first, dot, rest = key.partition(".")
    if first not in document:
        return False
    below = document[first]
    return not dot or (isinstance(below, dict) and _has(below, rest))


def _fault(audited: Audited, key: str, expected: Any, got: Any) -> AuditError:
    return AuditError(f"{key}: expected {expected}, got {got}, in {audited.out / JOB_FILE}")
