"""The section on single rows."""

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.positions import blocks_of
from whyport.batch.report.figures.force import DRAWN, force_figure
from whyport.batch.report.figures.plots import attention_figure, grad_cam_figure, row_bar_figure
from whyport.batch.report.figures.row_shares import RowShares
from whyport.batch.report.figures.waterfall import waterfall_figure
from whyport.batch.report.gather.cases import RowCase, RowExplanation
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Data, Heading, Note, Picture, Section
from whyport.batch.report.sections.sequences import looked_at, row_pictures, standardised
from whyport.batch.report.sections.words import share_unit, unit_of
from whyport.runtime.bundle.inputs import ImagePreparation

WATERFALL = 12
"""The number of features of a row that are shown one by one."""

KINDS = {
    "most certain": "The most certain",
    "least certain": "The least certain",
    "wrong": "Wrong, and certain of it",
    "largest": "The largest prediction",
    "smallest": "The smallest prediction",
    "furthest off": "Furthest off",
    "chosen": "A chosen row",
}


def rows_section(view: View, max_features: int) -> Section:
    """Every chosen row with its explanations."""
    blocks: list[Block] = []
    for i, case in enumerate(view.cases):
        blocks += _case(view, i, case, max_features)
    if not blocks:
        blocks.append(Note("The run has no rows to show."))
    lead = "The rows that stand out, one by one: from the base value to the score, feature by feature."
    return Section("rows", "Single rows", lead, tuple(blocks), of_rows=True)


def _case(view: View, i: int, case: RowCase, max_features: int) -> list[Block]:
    choice = case.choice
    note = f"{_predicted(view, case)} {_true(view, case)}"
    note += f"{view.run.inputs[choice.index].source_file}, row {choice.row}"
    truths = {view.label, *(each.measured for each in view.quantities.each)}
    kept = {name: value for name, value in case.kept.items() if name not in truths}
    note += "".join(f", {name} {value}" for name, value in list(kept.items())[:4]) + "."
    blocks: list[Block] = [Heading(f"{KINDS[choice.kind]}: row {choice.row:,}", note)]
    for each in case.explanations:
        blocks += _explanation(view, i, case, each, max_features)
    if not case.explanations and view.run.settings.methods:
        blocks.append(Note("The run has no attributions of this row."))
    if case.grad_cam is not None and not _has_pictures(view):
        blocks.append(_grad_cam(view, i, case, case.grad_cam))
    if case.attention is not None:
        weights = case.attention
        query, key = np.unravel_index(int(weights.argmax()), weights.shape)
        blocks.append(
            Picture(
                f"attention-{i}",
                f"Attention, row {choice.row:,}",
                f"How much each query (a position of the pooled sequence, of {len(weights)}) attends to each key; "
                "rows sum to 1.",
                f"The largest weight, {weights.max():.3g}, is of query {query} on key {key}.",
                lambda: attention_figure(weights),
                data=lambda: {
                    "query": np.indices(weights.shape)[0].ravel(),
                    "key": np.indices(weights.shape)[1].ravel(),
                    "attention weight": weights.ravel(),
                },
            )
        )
    return blocks


def _has_pictures(view: View) -> bool:
    """Whether a map lies over a picture, and not over steps or columns."""
    return any(isinstance(each.prepare, ImagePreparation) for each in view.bundle.sidecar.inputs)


def _grad_cam(view: View, i: int, case: RowCase, cam: NDArray[np.float32]) -> Picture:
    name, title = f"grad-cam-{i}", f"Grad-CAM for {case.looked_at}, row {case.choice.row:,}"
    if blocks := blocks_of(view.bundle.sidecar.inputs):  # a bundle serves it for one sequence alone
        steps = blocks[0].of(cam)[:, 0].astype(np.float64)
        return looked_at(view, blocks[0], name, title, steps, case, "Grad-CAM, 0 to 1 within the row")
    values, names = standardised(view, case), view.bundle.sidecar.feature_names
    strongest = np.argsort(-cam, kind="stable")[:3]
    return Picture(
        name,
        title,
        "The row as the sequence that the network reads, over how much each place counts in its last convolution: "
        "dark counts most. Computed from the bundle; 0 to 1 within the row.",
        "It counts most at " + ", ".join(names[k] for k in strongest) + ".",
        lambda: grad_cam_figure(cam, values, names),
        tuple(names),
        data=lambda: {"place": names, "Grad-CAM": cam, "input, in training standard deviations": values},
    )


