"""The totals of a part counted again from its own columns, and compared with those in its footer."""

import dataclasses
from collections.abc import Sequence
from functools import cached_property

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.output.columns import IDENTITY, ExplanationColumns, OutputColumns
from whyport.batch.output.totals import ErrorHistogram, MethodTotals, Totals
from whyport.batch.output.value_totals import ValueTotals
from whyport.batch.reasons.totals import ReasonTotals
from whyport.runtime.errors import AuditError
from whyport.runtime.task import Task


class Recount:
    """Counts rows by their columns, as a run counts them while it computes.

    Args:
        task: what the model's outputs mean.
        columns: the columns of the run.
    """

    def __init__(self, task: Task, columns: OutputColumns) -> None:
        self._task = task
        self._columns = columns

    @cached_property
    def columns(self) -> Sequence[str]:
        """The columns that are counted, behind those that name a row."""
        names = [field.name for field in IDENTITY]
        names += [
            column.name for column in self._task.columns if column.names_target or not self._task.predicts_targets
        ]
        for each in self._columns.explanations:
            names += [each.score, each.base_value, each.converged, each.completeness_error, self._first_share(each)]
        return list(dict.fromkeys([*names, *self._columns.reasons.names]))

    def of(self, rows: pa.Table, place: str) -> Totals:
        """The totals of some scored rows; raises AuditError for a prediction that is missing or unknown."""
        predictions = dict.fromkeys(self._task.targets, 0) if self._task.predicts_targets else {}
        values = {}
        for column in self._task.columns:
            if not column.names_target and self._task.predicts_targets:
                continue
            found = rows[column.name]
            if found.null_count:
                raise AuditError(f"{column.name}: expected a value in every row, got null, in {place}")
            if not column.names_target:
                values[column.name] = ValueTotals.of(found.to_numpy())
                continue
            for each in pc.value_counts(found).to_pylist():
                if each["values"] not in predictions:
                    expected = f"one of the {self._task.targets_title}"
                    raise AuditError(f"{column.name}: expected {expected}, got {each['values']!r}, in {place}")
                predictions[each["values"]] += each["counts"]
        methods = {method: self._method(own, rows, place) for method, own in self._columns.by_method.items()}
        names = self._columns.reasons.names
        reasons = ReasonTotals.of_texts([_valid(rows, names[0]), _valid(rows, names[-1])]) if names else None
        return Totals(rows.num_rows, predictions=predictions, methods=methods, values=values, reasons=reasons)

    def check(self, footer: Totals, counted: Totals, place: str) -> None:
        """Raise AuditError where a footer has other totals than its rows."""
        if not self._columns.layout.positions.add_up:
            # Such sums have lost their errors, which the footer alone has.
            counted = dataclasses.replace(counted, methods=_with_errors_of(footer, counted))
        for key in ("rows_out", "rejected", "predictions", "values", "methods"):
            said, found = getattr(footer, key), getattr(counted, key)
            if key == "values" and not said:  # a footer of a run that did not count them
                continue
            if said != found:
                raise AuditError(f"{key} in the footer: expected {found}, as the rows have, got {said}, in {place}")

        got, expected = (each.reasons and each.reasons.with_texts for each in (footer, counted))
        if got != expected:
            found = f"{expected} rows with a first and a last text, as there are"
            raise AuditError(f"reasons in the footer: expected {found}, got {got}, in {place}")

    def _method(self, explanations: Sequence[ExplanationColumns], rows: pa.Table, place: str) -> MethodTotals:
        """The totals of one method; every row has all of its explanations, or none."""
        if not explanations:
            return MethodTotals()
        explained = _valid(rows, explanations[0].score)
        for each in explanations:
            if not np.array_equal(_valid(rows, each.score), explained):
                raise AuditError(f"{each.score}: expected all explanations of a row or none, got some, in {place}")
        explained_rows = rows.filter(pa.array(explained))
        lost = np.zeros(explained_rows.num_rows, dtype=np.bool_)
        missed = np.zeros(explained_rows.num_rows, dtype=np.bool_)
        errors = ErrorHistogram()
        for each in explanations:
            lost |= ~_valid(explained_rows, self._first_share(each))
            missed |= pc.fill_null(pc.equal(explained_rows[each.converged], False), False).to_numpy()
            # What a method measures against is null where it makes no claim that its shares add up.
            if explained_rows[each.base_value].null_count == 0:
                errors += ErrorHistogram.of(explained_rows[each.completeness_error].to_numpy())
        return MethodTotals(int(missed.sum()), errors, explained_rows.num_rows, int(lost.sum()))

    def _first_share(self, explanation: ExplanationColumns) -> str:
        """The first column with shares of an explanation, which is null where these are not finite."""
        name: str = self._columns.layout.fields(explanation.prefix, explanation.suffix)[0].name
        return name


def _with_errors_of(footer: Totals, counted: Totals) -> dict[str, MethodTotals]:
    none = MethodTotals()
    return {
        name: dataclasses.replace(own, errors=footer.methods.get(name, none).errors)
        for name, own in counted.methods.items()
    }


def _valid(rows: pa.Table, name: str) -> NDArray[np.bool_]:
    found: NDArray[np.bool_] = pc.is_valid(rows[name]).to_numpy()
    return found
