"""A minute's overview: model, rows, predictions, what drives them, and whether to trust them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.method import SCORE_UNIT
from whyport.batch.report.figures.canvas import shorten
from whyport.batch.report.gather.collect import TargetAttributions
from whyport.batch.report.gather.drift import MOVED
from whyport.batch.report.gather.drivers import Driver, drivers
from whyport.batch.report.gather.view import View
from whyport.batch.report.sections.words import unit_of, with_unit

STRONGEST = 5
NAMED = 3
"""The most targets, or features that have moved, that are named."""
LONGEST = 40
"""The characters of a name."""


@dataclass(frozen=True)
class Line:
    """One thing to know, with the place in the report that says more."""

    label: str
    text: str
    section: str
    """The key of the section."""
    heading: str = ""
    """The heading inside the section; empty for its beginning."""
    items: tuple[str, ...] = ()
    """A list below the text."""
    is_watched: bool = False
    """Whether somebody should look."""


def glance_lines(view: View, *, no_rows: bool = False) -> list[Line]:
    """The lines, in the order in which they are read; with `no_rows`, without what is of a single row."""
    return [
        _model(view),
        *_rows(view),
        _predictions(view, no_rows=no_rows),
        *_fit(view),
        _drivers(view),
        _errors(view),
        *_unseen(view),
        *_drift(view),
        *_training(view),
    ]


def _model(view: View) -> Line:
    sidecar, task = view.bundle.sidecar, view.task
    columns = len(sidecar.columns)
    over = f"{columns:,} column{'s' * (columns != 1)}"
    if task.predicts_targets:
        what = f"tells {len(task.targets):,} {task.targets_title} apart ({_some(task.targets)}) by {over}"
    else:
        what = f"predicts {_some([with_unit(view, target) for target in task.targets])} from {over}"
    return Line("The model", f"{shorten(sidecar.name, LONGEST)} {what}.", "model")


def _rows(view: View) -> Iterator[Line]:
    report, files = view.run.report, len(view.run.inputs)
    explained = max(report.explained.values(), default=0)
    text = f"{report.rows_out:,} scored, {explained:,} of them explained, from {files:,} file{'s' * (files != 1)}."
    yield Line("Rows", text, "origin")
    rejected = f"{report.rows_rejected:,} of {report.rows_in:,} rows"
    if report.rows_rejected:
        rejected += f" ({report.rows_rejected / report.rows_in:.2%})"
    if report.skipped:
        rejected += f", and {len(report.skipped):,} whole files"
    is_watched = bool(report.rows_rejected or report.skipped)
    yield Line("Rejected", f"{rejected}.", "trust", "Rows that could not be scored", is_watched=is_watched)


def _predictions(view: View, *, no_rows: bool) -> Line:
    report = view.run.report
    if report.predictions:
        ranked = sorted(report.predictions.items(), key=lambda item: -item[1])
        total = max(report.rows_out, 1)
        shares = [f"{shorten(name, LONGEST)} {rows / total:.1%}" for name, rows in ranked]
        return Line("Predicted", f"{_some(shares)} of the rows.", "model", "This run")
    found = []
    for each in view.quantities.each:
        counted = report.values[each.column]
        if counted.minimum is not None and counted.mean is not None and counted.maximum is not None:
            mean = f"{shorten(each.target, LONGEST)} {counted.mean:.4g} {unit_of(view, each.target)} on average"
            found.append(mean if no_rows else f"{mean}, {counted.minimum:.4g} to {counted.maximum:.4g}")
    return Line("Predicted", f"{_some(found, '; ') or 'nothing'}.", "model", "This run")


def _fit(view: View) -> Iterator[Line]:
    """How well the predictions fit the truth, where a kept column has it."""
    includes = " Training rows are included." if view.known is not None and view.known.found else ""
    matrix = view.collected.confusion
    if matrix is not None and matrix[:-1].sum():
        rows = int(matrix[:-1].sum())
        text = f"{matrix[:-1].trace() / rows:.1%} of {rows:,} rows are as the column {view.label!r} says.{includes}"
        yield Line("Accuracy", text, "model", "This run", is_watched=bool(includes))
    fits = [(each.target, each.fit) for each in view.quantities.each if each.fit is not None]
    if fits:
        text = _some([f"{shorten(target, LONGEST)} {fit.r2:.3f}" for target, fit in fits])
        yield Line("R²", f"{text}.{includes}", "model", "This run", is_watched=bool(includes))


def _drivers(view: View) -> Line:
    label, positions = "What drives it", view.run.layout.positions if view.run.explanations else None
    found = view.collected.attributions
    if not found or positions is None:
        return Line(label, "The run explained no row.", "global")
    if positions.pictures or positions.segmented:
        return Line(label, "Places in pictures, which differ from row to row.", "pictures")
    if view.run.columns.tokens.inputs:
        return Line(label, "Words in texts, which differ from row to row.", "texts")
    method = found[0].method
    explained = sorted((each for each in found if each.method == method), key=lambda each: -each.rows)
    if len({unit_of(view, each.target) for each in explained}) > 1:
        explained = explained[:1]
    strongest = drivers(explained, positions, view.values, view.bundle.sidecar.features, STRONGEST)
    title = method if view.task.predicts_targets else f"{method}, {shorten(explained[0].target, LONGEST)}"
    text = f"The strongest of {len(positions.names):,} by {title}, with their part of all attributions:"
    items = tuple(_in_words(view, each, explained[0]) for each in strongest)
    return Line(label, text, "global", method, items)


def _in_words(view: View, driver: Driver, of: TargetAttributions) -> str:
    """A feature's part, and which way it pushes."""
    text, target = f"{shorten(driver.name, LONGEST)}: {driver.share:.0%}", shorten(of.target, LONGEST)
    if find_method(of.method).unit != SCORE_UNIT or not view.run.layout.positions.add_up:
        return text
    if driver.highest:
        names = [shorten(name, LONGEST) for name in (driver.highest, driver.lowest)]
        return f"{text}; {names[0]} raises {target} most, {names[1]} least"
    if driver.is_rising:
        return f"{text}; higher values raise {target}"
    if driver.is_falling:
        return f"{text}; higher values lower {target}"
    return text if np.isnan(driver.correlation) else f"{text}; up or down, not by its value alone"


