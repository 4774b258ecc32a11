"""The commands `run` and `methods`."""

import json
import logging
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import click

from whyport.batch.method_options import MethodOptions
from whyport.batch.methods.catalogue import METHODS, method_options
from whyport.batch.methods.groups_file import given_groups
from whyport.batch.methods.method import AUTO_ENGINE, ENGINES
from whyport.batch.methods.per import AUTO as OWN_PER
from whyport.batch.methods.per import PER
from whyport.batch.methods.positions import REDUCTIONS, SUM
from whyport.batch.methods.segments.segmenter import COUNT as SEGMENT_COUNT
from whyport.batch.methods.segments.segmenter import SEGMENTERS
from whyport.batch.methods.settings import COMMON, ExplainSettings
from whyport.batch.reasons.options import reason_options
from whyport.batch.reasons.wordings import given_wordings
from whyport.batch.run.executors.where import LOCAL, Where
from whyport.batch.run.interruption import Interruption
from whyport.batch.run.shard import Shard
from whyport.batch.run.watch import LOG_FORMATS, log_as_json
from whyport.batch.settings import AUTO, LAYOUTS, ON_BAD_FILE, ON_BAD_ROW, ON_UNSEEN, JobSettings, parse_size
from whyport.runtime.errors import UsageError, WhyportError
from whyport.runtime.options import names_option
from whyport.runtime.paths import LocalPath, PlacePath, endpoint_option
from whyport.runtime.providers import DEVICES
from whyport.runtime.signing.bundle import required_bundle
from whyport.runtime.terminal import escaped_json, say

NO_METHOD = "none"

logger = logging.getLogger(__name__)


