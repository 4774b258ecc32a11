"""The pictures of sequences: of all rows, and of single ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.method import SCORE_UNIT
from whyport.batch.methods.positions import Block as InputBlock
from whyport.batch.report.figures.canvas import shorten
from whyport.batch.report.figures.heat_maps import heat_map_figure, series_figure
from whyport.batch.report.figures.step_maps import looked_at_figure, steps_figure
from whyport.batch.report.gather.cases import RowCase, RowExplanation
from whyport.batch.report.gather.collect import TargetAttributions, pooled_having, pooled_magnitude
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Picture
from whyport.batch.report.sections.words import of_unit, share_unit

SERIES = 4
"""The features of a row whose series are drawn: the strongest."""
NAMED = 5


def heat_blocks(view: View, explained: Sequence[TargetAttributions], limit: int) -> list[Block]:
    """The mean magnitudes of every sequence's cells, over all rows explained for some targets.

    Args:
        view: the report's data.
        explained: one method's attributions of these targets.
        limit: the most features that have a row.
    """
    first, overall = explained[0], pooled_magnitude(explained)
    of, having = f" for {shorten(first.target)}" if len(explained) == 1 else "", pooled_having(explained)
    found: list[Block] = []
    for block in _sequences(view):
        shares = None
        if block.varies and having is not None:
            shares = block.of(having)[:, 0]
        found.append(_mean_picture(view, block, MeanCells.of(block.of(overall), shares), first, of, limit))
    return found


@dataclass(frozen=True)
class MeanCells:
    """The mean magnitudes of a sequence's cells, [steps, features]."""

    means: NDArray[np.float64]
    having: NDArray[np.float64] | None
    """The share of the rows that have each step, where they are of varying length: the means are over these."""

    @classmethod
    def of(cls, overall: NDArray[np.float64], having: NDArray[np.float64] | None) -> Self:
        """The means over the rows that have a step, up to the last step of any row.

        Args:
            overall: the means over all rows, in which a step that a row lacks counts 0, [steps, features].
            having: the share of the rows that have each step, [steps].
        """
        if having is None:
            return cls(overall, None)
        there = having > 0
        return cls(overall[there] / having[there, None], having[there])

    @property
    def caption(self) -> str:
        """What a cell and the bars are, in words."""
        above = "above over the features of a step"
        if self.having is None:
            return (
                f"Every cell is a mean over all explained rows, exact; the bars are sums of these means, {above}, "
                "beside over the steps of a feature."
            )
        return (
            "Every cell is a mean over the explained rows that have the step, exact; the grey bars say how many have "
            f"it. The blue bars are sums, {above}, beside the mean over all rows of the sum over their own steps."
        )


def _mean_picture(
    view: View, block: InputBlock, found: MeanCells, each: TargetAttributions, of: str, limit: int
) -> Picture:
    labels, unit, cells = _labels(block), share_unit(view, each.method, each.target), found.means
    if find_method(each.method).of_steps:
        having = "" if found.having is None else " that have the step"
        return Picture(
            f"heat-{each.method}-{block.input}" + (f"-{each.target}" if of else ""),
            f"Mean of {each.method} in {shorten(block.input)} by step{of}",
            f"Every bar is a mean over all explained rows{having}, exact; the features of a step have one value.",
            _strongest_steps(cells[:, 0], block.input),
            lambda: steps_figure(cells[:, 0], unit),
            data=lambda: {"step": np.arange(len(cells)), unit: cells[:, 0]},
        )
    shown = _strongest(cells if found.having is None else cells * found.having[:, None], limit)
    return Picture(
        f"heat-{each.method}-{block.input}" + (f"-{each.target}" if of else ""),
        f"Mean |attribution| in {shorten(block.input)} by step and feature{of}, {each.method}",
        f"{found.caption}{of_unit(each.method)}{_some(shown, labels)}",
        _ranked(cells, labels, block),
        lambda: heat_map_figure(cells, labels, shown, unit, are_signed=False, having=found.having),
        tuple(labels),
        data=lambda: (
            _of_cells({"mean |attribution|": cells}, labels, shown)
            | ({} if found.having is None else {"share of the rows": np.repeat(found.having, len(shown))})
        ),
    )


