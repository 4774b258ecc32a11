"""The pictures of one target's attributions: of every row, by value, and by category."""

from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.method import SCORE_UNIT, SENSITIVITY_UNIT
from whyport.batch.report.figures.canvas import shorten
from whyport.batch.report.figures.categories import shares_figure
from whyport.batch.report.figures.shap_plots import beeswarm_figure, scatter_figure
from whyport.batch.report.gather.by_category import category_shares
from whyport.batch.report.gather.collect import TargetAttributions
from whyport.batch.report.gather.columns import titled, value_names
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Data, Picture
from whyport.batch.report.sections.words import share_unit
from whyport.batch.report.to_shap import make_explanation
from whyport.runtime.bundle.columns import TIME, Column

DEPENDENCES = 4
"""The features of each kind whose attributions are shown by value."""


def target_blocks(view: View, each: TargetAttributions, limit: int) -> list[Block]:
    """The pictures of a target, with at most so many features in one."""
    names = view.run.layout.features
    strongest = np.argsort(-each.mean_magnitude, kind="stable")[:limit]
    kept = [names[i] for i in strongest]
    values, data = each.sample["values"][:, strongest], view.values.of(each.sample, kept)
    beeswarm = _beeswarm(view, each, kept, values, data)
    if not np.isfinite(data).any():
        return [beeswarm]
    return [beeswarm, *_by_number(view, each, kept, values, data), *_by_category(view, each, kept, values, data)]


Floats = NDArray[np.float64]


def _beeswarm(view: View, each: TargetAttributions, kept: list[str], values: Floats, data: Floats) -> Picture:
    known, names = bool(np.isfinite(data).any()), view.run.layout.features
    is_category = np.array([_is_category(view, name) for name in kept])
    coloured = np.where(is_category, np.nan, data)
    some = make_explanation(values, each.sample["base_value"], coloured, kept, each.target)
    colour = _without_colour(view, kept) if known else _gone(view)
    unit = share_unit(view, each.method, each.target)
    return Picture(
        f"beeswarm-{each.method}-{each.target}",
        f"Attributions for {shorten(each.target)}, {each.method}",
        f"One point a row: {_drawn(view, each)}. {_meaning(view, each)}{colour}{without_step(view, kept)}"
        f"{of_features(len(kept), len(names))}",
        "Strongest first: " + ranked(kept, each.mean_magnitude[[names.index(name) for name in kept]]),
        lambda: beeswarm_figure(some, unit),
        tuple(kept),
        of_rows=True,
        data=lambda: _points(view, each, kept, values),
    )


def _gone(view: View) -> str:
    """Why no point has a colour."""
    positions = view.run.layout.positions
    for what, are_there in (("Tokens", view.run.columns.tokens.inputs), ("Places of pictures", positions.pictures)):
        if are_there:
            return f" {what} have no value of their own, so points have no colour."
    return " The inputs are gone, so points have no colour."


def _by_number(view: View, each: TargetAttributions, kept: list[str], values: Floats, data: Floats) -> list[Block]:
    """Attributions over the values of the strongest numbers; a group of columns has no value."""
    columns = {column.name: column for column in view.bundle.sidecar.features}
    numbers = [j for j, name in enumerate(kept) if name in columns and columns[name].categories is None]
    known = [i for i, j in enumerate(numbers) if np.isfinite(data[:, j]).sum() > 1][:DEPENDENCES]
    if not known:
        return []
    names, unit = [kept[j] for j in numbers], share_unit(view, each.method, each.target)
    some = make_explanation(values[:, numbers], each.sample["base_value"], data[:, numbers], names, each.target)
    titles = [titled(columns[name]) for name in names]
    times = {i for i, name in enumerate(names) if columns[name].kind == TIME}
    return [
        Picture(
            f"dependence-{each.method}-{each.target}",
            f"Attribution by value for {shorten(each.target)}, {each.method}",
            f"The {len(known)} strongest features, in their own units, for {_drawn(view, each)}; a point's colour is "
            "the feature that shap finds to interact most, grey bars are the distribution of values.",
            "Scatter plots of attribution against value for " + ", ".join(names[i] for i in known) + ".",
            lambda: scatter_figure(some, known, unit, titles, times),
            (*names, *titles),
            of_rows=True,
            data=lambda: _points(view, each, [names[i] for i in known], values[:, [numbers[i] for i in known]]),
        )
    ]


