"""One row of a run's output, in words: the prediction, and the reasons for it, strongest first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from whyport.batch.arrow import first_row
from whyport.batch.methods.positions import Positions
from whyport.batch.output.columns import IMPUTED_COUNT, SOURCE_ROW, ExplanationColumns
from whyport.batch.output.layouts import StoredAttributions
from whyport.batch.review.finished_run import FinishedRun, read_rows
from whyport.batch.review.row_values import RowValues, picture_sizes
from whyport.batch.review.show_pictures import picture_lines
from whyport.batch.review.show_segments import segment_lines, segment_places
from whyport.batch.review.show_sequences import sequence_lines
from whyport.batch.review.show_tokens import token_lines, token_names
from whyport.runtime.errors import JobError
from whyport.runtime.store.path import Place
from whyport.runtime.task import PREDICTION, Task


@dataclass(frozen=True)
class Share:
    """One feature's share of an explanation."""

    feature: str
    value: float
    error: float | None = None
    """The share's standard error; None if the method gives none."""

    @property
    def error_bar(self) -> str:
        """The standard error as text that follows the value."""
        return "" if self.error is None else f" ± {self.error:.2g}"


@dataclass(frozen=True)
class Kept:
    """The shares of a row that a run has kept."""

    shares: list[Share]
    of_row: int | None
    """The number of all its shares; None where not known, of rows of varying length with the strongest alone."""
    add_up: bool
    """Whether all of them add up to score - base value."""


def describe_row(out: Place, row: int, file: str | None, top: int) -> list[str]:
    """Describe one row of a run in words.

    Args:
        out: the output folder.
        row: the row's number in its input, from 0.
        file: the input; None if there is only one.
        top: how many reasons to give.

    Raises UsageError for an unknown row or file, JobError for a row that is not in the output.
    """
    run = FinishedRun.read(out, unfinished=True)
    index = run.find_input(file)
    mark = run.inputs[index]
    if mark.rows is not None:
        run.check_row(index, row)
    span = next((span for span in run.job.spans(index) if span.start <= row < span.stop), None)
    title = f"{mark.source_file}, row {row}"
    if span is None or not run.path(span).exists():
        raise JobError(f"{title}: not in the output: its file was skipped, or the run is not finished")
    table = read_rows(run.path(span), SOURCE_ROW, [row])
    if table.num_rows:
        return [title, *_scored(table, run, top, RowValues(run, index, row))]
    rejected = read_rows(run.folder.rejected / span.name, SOURCE_ROW, [row]).to_pylist()
    if not rejected:
        raise JobError(f"{title}: neither in the output nor rejected")
    return [title, f"rejected    {rejected[0]['reason']}"]


def _scored(table: pa.Table, run: FinishedRun, top: int, inputs: RowValues) -> Iterator[str]:
    values = first_row(table)
    for name in run.settings.keep:
        yield f"kept        {name} = {values[name]}"
    yield from _predicted(values, run.task)
    if values[IMPUTED_COUNT.name]:
        yield f"imputed     {values['imputed_count']} values"
    columns = run.columns_of(table.schema)
    named = token_names(columns.tokens, values) | segment_places(columns.layout.positions, columns.segments, values)
    for each in columns.explanations:
        if values[each.score] is None:
            yield f"explained   not by {each.method}: the run explained {run.selection} alone"
            continue
        stored = columns.layout.read(table, each.prefix, each.suffix)
        target = each.target or values[each.explained_target]
        heading = f"{each.method}, {run.task.target} {target}"
        if not np.isfinite(stored.values).all():
            yield f"{heading}: score {values[each.score]:+.4g}; no attributions, because they are not finite"
            continue
        has = np.ones(stored.values.shape[1], dtype=np.bool_) if stored.has is None else stored.has[0]
        shares = [
            Share(columns.layout.features[i], share)
            for i, share in zip(stored.features[0, has], stored.values[0, has], strict=True)
        ]
        for bar in (extra for extra in columns.extras[each.method] if extra.is_error_bar):
            errors = columns.layout.read_extra(table, each.prefix, each.suffix, bar.name)[0, has]
            shares = [replace(share, error=float(error)) for share, error in zip(shares, errors, strict=True)]
        positions = columns.layout.positions
        kept = Kept(shares, _shares_of_row(stored, positions), positions.add_up)
        unit = run.task.unit_of(target)
        yield from _explained(values, each, heading, unit, kept, top, inputs, named)
        if stored.values.shape[1] == len(positions.names):
            cells = np.zeros(len(positions.names))
            cells[stored.features[0]] = stored.values[0]
            own = np.zeros(len(positions.names), dtype=np.bool_)
            own[stored.features[0]] = has
            yield from sequence_lines(positions, each.method, cells, own, top)
            yield from picture_lines(positions, cells, top, picture_sizes(run))
            yield from segment_lines(positions, columns.segments, values, cells)
            yield from token_lines(positions, columns.tokens, values, cells, top)
    if inputs.problem:
        yield f"values      not shown: {inputs.problem}"


def _shares_of_row(stored: StoredAttributions, positions: Positions) -> int | None:
    """The number of all the shares of the one row, kept or not; None where it is not known."""
    if stored.has is None:
        return len(positions.names)
    own, kept = int(stored.has.sum()), stored.has.shape[1]
    return own if own < kept or kept == len(positions.names) else None


def _predicted(values: dict[str, Any], task: Task) -> Iterator[str]:
    chances = {target: values[name] for target, name in task.probability_columns.items()}
    if chances:
        ordered = sorted(((chance, target) for target, chance in chances.items()), reverse=True)
        text = ", ".join(f"{target} {chance:.4g}" for chance, target in ordered)
        yield f"prediction  {values[PREDICTION]} ({text})"
        return
    for column in task.columns:
        yield f"{column.name:11} {values[column.name]:.6g}{f' {column.unit}' if column.unit else ''}"


def _explained(
    values: dict[str, Any],
    columns: ExplanationColumns,
    heading: str,
    unit: str,
    kept: Kept,
    top: int,
    inputs: RowValues,
    named: Mapping[str, str],
) -> Iterator[str]:
    """The shares that the run has kept, strongest first, each with the feature's value, or what it is of."""
    shares = kept.shares
    score = values[columns.score]
    base_value = values[columns.base_value] if kept.add_up else None
    is_complete = len(shares) == kept.of_row
    line = f"{heading}: score {score:+.4g}"
    # The rest follows from the sum, to the accuracy with which the method makes the sum right.
    total = sum(share.value for share in shares) if is_complete or base_value is None else score - base_value
    if base_value is not None:
        state = "converged" if values[columns.converged] else "not converged"
        line += (
            f" = base {base_value:+.4g} + attributions {total:+.4g} "
            f"(off by {values[columns.completeness_error]:.2g} {unit}, {state})"
        )
    yield line
    ordered = sorted(shares, key=lambda share: -abs(share.value))[:top]
    known = inputs.of([share.feature for share in ordered]) | dict(named)
    for share in ordered:
        value = f" = {known[share.feature]}" if share.feature in known else ""
        yield f"  {share.value:+12.5g}{share.error_bar}  {share.feature}{value}"
    others = "all" if kept.of_row is None else kept.of_row - len(ordered)
    if others and (is_complete or base_value is not None):
        yield f"  {total - sum(share.value for share in ordered):+12.5g}  {others} others together"
    elif others:
        yield f"                {others} others"
