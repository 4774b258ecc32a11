"""The pictures of how scores depend on the strongest columns."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from whyport.batch.report.figures.canvas import shorten
from whyport.batch.report.figures.dependence import LINES, dependence_figure
from whyport.batch.report.gather.columns import titled, value_names
from whyport.batch.report.gather.dependence import TAILS, Dependence
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Data, Heading, Picture
from whyport.batch.report.sections.words import unit_of
from whyport.runtime.bundle.columns import TIME

NOTE = (
    "The model asked again: one column of a row is set to one value after another, and the others stay as they are. "
    "What such rows are like in the world is not asked: where columns go together, some of them do not exist."
)


def dependence_blocks(view: View) -> list[Block]:
    """A picture for each target; nothing where no row could be read."""
    found = view.dependences
    if not found:
        return []
    targets = dict.fromkeys(target for each in found for target in each.targets)
    pictures = (_picture(view, [each for each in found if target in each.targets], target) for target in targets)
    return [Heading("How the score depends on a column", NOTE), *pictures]


def _picture(view: View, found: Sequence[Dependence], target: str) -> Picture:
    unit = unit_of(view, target)
    rows = max(len(each.found) for each in found)
    caption = f"The {len(found)} strongest columns, over {rows:,} rows of the run, drawn by a hash of their place. "
    if any(each.grid.labels is None for each in found):
        caption += (
            f"Blue: the curves of {min(LINES, rows)} rows (individual conditional expectation); red: the mean of all. "
        )
        caption += f"Grey: the rows' own values, without the outermost {TAILS:.0%} on each side. "
    if any(each.grid.labels is not None for each in found):
        caption += (
            "Bars: from the mean score of the rows to their mean score with this category, and how many have it; "
        )
        caption += "the lines hold eight of ten rows. "
    return Picture(
        f"partial-dependence-{target}",
        f"Partial dependence of the score of {shorten(target)}",
        caption + f"In {unit}.",
        "; ".join(_in_words(each, target, unit) for each in found) + ".",
        lambda: dependence_figure(found, target, unit),
        (*(titled(each.grid.column) for each in found), *(name for each in found for name in each.grid.labels or ())),
        of_rows=True,
        data=lambda: _data(found, target),
    )


def _data(found: Sequence[Dependence], target: str) -> Data:
    """The mean score at every value, and the rows' own curves where they are drawn."""
    drawn = [each.curves(target)[:LINES] if each.grid.labels is None else np.zeros((0, 0)) for each in found]
    curves = np.full((max(map(len, drawn), default=0), sum(len(each.grid.values) for each in found)), np.nan)
    start = 0
    for each, own in zip(found, drawn, strict=True):
        curves[: len(own), start : start + len(each.grid.values)] = own if len(own) else np.nan
        start += len(each.grid.values)
    return {
        "column": [each.grid.name for each in found for _ in each.grid.values],
        "value": [value for each in found for value in _values(each)],
        "mean score": np.concatenate([each.mean(target) for each in found]),
        **{f"score of row {i + 1}": curve for i, curve in enumerate(curves)},
    }


def _values(each: Dependence) -> Sequence[Any]:
    if each.grid.labels is not None:
        return each.grid.labels
    values = each.grid.values.astype(np.float64)
    return value_names(each.grid.column, values) if each.grid.column.kind == TIME else list(values.tolist())


def _in_words(each: Dependence, target: str, unit: str) -> str:
    means, values = each.mean(target), each.grid.values
    if each.grid.labels is not None:
        shown = sorted(zip(means, each.grid.labels, strict=True), reverse=True)
        return f"{each.grid.name}: highest with {shown[0][1]} ({shown[0][0]:.3g} {unit}), lowest with {shown[-1][1]}"
    first, last = value_names(each.grid.column, values[[0, -1]].astype(np.float64))
    return f"{each.grid.name}: the mean score is {means[0]:.3g} {unit} at {first}, and {means[-1]:.3g} at {last}"