def row_pictures(view: View, key: str, case: RowCase, each: RowExplanation, limit: int) -> list[Block]:
    """Every sequence of one row: its shares by step and feature, and the series with what spoke for and against.

    Args:
        view: the report's data.
        key: the end of the pictures' names.
        case: the row.
        each: the explanation.
        limit: the most features that have a row in the heat map.
    """
    found: list[Block] = []
    for block in _sequences(view):
        if (entry := find_method(each.method)).of_steps:
            weights = block.of(each.values)[:, 0]
            title = f"{each.method} for {each.target}"
            found.append(looked_at(view, block, f"looked-{block.input}-{key}", title, weights, case, entry.unit))
            continue
        found.append(_row_heat(view, block, key, case, each, limit))
        if np.isfinite(_cells(view, block, case.features)).any():
            found.append(_row_series(view, block, key, case, each))
    return found


def looked_at(
    view: View,
    block: InputBlock,
    name: str,
    title: str,
    weights: NDArray[np.float64],
    case: RowCase,
    unit: str,
) -> Picture:
    """The series of a row over what each step counts, [steps]."""
    own, labels = _steps(block, case), _labels(block)
    values, weights = _cells(view, block, standardised(view, case))[own], weights[own]
    shown = _strongest(np.nan_to_num(values), SERIES)
    return Picture(
        name,
        f"{title}: {shorten(block.input)} by step",
        "The row's series, in training standard deviations, over how much each step counts: dark counts most. "
        f"The features of a step have one value.{_farthest(shown, labels)}",
        _strongest_steps(weights, block.input),
        lambda: looked_at_figure(weights, values, labels, shown, unit),
        tuple(labels),
        data=lambda: {
            "step": np.arange(len(weights)),
            unit: weights,
            **{f"{labels[i]}, in training standard deviations": values[:, i] for i in shown},
        },
    )


def standardised(view: View, case: RowCase) -> NDArray[np.float64]:
    """The row's values as distances from the training means, in standard deviations, [F]; NaN of categories."""
    columns = view.bundle.sidecar.features
    mean = np.array([column.numbers.mean if column.numbers else np.nan for column in columns])
    spread = np.array([column.spread for column in columns])
    distances: NDArray[np.float64] = (case.features - mean) / np.where(spread > 0, spread, 1)
    return distances


def _steps(block: InputBlock, case: RowCase, each: RowExplanation | None = None) -> slice:
    """The row's own steps; where its length is not known, as many as a row can have."""
    if block.place is None:
        return slice(None)
    if np.isfinite(case.features[block.place]):
        return slice(int(case.features[block.place]))
    return slice(None) if each is None or each.has is None else slice(int(block.of(each.has)[:, 0].sum()))


def _cells(view: View, block: InputBlock, row: NDArray[np.float64]) -> NDArray[np.float64]:
    """The cells of a sequence, [steps, features], in a row as the model takes it, [F]."""
    return block.of(row[list(view.bundle.sidecar.shared_places)])


def _row_heat(view: View, block: InputBlock, key: str, case: RowCase, each: RowExplanation, limit: int) -> Picture:
    cells, labels = block.of(each.values)[_steps(block, case, each)], _labels(block)
    unit = share_unit(view, each.method, each.target)
    shown = _strongest(cells, limit)
    return Picture(
        f"heat-{block.input}-{key}",
        f"{shorten(block.input)} by step and feature, {each.method} for {each.target}",
        f"{_meaning(each, 'cells')}. The bars are the sums of either, above by step and "
        f"beside by feature; a dot is what is left of both.{_kept(view)}{_some(shown, labels)}",
        _ranked(cells, labels, block),
        lambda: heat_map_figure(cells, labels, shown, unit, are_signed=True),
        tuple(labels),
        data=lambda: _of_cells({"attribution": cells}, labels, shown),
    )


