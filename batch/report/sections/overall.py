"""The section on all rows: bars, every target's pictures, and how the score depends on columns."""

from collections.abc import Sequence

import numpy as np

from whyport.batch.report.figures.canvas import shorten
from whyport.batch.report.figures.shap_plots import bar_figure
from whyport.batch.report.gather.collect import TargetAttributions, pooled_magnitude
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Heading, Note, Picture, Section
from whyport.batch.report.sections.by_target import of_features, ranked, target_blocks, without_step
from whyport.batch.report.sections.dependence import dependence_blocks
from whyport.batch.report.sections.sequences import heat_blocks
from whyport.batch.report.sections.words import of_unit, share_unit, unit_of

SHOWN_CLASSES = 4
"""The number of classes with figures of their own: the classes with the most rows."""


def global_section(view: View, max_features: int) -> Section:
    """Every method's figures over all explained rows."""
    found = view.collected.attributions
    blocks: list[Block] = []
    methods = list(dict.fromkeys(each.method for each in found))
    for method in methods:
        of_method = [each for each in found if each.method == method]
        shown = sorted(of_method, key=lambda each: -each.rows)[:SHOWN_CLASSES]
        blocks.append(Heading(method, _note(view, of_method, shown)))
        # A mean over targets in unlike units says nothing.
        same = len({unit_of(view, each.target) for each in of_method}) == 1
        for group in [of_method] if same else [[each] for each in shown]:
            blocks += [_bar(view, group, max_features), *heat_blocks(view, group, max_features)]
        for each in shown:
            blocks += target_blocks(view, each, max_features)
    if not found:
        blocks.append(Note("The run explained no row, so there is nothing to sum up."))
    blocks += dependence_blocks(view)
    lead = "Attributions over all explained rows: which features move the score, in which direction, at which values."
    return Section("global", "What counts overall", lead, tuple(blocks))


def _note(view: View, of_method: Sequence[TargetAttributions], shown: Sequence[TargetAttributions]) -> str:
    text = ""
    if view.run.settings.top_k is not None:
        text += "The run kept each row's strongest attributions alone; the others count as 0 here. "
    left_out = sum(each.left_out for each in of_method)
    text += f"{left_out:,} explanations that are not finite are left out. " if left_out else ""
    if len(shown) < len(of_method):
        targets = view.task.targets_title
        text += f"The {len(shown)} {targets} with the most rows, of {len(of_method)}, have figures of their own."
    return text


def _bar(view: View, of_method: Sequence[TargetAttributions], limit: int) -> Picture:
    names = view.run.layout.features
    rows = np.array([each.rows for each in of_method])
    overall, first = pooled_magnitude(of_method), of_method[0]
    title = f"Mean |attribution|, {first.method}"
    if not view.task.predicts_targets and len(of_method) == 1:
        title = f"Mean |attribution| for {shorten(first.target)}, {first.method}"
    strongest = np.argsort(-overall, kind="stable")[:limit]
    kept = [names[i] for i in strongest]
    magnitudes, by_class = {"": overall[strongest]}, None
    explained = rows.max() if view.run.job.explains_same_targets else rows.sum()
    what = "explained rows" if view.run.job.has_one_explanation_per_row else "explanations"
    over = f"The mean over all {explained:,} {what}, exact."
    if view.run.job.explains_same_targets:
        over = f"The mean over every {view.task.target} of all {explained:,} explained rows, exact."
    if 1 < len(of_method) <= SHOWN_CLASSES:
        magnitudes = {each.target: each.mean_magnitude[strongest] for each in of_method}
        by_class = {each.target: each.rows for each in of_method}
        each_over = ", ".join(f"{shorten(name)} over {count:,}" for name, count in by_class.items())
        over = f"Each mean is over the rows explained for its {view.task.target}, exact: {each_over}. "
        over += f"Ranked by the mean over all {sum(by_class.values()):,} explanations."
    return Picture(
        f"bar-{first.method}" + ("" if view.task.predicts_targets else f"-{first.target}"),
        title,
        over + of_unit(first.method) + without_step(view, kept) + of_features(len(kept), len(names)),
        "Strongest first: " + ranked(kept, overall[strongest]),
        lambda: bar_figure(magnitudes, kept, share_unit(view, first.method, first.target), by_class),
        (*kept, *magnitudes),
        data=lambda: {
            "feature": kept,
            **{f"mean |attribution|{name and f' for {name}'}": values for name, values in magnitudes.items()},
        },
    )
