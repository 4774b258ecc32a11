"""One row of a run's output as a section of a document: the prediction, and the reasons for it, strongest first."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import pyarrow as pa

from whyport.batch.arrow import first_row
from whyport.batch.output.columns import IMPUTED_COUNT, SOURCE_ROW, OutputColumns
from whyport.batch.review.base_value import base_words
from whyport.batch.review.document import Column, Fact, Section, Table, Words
from whyport.batch.review.explained_row import ExplainedRow, NotExplained, explanations_of
from whyport.batch.review.finished_run import FinishedRun, read_rows
from whyport.batch.review.row_values import RowValues, Value, picture_sizes
from whyport.batch.review.show_pictures import picture_lines
from whyport.batch.review.show_segments import segment_lines, segment_places
from whyport.batch.review.show_sequences import sequence_lines
from whyport.batch.review.show_tokens import token_lines, token_names
from whyport.runtime.errors import JobError
from whyport.runtime.task import PREDICTION, Task

Block = Fact | Table | Words | Section

SHARE_FORMAT = "+.5g"
MOST_KEPT = 20
"""The kept columns that are shown in words; JSON has all."""


@dataclass(frozen=True)
class FoundRow:
    """One row of a run's inputs, as the run has put it into its output or set it aside."""

    run: FinishedRun
    index: int
    """The input's index among all inputs."""
    row: int
    """The row's number in the input."""
    table: pa.Table
    """[1]: the row in the output, or among the rejected rows."""
    is_rejected: bool = False

    @property
    def title(self) -> str:
        """The row's file and number."""
        return f"{self.run.inputs[self.index].source_file}, row {self.row}"

    @classmethod
    def read(cls, run: FinishedRun, index: int, row: int) -> "FoundRow":
        """Find a row; raises UsageError for a number beyond the input, JobError for a row that is not in the output."""
        mark = run.inputs[index]
        if mark.rows is not None:
            run.check_row(index, row)
        span = next((span for span in run.job.spans(index) if span.start <= row < span.stop), None)
        title = f"{mark.source_file}, row {row}"
        if span is None or not run.path(span).exists():
            raise JobError(f"{title}: not in the output: its file was skipped, or the run is not finished")
        table = read_rows(run.path(span), SOURCE_ROW, [row])
        if table.num_rows:
            return cls(run, index, row, table)
        rejected = run.folder.rejected / span.name
        table = read_rows(rejected, SOURCE_ROW, [row]) if rejected.exists() else table
        if not table.num_rows:
            raise JobError(f"{title}: neither in the output nor rejected")
        return cls(run, index, row, table, is_rejected=True)

    @cached_property
    def inputs(self) -> RowValues:
        """The row's own values."""
        return RowValues(self.run, self.index, self.row, output=None if self.is_rejected else self.table)


def row_section(found: FoundRow, top: int) -> Section:
    """A row's prediction and its reasons.

    Args:
        found: the row.
        top: how many reasons to give of each explanation.
    """
    blocks: list[Block] = [
        Fact("source_file", found.run.inputs[found.index].source_file, words=()),
        Fact("source_row", found.row, words=()),
    ]
    if found.is_rejected:
        values = first_row(found.table)
        blocks += [Fact("rejected", values["reason"]), *_kept(values, found)]
    else:
        blocks += _scored(found, top)
    return Section("rows", found.title, blocks, is_one_of_many=True)


def _kept(values: Mapping[str, Any], found: FoundRow) -> list[Block]:
    names = found.run.settings.keep
    if not names:
        return []
    kept = {name: values[name] for name in names}
    # The model's own columns last: their values are beside the shares.
    ordered = sorted(names, key=found.inputs.is_models)
    lines = [f"{name} = {kept[name]}" for name in ordered]
    if len(lines) > MOST_KEPT:
        lines = [*lines[:MOST_KEPT], f"... and {len(lines) - MOST_KEPT} more columns"]
    return [Fact("kept", kept, words=lines)]


def _scored(found: FoundRow, top: int) -> Iterator[Block]:
    table, run = found.table, found.run
    values = first_row(table)
    yield from _kept(values, found)
    yield from _predicted(values, run.task)
    count = values[IMPUTED_COUNT.name]
    yield Fact(IMPUTED_COUNT.name, count, "imputed", f"{count} values" if count else ())
    columns, inputs = run.columns_of(table.schema), found.inputs
    places = columns.layout.positions
    named = token_names(columns.tokens, values) | segment_places(places, columns.segments, values)
    bases: dict[str, str] = {}
    for each in explanations_of(table, run):
        if isinstance(each, NotExplained):
            facts = (Fact("method", each.method, words=()), Fact("score", None, words=()))
            line = f"explained   not by {each.method}: the run explained {run.selection} alone"
            yield Section("explanations", line, facts, is_one_of_many=True)
            continue
        yield _explained(each, run, top, inputs, named)
        yield Words([*_pictures(each, run, columns, values, top)])
        if each.base_value is not None and each.is_finite and each.method not in bases:
            bases[each.method] = base_words(run, each.method)
    several = len(run.settings.methods) > 1
    lines = [f"{words}{f', of {method}' if several else ''}" for method, words in bases.items()]
    yield Fact("base_value_is", bases, "base value", lines)
    yield Fact("values_problem", inputs.problem or None, "values", _problem(inputs))


