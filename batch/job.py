"""A job: Parquet in, predictions and explanations out, every row accounted for."""

import dataclasses
import hashlib
import json
import logging
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pyarrow as pa

from batch.columns import RowCleaner, check_features, check_present
from batch.explainers import explainer_class
from batch.explainers.settings import ExplainSettings
from batch.folder import JOB_FILE, REJECTED_FOLDER, SUCCESS_FILE, check_folder, clear_folder, write_json
from batch.output import IDENTITY, REASON, OutputColumns, ScoredRows
from batch.progress import Progress
from batch.report import JobReport
from batch.scoring import Scorer
from batch.sink import PartWriter
from batch.source import SourceFile, discover, open_source
from batch.targets import ClassChoice
from runtime.bundle import Bundle
from runtime.errors import JobError, UsageError, WhyportError, listing
from runtime.session import Session

# Rows that are read, scored and explained together. The engines split them further and finish together, so few large
# batches keep the cores busier; but progress shows after each, and explaining one takes minutes.
PREDICTED_BATCH_ROWS = 16384
EXPLAINED_BATCH_ROWS = 4096

PART_ROWS = 1 << 20
"""Rows of one part of the output, rounded up to whole batches."""

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class JobSettings:
    """What to run: the options of `whyport run`."""

    inputs: tuple[str, ...]
    out: Path
    methods: tuple[str, ...] = ()
    explain_class: str = "predicted"
    keep: tuple[str, ...] = ()
    on_bad_row: str = "reject"
    device: str = "auto"
    threads: int | None = None
    batch_rows: int | None = None
    """By default PREDICTED_BATCH_ROWS or, with methods, EXPLAINED_BATCH_ROWS."""
    explain: ExplainSettings = field(default_factory=ExplainSettings)
    overwrite: bool = False


