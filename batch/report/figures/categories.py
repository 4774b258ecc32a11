"""Figures of categories: the shares of a column's categories, and how often each occurs."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from whyport.batch.report.figures.canvas import BLUE, INK, MUTED, RED, TICK, WIDTH, plain, shorten
from whyport.batch.report.gather.by_category import MOST_CATEGORIES, CategoryShares
from whyport.batch.report.gather.drift import FeatureDrift

ROW = 0.34
"""The height of a category, in inches."""


def shares_figure(found: Sequence[CategoryShares], unit: str) -> Figure:
    """A bar for each category's mean share, a tick for its mean |share|, a point a row; one column below the other."""
    heights = [ROW * len(each.labels) + 0.75 for each in found]
    figure = Figure(figsize=(WIDTH, sum(heights)), layout="constrained")
    grid = figure.subplots(len(found), 1, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    for axes, each in zip(grid, found, strict=True):
        places = np.arange(len(each.labels))
        means = each.means
        axes.barh(places, means, 0.66, color=[RED if mean >= 0 else BLUE for mean in means], alpha=0.75, linewidth=0)
        for place, shares in zip(places, each.shares, strict=True):
            spread = np.random.default_rng(0).uniform(-0.26, 0.26, size=len(shares))
            axes.plot(shares, place + spread, ".", color=INK, markersize=2, alpha=0.4, markeredgewidth=0)
        axes.plot(each.magnitudes, places, "|", color=INK, markersize=13, markeredgewidth=1.6)
        axes.axvline(0, color=MUTED, linewidth=1)
        names = [f"{plain(shorten(label))} ({len(own):,})" for label, own in zip(each.labels, each.shares, strict=True)]
        axes.set_yticks(places, names, fontsize=10)
        axes.set_ylim(len(places) - 0.4, -0.6)
        axes.tick_params("y", length=0)
        axes.spines["left"].set_visible(False)
        axes.set_title(plain(shorten(each.name)), loc="left", fontsize=12, color=INK)
    grid[-1].set_xlabel(plain(f"attribution ({unit})"))
    return figure


def occurrence_figure(found: Sequence[FeatureDrift]) -> Figure:
    """The share of each category in training and in the run, side by side, two columns in a row."""
    rows = -(-len(found) // 2)
    figure = Figure(figsize=(WIDTH, 2.9 * rows), layout="constrained")
    grid = figure.subplots(rows, 2, squeeze=False).ravel()
    for axes, each in zip(grid, found, strict=False):
        shown = np.argsort(-np.maximum(each.before, each.after), kind="stable")[:MOST_CATEGORIES]
        shown = shown[np.maximum(each.before, each.after)[shown] > 0]
        places = np.arange(len(shown))
        axes.bar(places - 0.2, each.before[shown], 0.4, color=MUTED, label="training")
        axes.bar(places + 0.2, each.after[shown], 0.4, color=BLUE, label="this run")
        names = [plain(shorten((each.categories or ())[code], TICK)) for code in shown]
        axes.set_xticks(places, names, rotation=35, rotation_mode="anchor", ha="right", fontsize=9)
        axes.set_ylabel("share of the rows", fontsize=10)
        axes.tick_params("y", labelsize=9)
        axes.set_title(plain(shorten(each.name)), loc="left", fontsize=12, color=INK)
        axes.margins(y=0.3)  # room for the legend
        axes.legend(fontsize=9, loc="upper right", ncols=2, borderaxespad=0)
    for axes in grid[len(found) :]:
        axes.set_visible(False)
    return figure