def _problem(inputs: RowValues) -> str | tuple[()]:
    return f"not shown: {inputs.problem}" if inputs.problem else ()


def _predicted(values: Mapping[str, Any], task: Task) -> Iterator[Block]:
    chances = {target: values[name] for target, name in task.probability_columns.items()}
    if chances:
        ordered = sorted(((chance, target) for target, chance in chances.items()), reverse=True)
        text = ", ".join(f"{target} {chance:.4g}" for chance, target in ordered)
        yield Fact(PREDICTION, values[PREDICTION], words=f"{values[PREDICTION]} ({text})")
        yield Fact("probabilities", chances, words=())
        return
    for column in task.columns:
        unit = f" {column.unit}" if column.unit else ""
        yield Fact(column.name, values[column.name], words=f"{values[column.name]:.6g}{unit}")
    yield Fact("prediction_units", {column.name: column.unit for column in task.columns}, words=())


def _explained(each: ExplainedRow, run: FinishedRun, top: int, inputs: RowValues, named: Mapping[str, str]) -> Section:
    """The shares that the run has kept, strongest first, each with the feature's value, or what it is of."""
    heading = f"{each.method}, {run.task.target} {each.target}"
    facts = [
        Fact("method", each.method, words=()),
        Fact("target", each.target, words=()),
        Fact("score", each.score, words=()),
        Fact("score_unit", each.score_unit, words=()),
        Fact("share_unit", each.unit, words=()),
        Fact("base_value", each.base_value, words=()),
        Fact("completeness_error", each.completeness_error, words=()),
        Fact("converged", each.converged, words=()),
    ]
    if not each.is_finite:
        title = f"{heading}: score {each.score:+.4g}; no attributions, because they are not finite"
        return Section("explanations", title, facts, is_one_of_many=True)
    title = f"{heading}: score {each.score:+.4g}"
    if each.base_value is not None:
        state = "converged" if each.converged else "not converged"
        title += (
            f" = base {each.base_value:+.4g} + attributions {each.total:+.4g} "
            f"(off by {each.completeness_error:.2g} {each.score_unit}, {state})"
        )
    blocks = [*facts, *_shares(each, top, inputs, named)]
    return Section("explanations", title, blocks, is_one_of_many=True)


def _shares(each: ExplainedRow, top: int, inputs: RowValues, named: Mapping[str, str]) -> Iterator[Block]:
    chosen = each.strongest[:top]
    known = inputs.known([each.features[i] for i in chosen])
    known |= {name: Value(text, None, text) for name, text in named.items()}
    rows, lines = [], []
    for i in chosen:
        feature, share = each.features[i], float(each.shares[i])
        error = None if each.errors is None else float(each.errors[i])
        value = known.get(feature)
        unit = None if value is None else value.unit
        rows.append([share, error, feature, None if value is None else value.value, unit])
        bar = "" if error is None else f" ± {error:.2g}"
        lines.append(f"  {share:+12.5g}{bar}  {feature}{'' if value is None else f' = {value.text}'}")
    others = "all" if each.of_row is None else each.of_row - len(chosen)
    rest = None
    if others and (each.is_complete or each.base_value is not None):
        rest = each.total - float(each.shares[chosen].sum())
        lines.append(f"  {rest:+12.5g}  {others} others together")
    elif others:
        lines.append(f"                {others} others")
    columns = [
        Column("share", "share", each.unit, SHARE_FORMAT),
        Column("standard_error", "standard error"),
        Column("feature"),
        Column("value"),
        Column("unit"),
    ]
    yield Table("shares", columns, rows, lines=lines, note=lines[-1].strip() if others else "")
    yield Fact("others", None if others == "all" else others, words=())
    yield Fact("share_of_others", rest, words=())


def _pictures(
    each: ExplainedRow, run: FinishedRun, columns: OutputColumns, values: dict[str, Any], top: int
) -> Iterator[str]:
    """The lines for a terminal on sequences, pictures, segments and texts."""
    if each.cells is None or not each.is_finite:
        return
    (cells, own), positions = each.cells, columns.layout.positions
    yield from sequence_lines(positions, each.method, cells, own, top)
    if positions.pictures:
        yield from picture_lines(positions, cells, top, picture_sizes(run))
    yield from segment_lines(positions, columns.segments, values, cells)
    yield from token_lines(positions, columns.tokens, values, cells, top)