class Job:
    """Checks everything that can be known before a row is read, then runs.

    Args:
        bundle: the model.
        settings: the options.

    Raises:
        UsageError, ColumnError, DataError, BundleError, ProviderError: what is asked for cannot be done.
    """

    def __init__(self, bundle: Bundle, settings: JobSettings) -> None:
        sidecar = bundle.sidecar
        if settings.batch_rows is not None and settings.batch_rows < 1:
            raise UsageError(f"batch_rows: expected at least 1, got {settings.batch_rows}")
        if len(set(settings.methods)) != len(settings.methods):
            raise UsageError(f"methods named twice: {listing(settings.methods)}")
        for method in settings.methods:
            explainer_class(method)
        check_folder(settings.out, settings.overwrite)
        self._bundle = bundle
        self._settings = settings
        self._batch_rows = settings.batch_rows or (EXPLAINED_BATCH_ROWS if settings.methods else PREDICTED_BATCH_ROWS)
        self._choice = ClassChoice.parse(settings.explain_class, sidecar.classes)
        self._output = OutputColumns(sidecar, settings.methods, self._choice.is_all)
        self._cleaner = RowCleaner(sidecar, settings.on_bad_row, self._choice.label)
        paths = discover(settings.inputs)
        inside = [str(path) for path in paths if path.resolve().is_relative_to(settings.out.resolve())]
        if inside:
            raise UsageError(f"inputs lie in the output folder: {listing(inside)}")
        self._features = [feature.name for feature in sidecar.features]
        self._sources = [self._checked(open_source(path)) for path in paths]
        session = Session(bundle, settings.device, threads=settings.threads)
        self._scorer = Scorer(session, settings.methods, self._choice, settings.explain)
        self._report = JobReport(provider=session.provider.name)

    def run(self) -> JobReport:
        """Score and explain every row; `_SUCCESS` is written only after rows in = rows out + rejected.

        Raises DataError, ValueRangeError or MissingValueError naming column, row and file, and ParityError.
        """
        out, report = self._settings.out, self._report
        clear_folder(out)
        write_json(out / JOB_FILE, self._description())
        progress = Progress(sum(source.rows for source in self._sources))
        with report.stage("total"):
            try:
                for index, source in enumerate(self._sources):
                    self._run_file(index, source, progress)
            finally:
                progress.close()
        digests = {path.relative_to(out).as_posix(): _sha256(path) for path in sorted(out.rglob("part-*.parquet"))}
        totals = dataclasses.asdict(report)
        write_json(out / JOB_FILE, self._description() | {"totals": totals, "parts": digests})
        (out / SUCCESS_FILE).touch()
        return report

    def _checked(self, source: SourceFile) -> SourceFile:
        check_features(source, self._features)
        check_present(source, self._settings.keep, "kept")
        if self._choice.label is not None:
            check_present(source, [self._choice.label], "label")
        self._output.schema(self._kept_fields(source), source.name)
        return source

    def _kept_fields(self, source: SourceFile) -> list[pa.Field]:
        return [source.schema.field(name) for name in self._settings.keep]

    def _columns(self) -> list[str]:
        label = [self._choice.label] if self._choice.label is not None else []
        return list(dict.fromkeys([*self._features, *self._settings.keep, *label]))

    def _run_file(self, index: int, source: SourceFile, progress: Progress) -> None:
        """One file's rows to its parts, counted against its footer."""
        part_rows = -(-PART_ROWS // self._batch_rows) * self._batch_rows
        batches = source.batches(self._columns(), self._batch_rows)
        written = rejected = 0
        for start in range(0, max(source.rows, 1), part_rows):
            stop = min(start + part_rows, source.rows)
            out, bad = self._run_part(index, source, (start, stop), batches, progress)
            written, rejected = written + out, rejected + bad
        if written + rejected != source.rows:
            raise JobError(f"expected {source.rows} rows out or rejected, got {written} + {rejected}, in {source.name}")
        self._report.rows_in += source.rows
        self._report.rows_out += written

    def _run_part(
        self,
        index: int,
        source: SourceFile,
        span: tuple[int, int],
        batches: Iterator[tuple[int, pa.RecordBatch]],
        progress: Progress,
    ) -> tuple[int, int]:
        """The rows from span[0] up to span[1] to one part; returns how many were written and how many rejected."""
        start, stop = span
        name = f"part-{index:05d}-{start:012d}-{stop:012d}.parquet"
        kept = self._kept_fields(source)
        metadata = {"whyport": json.dumps(self._part_description(source, span), ensure_ascii=False)}
        report = self._report
        with ExitStack() as stack:
            part = PartWriter(self._settings.out / name, self._output.schema(kept, source.name), metadata)
            stack.enter_context(part)
            rejects: PartWriter | None = None
            row = start
            while row < stop:
                with report.stage("read"):
                    row, batch = next(batches)
                scored = self._score(source, row, batch)
                with report.stage("write"):
                    part.write(self._output_batch(source, row, batch, scored))
                    if scored.rows.reasons:
                        if rejects is None:
                            rejects = self._open_rejects(name, kept, metadata)
                            stack.enter_context(rejects)
                        rejects.write(self._reject_batch(source, row, batch, scored))
                report.count(scored, self._bundle.sidecar.classes)
                progress.add(batch.num_rows)
                row += batch.num_rows
            if stop == source.rows:
                next(batches, None)  # lets the reader compare its rows with the footer
            rejected = rejects.commit() if rejects else 0
            report.parts += 1
            return part.commit(), rejected

    def _score(self, source: SourceFile, row: int, batch: pa.RecordBatch) -> ScoredRows:
        report = self._report
        try:
            with report.stage("clean"):
                rows = self._cleaner.clean(batch, row)
            with report.stage("predict"):
                predicted = self._scorer.predict(rows)
            with report.stage("explain"):
                return self._scorer.explain(rows, predicted, row)
        except WhyportError as error:
            raise error.at(f"{source.name}, row group {source.row_group(row)}") from None

    def _output_batch(self, source: SourceFile, row: int, batch: pa.RecordBatch, scored: ScoredRows) -> pa.RecordBatch:
        kept = self._kept_fields(source)
        clean = scored.rows
        columns = [batch.column(field.name) for field in kept]
        if len(clean.kept) < batch.num_rows:
            columns = [column.take(pa.array(clean.kept)) for column in columns]
        identity = [pa.repeat(source.name, len(clean.kept)), pa.array(row + clean.kept)]
        schema = self._output.schema(kept, source.name)
        return pa.record_batch([*identity, *columns, *self._output.arrays(scored)], schema=schema)

    def _open_rejects(self, name: str, kept: list[pa.Field], metadata: dict[str, str]) -> PartWriter:
        folder = self._settings.out / REJECTED_FOLDER
        folder.mkdir(exist_ok=True)
        return PartWriter(folder / name, pa.schema([*IDENTITY, REASON, *kept]), metadata)

    def _reject_batch(self, source: SourceFile, row: int, batch: pa.RecordBatch, scored: ScoredRows) -> pa.RecordBatch:
        kept, clean = self._kept_fields(source), scored.rows
        identity = [pa.repeat(source.name, len(clean.rejected)), pa.array(row + clean.rejected)]
        columns = [batch.column(field.name).take(pa.array(clean.rejected)) for field in kept]
        schema = pa.schema([*IDENTITY, REASON, *kept])
        return pa.record_batch([*identity, pa.array(clean.reasons, pa.string()), *columns], schema=schema)

    def _description(self) -> dict[str, Any]:
        """Everything that decides what the output is."""
        settings = dataclasses.asdict(self._settings) | {"out": None, "batch_rows": self._batch_rows}
        del settings["out"], settings["overwrite"]
        sidecar = self._bundle.sidecar
        return {
            "bundle": {"name": sidecar.name, "digest": self._bundle.digest},
            "settings": settings,
            "provider": self._report.provider,
            "inputs": [{"source_file": source.name, "rows": source.rows} for source in self._sources],
            "versions": _versions(bool(self._settings.methods)),
        }

    def _part_description(self, source: SourceFile, span: tuple[int, int]) -> dict[str, Any]:
        description = self._description()
        del description["inputs"]
        last_row = max(span[0], span[1] - 1)
        groups = [source.row_group(span[0]), source.row_group(last_row)] if source.rows else []
        return description | {"source_file": source.name, "source_rows": span, "source_row_groups": groups}


def _versions(explained: bool) -> dict[str, str]:
    versions = {name: version(name) for name in ("whyport", "numpy", "pyarrow", *(["torch"] if explained else []))}
    # The fused kernels' last bits are not the portable program's.
    if explained and find_spec("numba"):
        versions["numba"] = version("numba")
    return versions


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