def _by_category(view: View, each: TargetAttributions, kept: list[str], values: Floats, data: Floats) -> list[Block]:
    """Attributions of the categories of the strongest columns that have some."""
    columns = {column.name: column for column in view.bundle.sidecar.features}
    chosen = [j for j, name in enumerate(kept) if _is_category(view, name)][:DEPENDENCES]
    every = [category_shares(columns[kept[j]], data[:, j], values[:, j]) for j in chosen]
    found = [shares for shares in every if shares is not None]
    if not found:
        return []
    left_out = sum(shares.left_out for shares in found)
    unit = share_unit(view, each.method, each.target)
    return [
        Picture(
            f"categories-{each.method}-{each.target}",
            f"Attribution by category for {shorten(each.target)}, {each.method}",
            "Bars: the mean attribution of the rows with each category, the commonest first; ticks: their mean "
            f"|attribution|; points: the rows, whose number is in brackets. For {_drawn(view, each)}."
            + (f" {left_out:,} rarer categories are left out." if left_out else ""),
            " ".join(
                f"{shares.name}: "
                + ", ".join(
                    f"{label} {mean:+.3g} (|mean| {size:.3g}, {rows:,} rows)"
                    for label, mean, size, rows in zip(
                        shares.labels, shares.means, shares.magnitudes, shares.rows, strict=True
                    )
                )
                + "."
                for shares in found
            ),
            lambda: shares_figure(found, unit),
            tuple(name for shares in found for name in (shares.name, *shares.labels)),
            of_rows=True,
            data=lambda: {
                "column": [shares.name for shares in found for _ in shares.labels],
                "category": [label for shares in found for label in shares.labels],
                "mean attribution": np.concatenate([shares.means for shares in found]),
                "mean |attribution|": np.concatenate([shares.magnitudes for shares in found]),
                "rows": np.concatenate([shares.rows for shares in found]),
            },
        )
    ]


def _points(view: View, each: TargetAttributions, names: Sequence[str], shares: Floats) -> Data:
    """The place of each drawn row, and by feature its attribution [n] and its value, where values are known."""
    columns = {column.name: column for column in view.bundle.sidecar.features}
    data, place = view.values.of(each.sample, names), each.sample
    known = [j for j in range(len(names)) if np.isfinite(data[:, j]).any()]
    return {
        "file": [view.run.inputs[i].source_file for i in place["source"].tolist()],
        "row": place["row"],
        **{f"attribution of {name}": shares[:, j] for j, name in enumerate(names)},
        **{f"value of {names[j]}": _values(columns.get(names[j]), data[:, j]) for j in known},
    }


def _values(column: Column | None, values: Floats) -> Sequence[Any] | Floats:
    """Numbers as numbers, dates and categories as text."""
    is_number = column is None or (column.categories is None and column.kind != TIME)
    return values if is_number else value_names(column, values)


def _without_colour(view: View, names: Sequence[str]) -> str:
    """What of the shown players has no colour, as a sentence after others."""
    grey = ["categories"] if any(_is_category(view, name) for name in names) else []
    sums = "sums of cells" if view.run.layout.positions.are_sums else "groups of columns"
    grey += [sums] if not set(names) <= set(view.bundle.sidecar.feature_names) else []
    return f" {' and '.join(grey).capitalize()} have no colour." if grey else ""


def _is_category(view: View, name: str) -> bool:
    return any(column.name == name and column.categories is not None for column in view.bundle.sidecar.features)


def _drawn(view: View, each: TargetAttributions) -> str:
    which = "" if view.run.job.explains_same_targets else f" explained for {each.target}"
    count = len(each.sample["row"])
    if count < each.rows:
        return f"{count:,} of the {each.rows:,} rows{which}, drawn by a hash of their place"
    return f"all {each.rows:,} rows{which}"


def _meaning(view: View, each: TargetAttributions) -> str:
    """What a point's place says."""
    unit = find_method(each.method).unit
    if not view.run.layout.positions.add_up:
        return "Further right counts more: magnitudes of cells, summed up, whichever way each of them points."
    if unit == SCORE_UNIT and not view.task.predicts_targets:
        return f"Right of 0 a value raises {each.target}, left of it lowers it."
    if unit == SCORE_UNIT:
        return f"Right of 0 a value speaks for the {view.task.target}, left of it against."
    if unit == SENSITIVITY_UNIT:
        return "Right of 0 the score rises with the feature, left of it falls; per unit of the feature."
    return f"Further right counts more; in {share_unit(view, each.method, each.target)}."


def without_step(view: View, kept: Sequence[str]) -> str:
    """What a row counts for a step that it lacks, as a sentence after others; empty where none lacks one."""
    positions = view.run.layout.positions
    varying = {name for block in positions.varying for name in positions.names[block.start : block.stop]}
    return " A row that lacks a step counts 0 for it, without a value." if varying & set(kept) else ""


def of_features(shown: int, total: int) -> str:
    """How many of the features are shown, as a sentence after others; empty for all."""
    return "" if shown == total else f" The {shown} strongest of {total} features."


def ranked(names: Sequence[str], values: Iterable[float]) -> str:
    """The first names with their values."""
    return ", ".join(f"{name} {value:.3g}" for name, value in list(zip(names, values, strict=True))[:8]) + "."