@click.command(cls=MethodOptions)
@click.argument("bundle", type=PlacePath())
@click.argument("inputs", nargs=-1, required=True, metavar="INPUT...")
@click.option("--out", type=PlacePath(), required=True, help="The folder for the output.")
@click.option(
    "--explain",
    "methods",
    multiple=True,
    default=(NO_METHOD,),
    show_default=True,
    metavar="METHOD",
    help="An explanation method, see whyport methods; may be repeated.",
)
@click.option(
    "--explain-target",
    "--explain-class",
    "explain_target",
    metavar="TARGET",
    help="predicted, all, top:K (the K largest scores of a row), label:COLUMN, or names of classes or targets, with "
    "commas between them (target:NAME where a name is one of these words).  [default: predicted; of a regression, all]",
)
@click.option(
    "--explain-where",
    metavar="CONDITION",
    help="Explain only rows that meet this condition on kept columns, prediction, probability.CLASS, score, ...; "
    "names in backticks or double quotes, texts in single quotes.",
)
@click.option(
    "--explain-fraction",
    type=float,
    metavar="SHARE",
    help="Explain only this share of the rows, such as 0.01; the same rows in every run.",
)
@click.option(
    "--layout",
    type=click.Choice(LAYOUTS),
    default=AUTO,
    show_default=True,
    help="Attributions as one column per feature (wide), one column of lists, or one tensor [steps, features] a "
    "sequence; auto is tensor for models with sequences, list where their rows vary in length, wide for others.",
)
@click.option(
    "--per",
    metavar=f"[{'|'.join((*PER, 'HxW'))}]",
    default=OWN_PER,
    show_default=True,
    help="What has a share: in a sequence each cell, or a feature or a step, whose cells are then one; in a picture a "
    "patch of a grid of at most 28 x 28, a field of a grid of H x W, a pixel, each channel of one, or a "
    "segment, of which each row has its own; in a text a token, or a word with all its tokens. auto is "
    "patch, token or cell; where every method gives maps over a picture, as grad-cam does, their grid.",
)
@click.option(
    "--segments",
    type=click.Choice(tuple(SEGMENTERS)),
    help="What cuts a picture for --per segment: fields of a grid, or slic, connected parts of like colour, by "
    "scikit-image.  [default: grid]",
)
@click.option(
    "--segment-count",
    type=int,
    metavar="N",
    help=f"About how many segments a picture is cut into, with --per segment.  [default: {SEGMENT_COUNT}]",
)
@click.option(
    "--reduction",
    type=click.Choice(REDUCTIONS),
    default=SUM,
    show_default=True,
    help="How cells become one: their sum, or the sum of their magnitudes (abs), which does not add up to the score.",
)
@click.option("--top-k", type=int, metavar="K", help="Keep only the K strongest attributions per row, as lists.")
@names_option("--keep", help="Input columns to copy to the output, or patterns such as '*' and 'credit_*'.")
@click.option(
    "--keep-features", is_flag=True, help="Copy the model's own columns too, so that nobody needs the inputs later."
)
@reason_options
@click.option(
    "--on-bad-row",
    type=click.Choice(ON_BAD_ROW),
    default="reject",
    show_default=True,
    help="What to do with a row that has a null, NaN or infinity, unless the model has its own way with it.",
)
@click.option(
    "--on-unseen",
    type=click.Choice(ON_UNSEEN),
    default="score",
    show_default=True,
    help="What to do with a row that has a category or date that training has not seen; score counts it.",
)
@click.option(
    "--on-bad-file",
    type=click.Choice(ON_BAD_FILE),
    default="fail",
    show_default=True,
    help="What to do with a file that cannot be read or lacks a column; skip leaves out all its rows (exit code 4).",
)
@click.option(
    "--max-rejected",
    metavar="N|N%",
    help="Exit with code 3 if more rows than this, a count or a share, are rejected.",
)
@click.option(
    "--max-unseen",
    metavar="N|N%",
    help="Exit with code 3 if more rows than this, a count or a share, have values that training has not seen.",
)
@click.option(
    "--max-not-converged",
    metavar="N|N%",
    help="Exit with code 3 if a method has not converged on more explained rows than this, a count or a share.",
)
@click.option(
    "--players",
    type=LocalPath(),
    metavar="FILE",
    help='Groups of columns that share one value: {"size": ["radius", "area"]} in a file *.json, or the columns '
    "player,column in a file *.csv.",
)
@click.option(
    "--engine",
    type=click.Choice((AUTO_ENGINE, *ENGINES)),
    default=AUTO_ENGINE,
    show_default=True,
    help="The engine for explanations; onnx needs no PyTorch, and deepshap then uses the bundle's summary references. "
    "auto is torchscript, with --variant onnx.",
)
@click.option(
    "--baseline",
    metavar="NAME",
    help="What scores are measured against, by its name in the bundle (see `whyport inspect`): background, or of "
    "pictures mean, zero or blur, of texts zero, pad or mask.  [default: the bundle's first]",
)
@click.option(
    "--tolerance",
    default=ExplainSettings.tolerance,
    show_default=True,
    help="A row has converged if its completeness error, and for shapley every standard error, is at most this "
    "share of |score - base value|, or within --absolute-tolerance.",
)
@click.option(
    "--absolute-tolerance",
    default=ExplainSettings.absolute_tolerance,
    show_default=True,
    help="A row has also converged if that error is at most this, in the unit of the score; of a regression, in "
    "standard deviations of the target's scores over the reference rows.",
)
@click.option(
    "--seed",
    default=ExplainSettings.seed,
    show_default=True,
    help="The seed for a method's random draws, the same for every row.",
)
@click.option(
    "--memory",
    default="256MB",
    show_default=True,
    metavar="SIZE",
    callback=lambda context, option, text: parse_size("--memory", text),
    help="Memory for a method, beside the model: 64MB or 2GiB, for example. One row is always explained.",
)
@click.option(
    "--max-output",
    default="20GB",
    show_default=True,
    metavar="SIZE",
    callback=lambda context, option, text: parse_size("--max-output", text),
    help="Refuse a run whose output would take more than this before compression, by an estimate.",
)
@click.option(
    "--variant",
    metavar="NAME",
    help="Run a smaller variant of the bundle, such as int8, which whyport shrink makes.",
)
@click.option("--device", type=click.Choice(DEVICES), default="auto", show_default=True)
@click.option(
    "--batch-rows",
    type=int,
    help="Rows read, scored and explained together.  [default: 32768; 4096 to explain; fewer for wide tables]",
)
@click.option(
    "--part-rows",
    type=int,
    help="Rows per part; after a signal, the current part is finished.  [default: 1048576; 16384 to explain]",
)
@click.option("--threads", type=int, help="Threads on the CPU; by default the cores that this process may use.")
@click.option(
    "--new-since",
    type=PlacePath(),
    multiple=True,
    metavar="OUT",
    help="Score only inputs that no finished job has scored in this folder of a job, or of several; may be repeated.",
)
@click.option(
    "--require-signature",
    type=LocalPath(),
    metavar="PUBLIC",
    help="The public key (PEM) that must have signed BUNDLE, or nothing is read.",
)
@click.option("--overwrite", is_flag=True, help="Replace another job, or a finished run, in the folder.")
@click.option(
    "--take-over",
    is_flag=True,
    help="End the lease of another run on the folder in a store, which is known to be dead; by itself it ends after a "
    "minute.",
)
@click.option(
    "--any-arithmetic",
    is_flag=True,
    help="Resume also where the last bits of the results differ, on another processor; each part says what made it.",
)
@click.option(
    "--shard",
    metavar="NUMBER/COUNT",
    help="Make only this share of the parts, such as 3/8, beside other shards; the same command without it finishes.",
)
@click.option(
    "--on",
    default=LOCAL,
    show_default=True,
    metavar="EXECUTOR",
    help="What makes the parts: local, this process; ray, a Ray cluster at RAY_ADDRESS or else one that is started on "
    "this machine alone; ray://host:10001, another one; spark, spark-submit's session or one on this machine alone; "
    "spark://host:7077, a cluster. --threads are then one worker's, by default 1.",
)
@click.option("--workers", type=int, help="Workers on Ray.  [default: as many as the cluster has room for]")
@endpoint_option()
@click.option("--finish-only", is_flag=True, help="Finish a job whose parts are all there, or name what is missing.")
@click.option("--dry-run", is_flag=True, help="Check everything that can be checked and print the plan; write nothing.")
@click.option(
    "--log-format",
    type=click.Choice(LOG_FORMATS),
    default="text",
    show_default=True,
    help="json writes one object per line: the log on stderr, the report on stdout.",
)
def run(
    bundle: Path,
    inputs: tuple[str, ...],
    methods: tuple[str, ...],
    keep: tuple[str, ...],
    shard: str | None,
    finish_only: bool,
    on: str,
    workers: int | None,
    dry_run: bool,
    log_format: str,
    **options: Any,
) -> None:
    """Stream Parquet files through BUNDLE's predictions and explanations.

    INPUT is a Parquet file, a folder of Parquet files, or a glob pattern; in a folder, names that begin with _ or . are
    passed over. The output has one row per input row, in input order. Rows that cannot be scored go to OUT/_rejected
    with the reason. The same command resumes a run that was stopped or killed.

    Exit codes: 0 done, 1 failed, 2 usage, 3 done with more rows rejected than --max-rejected, unseen than --max-unseen
    or not converged than --max-not-converged, 4 done with files skipped, 130 and 143 interrupted by Ctrl-C and SIGTERM.

    \b
    Example: whyport run models/breast_cancer data --out scored --shard 3/8

    \b
    Example: whyport run models/breast_cancer incoming --new-since scored --out scored/2026-11-27

    \b
    Example: whyport run models/breast_cancer data --out scored --explain deepshap --on ray --workers 4

    \b
    Example: whyport run models/breast_cancer 'data/*.parquet' --out scored --explain deepshap --keep id

    \b
    Example: whyport run models/breast_cancer data --out scored --explain shapley --tolerance 0.05

    \b
    Example: whyport run small data --out scored --variant int8 --explain deepshap

    \b
    Example: whyport run models/photos data --out scored --explain lime --per segment --segments slic

    \b
    Example: whyport run models/breast_cancer data --out scored --explain deepshap --top-k 5 \\
                 --explain-where "probability.malignant > 0.5"
    """
    explain = {name: options.pop(name) for name in (*COMMON, *method_options())}
    with errors_logged(log_format), Interruption() as interruption:
        explain["players"] = given_groups(explain["players"])
        options["reason_texts"] = given_wordings(options["reason_texts"])
        settings = JobSettings(
            inputs=inputs,
            methods=tuple(method for method in methods if method != NO_METHOD),
            keep=keep,
            explain=ExplainSettings.of(**explain),
            **options,
        )
        from whyport.batch.run.job import Job

        own = None if shard is None else Shard.parse(shard)
        if own is not None and finish_only:
            raise UsageError("--finish-only: expected no --shard beside it")
        job = Job(required_bundle(bundle, settings.require_signature), settings, where=Where.parse(on, workers))
        if dry_run:
            for line in job.lines():
                say(line)
            return
        if own is not None:
            share = job.run_shard(own, interruption)
            print_report(asdict(share), [*share.lines(), f"output    {settings.out}"], log_format)
            sys.exit(share.exit_code)
        report = job.run(interruption, finish_only=finish_only)
    told = (
        [*report.lines(job.plan.task), f"output    {settings.out}"] if report.files or report.skipped else job.lines()
    )
    print_report(asdict(report), told, log_format)
    sys.exit(report.exit_code(settings.max_rejected, settings.max_not_converged, settings.max_unseen))


def print_report(report: Mapping[str, Any], lines: Iterable[str], log_format: str) -> None:
    """Print a report for a program, or for a reader."""
    if log_format == "json":
        click.echo(escaped_json(json.dumps(report, ensure_ascii=False)))
        return
    for line in lines:
        say(line)


@contextmanager
def errors_logged(log_format: str) -> Iterator[None]:
    """Write an error as a line of the log, if the log is JSON."""
    if log_format == "json":
        log_as_json()
    try:
        yield
    except WhyportError as error:
        if log_format != "json":
            raise
        logger.error("%s", error, extra={"fields": {"exit_code": error.exit_code}})
        sys.exit(error.exit_code)


@click.command()
def methods() -> None:
    """List the explanation methods with cost, guarantee and source.

    \b
    Example: whyport methods
    """
    for name, method in METHODS.items():
        say(name)
        say(f"  cost       {method.cost}")
        say(f"  guarantee  {method.guarantee}")
        say(f"  source     {method.source}")
        say(f"  unit       {method.unit_of('the score')}")
        say(f"  engines    {', '.join(method.engines)}")
        if method.options:
            say(f"  options    {', '.join('--' + each.name.replace('_', '-') for each in method.options)}")
