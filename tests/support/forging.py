"""What a forger does to a finished run: a part is rewritten, and whatever counts it is made right again."""

import dataclasses
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from whyport.batch.output.result import FileReport, JobReport
from whyport.batch.output.totals import Totals
from whyport.batch.review.checks.recount import Recount
from whyport.batch.review.finished_run import FinishedRun
from whyport.runtime.bundle.codec import encode
from whyport.runtime.errors import AuditError

Forge = Callable[[pa.Table], pa.Table]


def forge(out: Path, change: Forge, name: str = "part-00000-000000000300-000000000600.parquet") -> None:
    """Rewrite a part, with its metadata, and make the counts right again, and the digests."""
    rewrite(out / name, change)
    make_right(out)


def rewrite(path: Path, change: Forge = lambda table: table, metadata: Mapping[bytes, bytes] | None = None) -> None:
    """Rewrite a part, by default with the metadata that it has."""
    table = pq.read_table(path, partitioning=None)
    kept = pq.read_metadata(path).metadata if metadata is None else metadata
    own = {key: value for key, value in kept.items() if key != b"ARROW:schema"}
    pq.write_table(change(table).replace_schema_metadata(own), path)


def make_right(out: Path, *, counts_rows: bool = True) -> None:
    """Make what the footers and the report say of the parts true again, with every digest.

    Args:
        out: the output folder.
        counts_rows: whether the footers are to say what the rows have; otherwise they stay as they are.
    """
    run = FinishedRun.read(out)
    recount = Recount(run.task, run.columns)
    files: dict[int, tuple[FileReport, Totals]] = {}
    for span in run.parts:
        path, beside = out / span.name, out / "_rejected" / span.name
        if not path.exists():
            continue
        before = Totals.read(pq.read_metadata(path).metadata[b"whyport.totals"].decode())
        totals = _counted(recount, path, beside, before) if counts_rows else before
        for each in (path, beside):
            if each.exists():
                metadata = dict(pq.read_metadata(each).metadata)
                if Totals.read(metadata[b"whyport.totals"].decode()) != totals:
                    rewrite(each, metadata=metadata | {b"whyport.totals": encode(totals).encode()})
        report, total = files.get(span.index, (FileReport(run.inputs[span.index].source_file, 0, 0, 0), Totals()))
        total += totals
        rows = total.rows_out, total.rows_rejected
        files[span.index] = FileReport(report.source_file, run.inputs[span.index].rows or 0, *rows), total
    there = [*sorted(out.glob("part-*.parquet")), *sorted((out / "_rejected").glob("part-*.parquet"))]
    digests = {path.relative_to(out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest() for path in there}
    old = run.report
    new = JobReport.of([*files.values()], [*old.skipped], old.passed_over, digests, run.job.provider, old.performance)
    write_json(out / "_report.json", dataclasses.asdict(new))


def _counted(recount: Recount, path: Path, beside: Path, before: Totals) -> Totals:
    """The totals of a part and its rejected part, as far as their columns tell; the rest as it was."""
    try:
        counted = recount.of(pq.read_table(path, partitioning=None), str(path))
    except (AuditError, KeyError, TypeError, pa.ArrowException):
        return before
    reasons = pq.read_table(beside, partitioning=None)["reason"].to_pylist() if beside.exists() else []
    rejected = dict(sorted(Counter(reasons).items(), key=lambda item: (-item[1], str(item[0]))))
    unseen = {name: getattr(before, name) for name in ("rows_unseen", "unseen", "cut")}
    return dataclasses.replace(counted, rejected=rejected, **unseen)


def edit_json(path: Path, change: Callable[[Any], Any]) -> None:
    """Change a document in place."""
    document = json.loads(path.read_text())
    change(document)
    write_json(path, document)


def write_json(path: Path, document: Any) -> None:
    """Write a document as a run does."""
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def with_column(name: str, change: Callable[[Any], Any]) -> Forge:
    """The table with a column changed by a function of its values."""

    def changed(table: pa.Table) -> pa.Table:
        i = table.column_names.index(name)
        values = pa.array(change(table[name].to_pylist()), table.schema.field(name).type)
        return table.set_column(i, table.schema.field(name), values)

    return changed


def elements(change: Callable[[list[Any]], list[Any]]) -> Callable[[Any], Any]:
    """A change of every list that is there."""
    return lambda lists: [None if v is None else change(v) for v in lists]
