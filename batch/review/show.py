"""One row of a run's output, in words: the prediction, and the reasons for it, strongest first."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from whyport.batch.methods.catalogue import EXPLAINERS
from whyport.batch.output.columns import ExplanationColumns, classes, explanations, kept_columns
from whyport.batch.output.layouts import features_of
from whyport.batch.review.record import RunRecord, read_rows
from whyport.runtime.errors import JobError, UsageError

STANDARD_ERROR = "standard_error"


@dataclass(frozen=True)
class Share:
    """One feature's part in an explanation."""

    feature: str
    value: float
    error: float | None = None
    """Its standard error; None where the method gives none."""

    @property
    def error_bar(self) -> str:
        """As it follows the value."""
        return "" if self.error is None else f" ± {self.error:.2g}"


def describe_row(out: Path, row: int, file: str | None, top: int) -> list[str]:
    """What a run says of one row.

    Args:
        out: the output folder.
        row: the row's number in its input, from 0.
        file: the input; None where there is only one.
        top: how many reasons to give.

    Raises UsageError for a row or file that is not there, JobError for one that is not in the output.
    """
    record = RunRecord.read(out)
    source = record.find_input(file)
    if source.rows is not None and row >= source.rows:
        raise UsageError(f"row: expected less than {source.rows}, got {row}, in {source.source_file}")
    span = next((span for span in record.spans(source) if span.start <= row < span.stop), None)
    title = f"{source.source_file}, row {row}"
    if span is None or not (record.folder.path / span.name).exists():
        raise JobError(f"{title}: not in the output: its file was skipped, or the run is not finished")
    table = read_rows(record.folder.path / span.name, "source_row", [row])
    if table.num_rows:
        return [title, *_scored(table, record, top)]
    rejected = read_rows(record.folder.rejected / span.name, "source_row", [row]).to_pylist()
    if not rejected:
        raise JobError(f"{title}: neither in the output nor rejected")
    return [title, f"rejected    {rejected[0]['reason']}"]


def _scored(table: pa.Table, record: RunRecord, top: int) -> Iterator[str]:
    values, names = table.to_pylist()[0], table.column_names
    for name in kept_columns(names):
        yield f"kept        {name} = {values[name]}"
    chances = sorted(((values[f"probability.{name}"], name) for name in classes(names)), reverse=True)
    yield f"prediction  {values['prediction']} (" + ", ".join(f"{name} {chance:.4g}" for chance, name in chances) + ")"
    if values["imputed_count"]:
        yield f"imputed     {values['imputed_count']} values"
    if not record.methods:
        return
    all_classes = classes(names) if record.explains_all_classes else []
    attributions = record.attributions(features_of(table.schema))
    for columns in explanations(record.methods, all_classes):
        if values[columns.score] is None:
            yield f"explained   not by {columns.method}: the run explained {record.selection} alone"
            continue
        stored = attributions.read(table, columns.prefix, columns.suffix)
        shares = [
            Share(attributions.features[i], share)
            for i, share in zip(stored.features[0], stored.values[0], strict=True)
        ]
        if any(beside.name == STANDARD_ERROR for beside in EXPLAINERS[columns.method].beside):
            errors = attributions.read_beside(table, columns.prefix, columns.suffix, STANDARD_ERROR)[0]
            shares = [replace(share, error=float(error)) for share, error in zip(shares, errors, strict=True)]
        yield from _explained(values, columns, shares, len(attributions.features), top)


def _explained(
    values: dict[str, Any], columns: ExplanationColumns, shares: list[Share], features: int, top: int
) -> Iterator[str]:
    """The shares that the run has kept, of so many features, strongest first."""
    explained = columns.explained_class or values["explained_class"]
    score, base_value = values[columns.score], values[columns.base_value]
    is_complete = len(shares) == features
    line = f"{columns.method}, class {explained}: score {score:+.4g}"
    # What the run has not kept follows from the sum, as far as the method makes the sum right.
    total = sum(share.value for share in shares) if is_complete or base_value is None else score - base_value
    if base_value is not None:
        state = "converged" if values[columns.converged] else "not converged"
        line += (
            f" = base {base_value:+.4g} + attributions {total:+.4g} "
            f"(off by {values[columns.completeness_error]:.2g}, {state})"
        )
    yield line
    ordered = sorted(shares, key=lambda share: -abs(share.value))[:top]
    for share in ordered:
        yield f"  {share.value:+12.5g}{share.error_bar}  {share.feature}"
    others = features - len(ordered)
    if others and (is_complete or base_value is not None):
        yield f"  {total - sum(share.value for share in ordered):+12.5g}  {others} others together"
    elif others:
        yield f"                {others} others"