def _errors(view: View) -> Line:
    label, place = "Do reasons add up?", ("trust", "Do the reasons add up?")
    totals = [each for each in view.run.totals.methods.values() if each.errors.total]
    if not totals:
        return Line(label, "No method of this run claims to.", *place)
    count, missed = sum(each.errors.total for each in totals), sum(each.not_converged for each in totals)
    broken = sum(each.errors.not_finite for each in totals)
    worst = max(each.errors.worst for each in totals)
    text = f"{count:,} explanations, the largest error {worst:.1g} {view.task.unit}"
    text += f", {broken:,} not finite" if broken else ""
    text += f"; {missed:,} rows did not converge." if missed else "; all rows converged."
    return Line(label, text, *place, is_watched=bool(missed or broken))


def _unseen(view: View) -> Iterator[Line]:
    report = view.run.report
    if report.rows_unseen:
        columns = _some([shorten(name, LONGEST) for name in report.unseen])
        text = f"In {report.rows_unseen:,} rows ({report.rows_unseen / report.rows_in:.2%}): {columns}."
        yield Line("Unseen values", text, "trust", "Values that training has not seen", is_watched=True)


def _drift(view: View) -> Iterator[Line]:
    place = ("trust", "Drift")
    if view.inputs is None:
        yield Line("Drift", "Cannot be told, as an input is gone or has changed.", *place, is_watched=True)
        return
    moved, untold = view.inputs.moved, view.inputs.untold
    text = f"{len(moved)} of {len(view.inputs.features):,} features have moved since training"
    text += f" (an index of {MOVED:g} or more): " if moved else ""
    text += _some([f"{shorten(each.name, LONGEST)} {each.index:.2g}" for each in moved])
    text += f"; {len(untold)} cannot be told" if untold else ""
    yield Line("Drift", f"{text}.", *place, is_watched=bool(moved or untold))


def _training(view: View) -> Iterator[Line]:
    evaluation = view.training.evaluation
    if evaluation is not None and evaluation.warnings:
        columns = _some([shorten(each.column, LONGEST) for each in evaluation.warnings])
        yield Line("Training warned", f"Of columns that look like a mistake: {columns}.", "model", is_watched=True)


def _some(texts: Sequence[str], separator: str = ", ") -> str:
    """The first of some texts, and how many more there are."""
    more = f" and {len(texts) - NAMED:,} more" if len(texts) > NAMED else ""
    return separator.join(texts[:NAMED]) + more