def _predicted(view: View, case: RowCase) -> str:
    """The row's prediction as a sentence."""
    if view.quantities.each:
        return f"Predicted {_quantities(view, case.predictions)}."
    chances = sorted(case.chances.items(), key=lambda item: -item[1])[:3]
    shown = ": " + ", ".join(f"{name} {chance:.2%}" for name, chance in chances) if chances else ""
    return f"Predicted {case.predictions[0]}{shown}."


def _true(view: View, case: RowCase) -> str:
    """The truth as a sentence with a space after it; empty where the run kept none."""
    if view.quantities.each:
        known = [each for each in view.quantities.each if each.measured is not None]
        return f"Measured {_quantities(view, case.truths)}. " if known else ""
    if view.label is None:
        return ""
    (true,) = case.truths
    return f"The label says {true}. " if true is not None else f"The label names no {view.task.target}. "


def _quantities(view: View, values: Sequence[str | None]) -> str:
    """Each known quantity with its name and unit."""
    found = zip(view.task.targets, values, strict=True)
    return ", ".join(f"{name} {value} {unit_of(view, name)}" for name, value in found if value is not None)


def _explanation(view: View, i: int, case: RowCase, each: RowExplanation, max_features: int) -> list[Block]:
    strongest_first = np.argsort(-np.abs(each.values), kind="stable")
    strongest = ", ".join(f"{each.names[k]} {each.values[k]:+.3g}" for k in strongest_first[:5])
    task, score_unit = view.task, unit_of(view, each.target)
    unit = share_unit(view, each.method, each.target)
    role = f"{each.target}, the {each.role} {task.target}" if task.predicts_targets else each.target
    anew = (
        f" The run holds another {task.target}'s reasons; these were computed anew by its bundle."
        if each.computed_anew
        else ""
    )
    magnitudes = "" if view.run.layout.positions.add_up else ", sums of the cells' magnitudes"
    # Of the others that are explained there may be several.
    key = f"{i}-{each.target}" if each.role == "explained" else f"{i}-{each.role}"
    sequences = row_pictures(view, key, case, each, max_features)
    if math.isnan(each.base_value):
        return [
            Picture(
                f"row-{key}",
                f"{each.method} for {role}",
                f"The strongest attributions{magnitudes}.{anew}",
                strongest + ".",
                lambda: row_bar_figure(each.values, each.names, WATERFALL, unit),
                each.names,
                data=lambda: {
                    "feature": [each.names[k] for k in strongest_first],
                    "attribution": each.values[strongest_first],
                },
            ),
            *sequences,
        ]
    shown = [case.values.get(name, "") for name in each.names] if case.values else []
    one = RowShares(each.names, each.values, each.base_value, each.score, score_unit, shown)
    sums = f"Base value {each.base_value:.4g}, score {each.score:.4g} {score_unit}. Strongest: {strongest}."
    return [
        Picture(
            f"waterfall-{key}",
            f"From the base value to the score of {role}",
            f"{each.method}: each feature's share in {score_unit}, the strongest first. Arrows to the right raise the "
            f"score, those to the left lower it.{anew}",
            sums,
            lambda: waterfall_figure(one, WATERFALL),
            each.names,
            data=lambda: _data(one),
        ),
        Picture(
            f"force-{key}",
            f"What raises and what lowers the score of {role}",
            "The same shares side by side: red arrows to the right raise the score, blue ones to the left lower it; "
            "the strongest are named."
            + ("" if len(each.names) <= DRAWN else f" All but the {DRAWN} strongest are drawn together."),
            sums,
            lambda: force_figure(one),
            each.names,
            data=lambda: _data(one),
        ),
        *sequences,
    ]


def _data(row: RowShares) -> Data:
    """All shares, the strongest first, between the base value and the score."""
    order = row.order.tolist()
    texts = row.texts or [""] * len(order)
    return {
        "what": ["base value", *("attribution" for _ in order), "score"],
        "feature": ["", *(row.names[i] for i in order), ""],
        "value": ["", *(texts[i] for i in order), ""],
        row.unit: [row.base, *row.values[order].tolist(), row.score],
    }