def _row_series(view: View, block: InputBlock, key: str, case: RowCase, each: RowExplanation) -> Picture:
    own, labels, unit = _steps(block, case, each), _labels(block), share_unit(view, each.method, each.target)
    cells, values = block.of(each.values)[own], _cells(view, block, case.features)[own]
    shown = _strongest(cells, SERIES)
    strongest = ", ".join(f"{labels[i]} {cells[:, i].sum():+.3g}" for i in shown)
    return Picture(
        f"series-{block.input}-{key}",
        f"{shorten(block.input)}, with what spoke for and against {each.target}",
        f"The values of the row in their own units, step by step. {_meaning(each, 'points')}; the larger, the more."
        f"{_kept(view)}{_some(shown, labels)}",
        f"The sums by feature: {strongest}.",
        lambda: series_figure(values, cells, labels, shown, unit),
        tuple(labels),
        data=lambda: _of_cells({"value": values, "attribution": cells}, labels, shown),
    )


def _of_cells(
    cells: Mapping[str, NDArray[np.float64]], labels: Sequence[str], shown: Sequence[int]
) -> dict[str, Sequence[Any] | NDArray[Any]]:
    """Values by step and feature, [steps, features] each, as columns by name: those of the shown features."""
    steps = len(next(iter(cells.values())))
    return {
        "step": np.repeat(np.arange(steps), len(shown)),
        "feature": [labels[i] for _ in range(steps) for i in shown],
        **{name: values[:, shown].ravel() for name, values in cells.items()},
    }


def _meaning(each: RowExplanation, marks: str) -> str:
    """What the colours of single rows say."""
    if find_method(each.method).unit == SCORE_UNIT:
        return f"Red {marks} speak for the score, blue ones against it"
    return f"Red {marks} have positive shares, blue ones negative ones"


def _sequences(view: View) -> list[InputBlock]:
    """The sequences whose cells have shares of their own."""
    return [block for block in view.run.layout.positions.sequences if len(block.axes) == 2]


def _labels(block: InputBlock) -> tuple[str, ...]:
    axis = block.axes[-1]
    return axis.labels or tuple(str(i) for i in range(int(axis.length)))


def _strongest(cells: NDArray[np.float64], limit: int) -> list[int]:
    """The features with the largest sums of magnitudes, in their own order."""
    order = np.argsort(-np.abs(cells).sum(axis=0), kind="stable")[:limit]
    return sorted(order.tolist())


def _some(shown: Sequence[int], labels: Sequence[str]) -> str:
    return "" if len(shown) == len(labels) else f" The {len(shown)} strongest of {len(labels)} features are drawn."


def _farthest(shown: Sequence[int], labels: Sequence[str]) -> str:
    some = f" The {len(shown)} of {len(labels)} features that are farthest from their means are drawn."
    return "" if len(shown) == len(labels) else some


def _strongest_steps(weights: NDArray[np.float64], name: str) -> str:
    order = np.argsort(-weights, kind="stable")[:NAMED]
    return f"Strongest in {name}: " + ", ".join(f"step {t} {weights[t]:.3g}" for t in order) + "."


def _kept(view: View) -> str:
    return "" if view.run.settings.top_k is None else " Cells that the run has not kept count as 0."


def _ranked(cells: NDArray[np.float64], labels: Sequence[str], block: InputBlock) -> str:
    """The strongest cells in words."""
    order = np.argsort(-np.abs(cells), axis=None, kind="stable")[:NAMED]
    places = [divmod(int(i), cells.shape[1]) for i in order]
    named = ", ".join(f"{labels[k]} at step {t} {cells[t, k]:.3g}" for t, k in places)
    return f"Strongest in {block.input}: {named}."
