"""The function `run`, with the options of `whyport run` as keywords."""

import inspect
from collections.abc import Iterable, Mapping
from dataclasses import fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from whyport.batch.methods.catalogue import method_options
from whyport.batch.methods.groups_file import given_groups
from whyport.batch.methods.method import AUTO_ENGINE, OptionValue
from whyport.batch.methods.per import AUTO as OWN_PER
from whyport.batch.methods.positions import SUM
from whyport.batch.methods.settings import COMMON, ExplainSettings
from whyport.batch.reasons.wordings import given_wordings
from whyport.batch.run.executors.where import LOCAL, Where
from whyport.batch.run.shard import Shard
from whyport.batch.settings import AUTO, JobSettings, parse_size
from whyport.batch.targets import written
from whyport.runtime.arguments import checked_arguments, typed
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import UsageError, unknown
from whyport.runtime.extras import needs
from whyport.runtime.options import as_names
from whyport.runtime.paths import check_place
from whyport.runtime.signing.bundle import required_bundle
from whyport.runtime.store.path import Place, as_place

if TYPE_CHECKING:
    from whyport.batch.output.result import JobReport
    from whyport.batch.output.shard_report import ShardReport
    from whyport.batch.progress import ProgressCallback
    from whyport.batch.run.job import Job


@needs("batch", "trees", "explain", "ray", "spark", "sign")
@typed
def run(
    bundle: Bundle | str | Place,
    inputs: str | Place | Iterable[str | Place],
    out: str | Place,
    *,
    explain: str | Iterable[str] = (),
    explain_target: str | Iterable[str] | None = None,
    explain_class: str | None = None,
    explain_where: str | None = None,
    explain_fraction: float | None = None,
    layout: str = AUTO,
    per: str = OWN_PER,
    segments: str | None = None,
    segment_count: int | None = None,
    reduction: str = SUM,
    top_k: int | None = None,
    keep: str | Iterable[str] = (),
    keep_features: bool = False,
    reasons: int | None = None,
    reason_texts: str | Path | Mapping[str, Any] | None = None,
    favourable: str | None = None,
    reason_method: str | None = None,
    on_bad_row: str = "reject",
    on_unseen: str = "score",
    on_bad_file: str = "fail",
    max_rejected: int | str | None = None,
    max_unseen: int | str | None = None,
    max_not_converged: int | str | None = None,
    players: str | Path | Mapping[str, Iterable[str]] | None = None,
    baseline: str | None = None,
    engine: str = AUTO_ENGINE,
    tolerance: float = ExplainSettings.tolerance,
    absolute_tolerance: float = ExplainSettings.absolute_tolerance,
    seed: int = ExplainSettings.seed,
    memory: int | str = ExplainSettings.memory,
    max_output: int | str = JobSettings.max_output,
    variant: str | None = None,
    device: str = "auto",
    batch_rows: int | None = None,
    part_rows: int | None = None,
    threads: int | None = None,
    new_since: str | Place | Iterable[str | Place] = (),
    require_signature: str | Path | None = None,
    overwrite: bool = False,
    take_over: bool = False,
    any_arithmetic: bool = False,
    finish_only: bool = False,
    on: str = LOCAL,
    workers: int | None = None,
    progress: "ProgressCallback | None" = None,
    **method_options: OptionValue,
) -> "JobReport":
    """Stream Parquet files through a bundle's predictions and explanations.

    The output has one row per input row, in input order. Rows that cannot be scored go to `out/_rejected`. The same
    call resumes a run that was stopped. In the main thread, the first Ctrl-C or SIGTERM lets the current part finish;
    in other threads no signal is watched.

    Args:
        bundle: a bundle, or its path; a path here may be an address in a store, such as s3://bucket/bundle.
        inputs: one or several of: a Parquet file, a folder of Parquet files, a glob pattern.
        out: the output folder.
        explain: one or several explanation methods.
        explain_target: "predicted", "all", "top:K" for the K largest scores of each row, "label:COLUMN", or one or
            several names of classes or targets ("target:NAME" where a name is one of these words). By default the
            predicted class; of a regression, every target.
        explain_class: another name for `explain_target`.
        explain_where: explain only the rows that meet this condition, such as "probability.yes > 0.5".
        explain_fraction: explain only this share of the rows, the same in every run.
        layout: "wide" for a column per feature, "list" for one column of attributions, "tensor" for one of [steps,
            features] a sequence; "auto" is "tensor" for models with sequences, "list" where their rows vary in length,
            "wide" for others.
        per: what has a share in a sequence: "cell" for each of its elements, "feature" or "step" for sums of these; in
            a picture "patch", "pixel", "segment" for connected parts that each row has of its own, or a grid, "7x7".
        segments: what cuts pictures into segments: "grid", the default, or "slic", which needs scikit-image.
        segment_count: about how many segments a picture is cut into, by default 50.
        reduction: "sum", or "abs" for sums of magnitudes, which do not add up to the score.
        top_k: keep only this many attributions per row, the largest by magnitude.
        keep: one or several input columns to copy, or patterns such as "*" and "credit_*".
        keep_features: whether the model's own columns are copied too, as the inputs have them.
        reasons: write the texts of so many reasons against the favourable outcome, the strongest first.
        reason_texts: what is said of each feature: a text, or a mapping with text, code, high and low, by its name; or
            a JSON or CSV file of them. Features without one give no reason.
        favourable: the favourable class, by default the second of two; of a regression "higher" or "lower" values.
        reason_method: the method whose shares the reasons are, by default the first.
        on_bad_row: "reject", "impute" or "fail", for a row with a null, NaN or infinity; a missing category that the
            model has its own way with is none.
        on_unseen: "score" by the model's own rule, "reject" or "fail", for a row with a category or a date that
            training has not seen, or a value of another type.
        on_bad_file: "fail" or "skip", for a file that cannot be read or lacks a column.
        max_rejected: the rejected rows that are tolerated, a count or a share such as "1%"; give it to `exit_code` of
            the report as well.
        max_unseen: the same for rows with values that training has not seen.
        max_not_converged: the same for rows whose explanation has not converged, out of those explained.
        players: groups of columns that share one value: the columns of each by its name, or a JSON or CSV file of them.
        baseline: the name of the bundle's baseline that scores are measured against; by default its first.
        engine: "torchscript", or "onnx", which needs no PyTorch; "auto" is "torchscript", with `variant` "onnx".
        tolerance: a row has converged if its completeness error, and for shapley every standard error, is at most
            this share of |score - base value| ...
        absolute_tolerance: ... or at most this much, in the score's unit; of a regression, in standard deviations of
            the target's scores over the reference rows.
        seed: the seed for a method's random draws.
        memory: bytes that a method may hold at once, beside the model, or a size such as "2GiB".
        max_output: bytes of output before compression, or a size such as "50GB", by an estimate: a run that would
            write more is refused.
        variant: the name of a smaller variant of the bundle, such as "int8", which `shrink` makes; by default the model
            in full size. PyTorch does not explain it.
        device: "auto", "cpu" or "cuda".
        batch_rows: rows that are read, scored and explained together.
        part_rows: rows per part of the output.
        threads: threads on the CPU; by default the cores that this process may use; with `on`, one for each worker.
        new_since: one or several folders of a job, or of several: only those inputs are scored that no finished job
            there has scored. Where there is none, nothing is written, and the report has no files.
        require_signature: a file with the public key that must have signed the bundle, or nothing is read.
        overwrite: whether another job, or a finished run, in `out` is replaced.
        take_over: whether another run's lease on `out` in a store is ended, because that run is known to be dead.
        any_arithmetic: whether a run is resumed where the last bits of its results differ, which the parts then say.
        finish_only: whether a part that is missing is an error, which names it, and not made; see `run_shard`.
        on: what makes the parts: "local" for this process, "ray" for a Ray cluster at RAY_ADDRESS or one that is
            started here, "ray://host:10001" for another one; "spark" for the active session of Spark or one that is
            started here, "spark://host:7077" for a cluster.
        workers: the number of workers on Ray; by default as many as the cluster has room for.
        progress: called in this thread with the rows done and the total rows, at the start and after each batch, or
            after what a worker made at a time. Without it nothing is shown.
        method_options: options of single methods, such as `steps=50`; `METHODS` lists them with their defaults.

    Returns:
        The counts, errors and digests of the run: the contents of `out/_report.json`.

    Raises:
        WhyportError: see whyport/runtime/errors.py for the tree. MissingPackageError: an extra is not installed.
    """
    options = dict(locals())
    for name in ("bundle", "inputs", "out", "finish_only", "progress", "method_options"):
        del options[name]
    where = Where.parse(options.pop("on"), options.pop("workers"))
    return run_at(where, bundle, inputs, out, finish_only=finish_only, progress=progress, **options, **method_options)


