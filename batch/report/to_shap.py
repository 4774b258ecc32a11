"""A run's attributions as objects of the package shap, for its plots and for notebooks."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import METHODS
from whyport.batch.report.gather.collect import Collector, TargetAttributions, Wanted
from whyport.batch.report.gather.columns import TableColumns, value_names
from whyport.batch.report.gather.values import FeatureValues, read_values
from whyport.batch.report.shap_inputs import image_explanation, text_explanation
from whyport.batch.report.shap_package import load_shap
from whyport.batch.review.finished_run import FinishedRun
from whyport.batch.review.row_values import known_sources
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.row import features_of
from whyport.runtime.errors import UsageError, listing
from whyport.runtime.store.path import Place, as_place

if TYPE_CHECKING:
    from shap import Explanation


def to_shap(out: str | Place, rows: int | None = 1000) -> "dict[tuple[str, str], Explanation]":
    """The function behind `whyport.to_shap`, with its arguments."""
    run = FinishedRun.read(as_place(out))
    if not run.explanations:
        had = f"of {listing(run.settings.methods)}" if run.settings.methods else "that explained nothing"
        adding_up = [name for name, method in METHODS.items() if method.adds_up]
        raise UsageError(
            f"expected a run with attributions, got one {had}: run it again into another folder, with --explain and a "
            f"method such as {listing(adding_up)}, in {out}"
        )
    if rows is not None and rows < 1:
        raise UsageError(f"rows: expected at least 1, got {rows}")
    limit = max(run.report.rows_out, 1) if rows is None else rows
    positions = run.layout.positions
    found = Collector(run, Wanted(sample_rows=limit, with_candidates=False)).collect().attributions
    sources = known_sources(run)
    if len(positions.blocks) == 1 and run.settings.top_k is None:
        (block,) = positions.blocks
        if run.columns.tokens.inputs:
            return {(each.method, each.target): text_explanation(run, each.sample, each.target) for each in found}
        if block.is_picture and sources:
            (source,) = sources
            return {(each.method, each.target): image_explanation(run, source, block, each.sample) for each in found}
    columns = features_of(sources)
    read = TableColumns.of(sources) if sources else TableColumns.unknown(run.layout.features)
    values = read_values(run, read, [each.sample for each in found])
    names = list(run.layout.features)
    return {(each.method, each.target): explanation_of(each, values, names, columns) for each in found}


def explanation_of(
    each: TargetAttributions, values: FeatureValues, names: list[str], columns: Sequence[Column]
) -> "Explanation":
    """The sampled rows of one method and target, as an object of shap.

    Args:
        each: their attributions.
        values: the values of the rows.
        names: the names of the attributions, in order.
        columns: the bundle's features; categories among them are displayed by name.
    """
    data = values.of(each.sample, names)
    made = make_explanation(each.sample["values"], each.sample["base_value"], data, names, each.target)
    by_name = {column.name: column for column in columns}
    if made.data is not None and any(by_name[name].categories for name in names if name in by_name):
        shown = [value_names(by_name.get(name), data[:, j]) for j, name in enumerate(names)]
        made.display_data = np.array(shown, dtype=object).T
    return made


def make_explanation(
    values: NDArray[np.float64],
    base_values: NDArray[np.float64] | float,
    data: NDArray[np.float64] | None,
    names: list[str],
    target: str,
) -> "Explanation":
    """Make one object; without `data` if no value is known."""
    shap = load_shap()
    known = data if data is not None and np.isfinite(data).any() else None
    made: Explanation = shap.Explanation(
        values=values, base_values=base_values, data=known, feature_names=names, output_names=target
    )
    return made
