"""Predictions for a small table in memory."""

import logging
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np

from whyport.runtime.arguments import typed
from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import ColumnError, UsageError, WhyportError, unknown
from whyport.runtime.extras import needs
from whyport.runtime.files import whole_file
from whyport.runtime.finite import UnansweredRows
from whyport.runtime.inputs.columns import ColumnFaults
from whyport.runtime.inputs.table import Columns
from whyport.runtime.inputs.utf8 import check_utf8
from whyport.runtime.options import ON_BAD_ROW, as_names
from whyport.runtime.paths import path_text
from whyport.runtime.session import Session
from whyport.runtime.store.path import Place
from whyport.runtime.tables import (
    read_table,
    separator_hint,
    table_format,
    text_columns,
    typed_columns,
    write_table,
)

logger = logging.getLogger(__name__)


@needs("batch")
@typed
def predict(
    bundle: Bundle | str | Place,
    data: str | Path,
    out: str | Path | None = None,
    *,
    keep: str | Iterable[str] = (),
    on_bad_row: str = "null",
    device: str = "auto",
    overwrite: bool = False,
    variant: str | None = None,
) -> Any:
    """Predict the rows of a CSV or Parquet file that fits in memory; `run` takes larger files, and explains.

    Args:
        bundle: a bundle, or its path.
        data: a file named *.csv or *.parquet.
        out: a file of either kind to write; None for none.
        keep: columns of the data to copy, in this order.
        on_bad_row: what becomes of a row for which the model gives NaN or infinity: "null", an empty prediction and a
            warning in the log, or "fail".
        device: "auto", "cpu" or "cuda".
        overwrite: whether `out` may be replaced.
        variant: the name of a smaller variant of the bundle, such as "int8"; by default the model in full size.

    Returns:
        A pyarrow.Table [N rows]: the kept columns, `prediction`, `probability.CLASS` for every class, `imputed_count`;
        of a regression of several targets, `prediction.TARGET` for each in place of these two.

    Raises:
        UsageError: a file's name has no known ending, or `out` exists. BundleError: the bundle cannot be trusted.
        DataError: the data cannot be read, or a column is missing or taken. ProviderError: no such device.
        NotFiniteError: the model has no finite outputs for a row, and `on_bad_row` is "fail".
    """
    check_on_bad_row(on_bad_row)
    if out is not None:
        check_output(Path(out), overwrite)
    predictions = predict_file(Session(bundle, device, variant=variant), data, as_names(keep), on_bad_row)
    if out is not None:
        write_predictions(predictions, Path(out))
    return predictions


def check_output(out: Path, overwrite: bool) -> None:
    """Raise UsageError if the predictions cannot be written to the file."""
    table_format(out)
    if out.exists() and not overwrite:
        raise UsageError(f"{str(out)!r} exists; --overwrite replaces it")


def check_on_bad_row(on_bad_row: str) -> None:
    """Raise UsageError for an unknown policy."""
    if on_bad_row not in ON_BAD_ROW:
        raise UsageError(f"on_bad_row: {unknown('policy for bad rows', on_bad_row, ON_BAD_ROW)}")


def predict_file(session: Session, data: str | Path, keep: tuple[str, ...], on_bad_row: str = "null") -> Any:
    """The predictions for a file, as a pyarrow.Table; raises DataError with the file's name.

    Rows for which the model gives NaN or infinity are empty, and named in the log; with "fail", NotFiniteError is
    raised.
    """
    columns = session.bundle.sidecar.columns
    table = read_table(data, keep, text_columns(columns))
    try:
        rows = typed_columns(table, columns) if table_format(data) == "csv" else table
        predictions, unanswered = prediction_table(session, table, keep, rows)
        if on_bad_row == "fail":
            unanswered.refuse()
    except ColumnError as error:
        hint = separator_hint(Path(data)) if table_format(data) == "csv" else ""
        raise ColumnError(f"{error}{hint}, in {path_text(data)}") from None
    except WhyportError as error:
        raise error.at(path_text(data)) from None
    if len(unanswered):
        logger.warning("no prediction: %s, in %s", unanswered.summary, data)
    return predictions


def lacks_predictions(session: Session, predictions: Any) -> bool:
    """Whether a row of the table that `predict_file` gave has no prediction."""
    return bool(predictions[session.task.columns[0].name].null_count)


def write_predictions(table: Any, out: Path) -> None:
    """Write a pyarrow.Table to a file, whole or not at all."""
    with whole_file(out) as file:
        write_table(table, file, table_format(out))


def prediction_table(
    session: Session, table: Any, keep: tuple[str, ...], rows: Any = None
) -> tuple[Any, UnansweredRows]:
    """The predictions for a pyarrow.Table of raw values, as another, and the rows that have none.

    Args:
        session: the model.
        table: the values.
        keep: the columns to copy.
        rows: the same values with the types that the model expects; by default, the table.

    Raises:
        ColumnError: as `predict` does.
    """
    import pyarrow as pa

    task = session.task
    added = [*(column.name for column in task.columns), "imputed_count"]
    faults = ColumnFaults(table.column_names)
    faults.check_present(session.bundle.sidecar.column_names, "feature")
    faults.check_present(keep, "kept")
    faults.check_types(
        keep,
        lambda name: "" if name in added or keep.count(name) > 1 else None,
        "kept columns that collide with another column of the output",
    )
    faults.refuse("the data")
    check_utf8(table, [*keep, *Columns.of_bundle(session.bundle).texts])
    matrix = session.matrix(table if rows is None else rows)
    outputs = session.run(matrix, task.outputs)
    unanswered = UnansweredRows.of(outputs)
    lacks = np.isin(np.arange(len(matrix)), unanswered.rows)
    predicted = task.predict(outputs)
    targets = pa.array(task.targets, pa.string())
    columns = [
        targets.take(pa.array(values, mask=lacks)) if column.names_target else pa.array(values, mask=lacks)
        for column, values in zip(task.columns, predicted.values, strict=True)
    ]
    imputed = np.isnan(matrix) & ~np.isnan(session.bundle.sidecar.imputation)
    columns.append(pa.array(imputed.sum(axis=1)))
    return pa.table([*(table.column(name) for name in keep), *columns], names=[*keep, *added]), unanswered