def run_at(
    where: Where,
    bundle: Bundle | str | Place,
    inputs: str | Place | Iterable[str | Place],
    out: str | Place,
    *,
    finish_only: bool = False,
    progress: "ProgressCallback | None" = None,
    **options: Any,
) -> "JobReport":
    """As `run`, where a session may be the caller's own."""
    from whyport.batch.run.interruption import Interruption

    job = _job(bundle, inputs, out, options, where)
    with Interruption() as interruption:
        return job.run(interruption, progress or _silent, finish_only=finish_only)


@needs("batch", "trees", "explain", "ray", "spark", "sign")
@typed
def run_shard(
    bundle: Bundle | str | Place,
    inputs: str | Place | Iterable[str | Place],
    out: str | Place,
    shard: str,
    *,
    progress: "ProgressCallback | None" = None,
    **options: Any,
) -> "ShardReport":
    """Make a share of the parts of a job, beside other processes that make theirs; `run` then finishes the job.

    Shards may run at any time, on any machines that share the folder, in any order, and again. `run` makes what is
    missing.

    Args:
        bundle, inputs, out: as of `run`.
        shard: "3/8" for the third of eight.
        progress: as of `run`, of this shard's rows.
        options: the other keywords of `run`, the same for every shard and for `run`.

    Returns:
        What the shard has done.

    Raises:
        WhyportError: as of `run`.
    """
    from whyport.batch.run.interruption import Interruption

    own = Shard.parse(shard)
    given = checked_arguments(run, bundle, inputs, out, **options).kwargs
    if given.pop("finish_only", False):
        raise UsageError("finish_only: expected no shard beside it")
    where = Where.parse(given.pop("on", LOCAL), given.pop("workers", None))
    job = _job(bundle, inputs, out, given, where)
    with Interruption() as interruption:
        return job.run_shard(own, interruption, progress or _silent)


