"""One row of a run's output, in words: the prediction, and the reasons for it, strongest first."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from batch.layout import ExplanationColumns, classes, explanations, kept_columns
from batch.record import RunRecord, read_rows
from runtime.errors import JobError, UsageError


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
        return [title, *_scored(table.to_pylist()[0], table.column_names, record, top)]
    rejected = read_rows(record.folder.rejected / span.name, "source_row", [row]).to_pylist()
    if not rejected:
        raise JobError(f"{title}: neither in the output nor rejected")
    return [title, f"rejected    {rejected[0]['reason']}"]


def _scored(values: dict[str, Any], names: list[str], record: RunRecord, top: int) -> Iterator[str]:
    for name in kept_columns(names):
        yield f"kept        {name} = {values[name]}"
    chances = sorted(((values[f"probability.{name}"], name) for name in classes(names)), reverse=True)
    yield f"prediction  {values['prediction']} (" + ", ".join(f"{name} {chance:.4g}" for chance, name in chances) + ")"
    if values["imputed_count"]:
        yield f"imputed     {values['imputed_count']} values"
    for columns in explanations(names, record.methods, record.explains_all_classes):
        yield from _explained(values, columns, top)


def _explained(values: dict[str, Any], columns: ExplanationColumns, top: int) -> Iterator[str]:
    explained = columns.explained_class or values["explained_class"]
    shares = {feature: values[name] for feature, name in columns.attributions.items()}
    line = f"{columns.method}, class {explained}: score {values[columns.score]:+.4g}"
    if values[columns.base_value] is not None:
        state = "converged" if values[columns.converged] else "not converged"
        line += (
            f" = base {values[columns.base_value]:+.4g} + attributions {sum(shares.values()):+.4g} "
            f"(off by {values[columns.completeness_error]:.2g}, {state})"
        )
    yield line
    ordered = sorted(shares.items(), key=lambda share: -abs(share[1]))
    for feature, share in ordered[:top]:
        yield f"  {share:+12.5g}  {feature}"
    if len(ordered) > top:
        rest = sum(share for _, share in ordered[top:])
        yield f"  {rest:+12.5g}  {len(ordered) - top} others together"