@needs("batch", "trees", "explain", "ray", "spark", "sign")
@typed
def plan(
    bundle: Bundle | str | Place, inputs: str | Place | Iterable[str | Place], out: str | Place, **options: Any
) -> list[str]:
    """The plan of `run` for the same arguments, as lines of text; nothing is written.

    Raises:
        WhyportError: an error of `run` that can be known before a row is read.
    """
    given = checked_arguments(run, bundle, inputs, out, **options).kwargs
    where = Where.parse(given.pop("on", LOCAL), given.pop("workers", None))
    options = {name: value for name, value in given.items() if name not in ("finish_only", "progress")}
    return _job(bundle, inputs, out, options, where).lines()


OWN = {field.name for field in fields(JobSettings)} - {
    "inputs",
    "out",
    "methods",
    "keep",
    "explain",
    "new_since",
    "only",
    "require_signature",
}
"""The options that are the run's own, not its explanations'."""


def settings_of(inputs: Iterable[str | Place], out: Place, options: Mapping[str, Any]) -> JobSettings:
    """The settings behind keywords of `run`; raises UsageError for a keyword or value that is not valid."""
    given = dict(options)
    methods, keep = as_names(given.pop("explain", ())), as_names(given.pop("keep", ()))
    for name in ("memory", "max_output"):
        if isinstance(given.get(name), str):
            given[name] = parse_size(name, given[name])
    given["players"] = given_groups(given.get("players"))
    given["reason_texts"] = given_wordings(given.get("reason_texts"))
    targets, older = given.pop("explain_target", None), given.pop("explain_class", None)
    if targets is not None and older is not None:
        raise UsageError("explain_class: another name for explain_target; expected one of them")
    own = {name: given.pop(name) for name in OWN if name in given}
    own["new_since"] = _folders(given.pop("new_since", ()))
    key = given.pop("require_signature", None)
    own["require_signature"] = None if key is None else Path(key)
    own["explain_target"] = written(older if targets is None else targets)
    for name in given:
        if name not in COMMON and name not in method_options():
            known = [option for option in inspect.signature(run).parameters if option != "method_options"]
            raise UsageError(unknown("option", name, [*known, *method_options()]))
    explain = ExplainSettings.of(**given)
    return JobSettings(inputs=tuple(map(str, inputs)), out=out, methods=methods, keep=keep, explain=explain, **own)


def _job(
    bundle: Bundle | str | Place,
    inputs: str | Place | Iterable[str | Place],
    out: str | Place,
    options: Mapping[str, Any],
    where: Where,
) -> "Job":
    from whyport.batch.run.job import Job

    several = [inputs] if isinstance(inputs, str | Place) else inputs
    settings = settings_of(several, as_place(out), options)  # before a bundle is read: a mistake costs nothing
    return Job(required_bundle(bundle, settings.require_signature), settings, where=where)


def _folders(folders: str | Place | Iterable[str | Place]) -> tuple[Place, ...]:
    several = [folders] if isinstance(folders, str | Place) else [*folders]
    for each in several:
        check_place("new_since", each)
    return tuple(map(as_place, several))


def _silent(done: int, total: int) -> None:
    """No progress is shown."""
