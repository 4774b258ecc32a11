"""The pictures and tables of a training: how the model learned, and what it does on the rows kept back."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.figures.canvas import SERIES
from whyport.batch.report.figures.quantities import Points, measured_figure, residuals_figure
from whyport.batch.report.figures.training import calibration_figure, curves_figure
from whyport.batch.report.gather.evaluation import Evaluation, MeasuredValues
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Heading, Note, Picture, Table

LOSSES = {
    "cross-entropy": "cross-entropy (nats)",
    "mse": "squared error / variance",
    "mae": "absolute error / standard deviation",
    "huber": "Huber loss, in standard deviations",
}
"""By the training's loss: its label."""

METRICS = {
    "accuracy": "accuracy",
    "balanced_accuracy": "balanced accuracy",
    "auc": "AUC",
    "average_precision": "average precision",
    "log_loss": "log loss (nats)",
    "brier": "Brier score",
    "r2": "R²",
    "mae": "mean absolute error",
    "rmse": "root mean squared error",
}
"""By the name in metrics.json: the metric's name in words."""
IN_UNITS = ("mae", "rmse")

SHOWN = 4
"""The targets with pictures of their own."""


def training_blocks(view: View) -> list[Block]:
    """What the bundle records of its training; nothing where it records none."""
    training = view.training
    blocks: list[Block] = []
    if training.curves is not None:
        blocks.append(_curves(view, training.curves))
    if training.evaluation is not None:
        blocks += _evaluation(training.evaluation)
    elif training.report is not None:
        rows = _text_report(training.report)
        head = ("", "precision", "recall", "F1", "rows")
        note = "Precision, recall and F1 on the rows kept back from training."
        blocks.append(Table("On the test rows", head, rows, frozenset({1, 2, 3, 4}), note))
    if training.problem:
        blocks.append(Note(training.problem))
    return [Heading("Training"), *blocks] if blocks else []


def _curves(view: View, curves: Mapping[str, NDArray[np.float64]]) -> Picture:
    settings = view.bundle.sidecar.provenance.settings
    default = "cross-entropy" if view.task.predicts_targets else "loss"
    loss = str(settings.get("loss", default))
    measures = dict.fromkeys(name.partition("_")[2] for name in curves if "_" in name)
    named = [METRICS.get(measure, measure) for measure in measures]
    parts = dict.fromkeys(name.partition("_")[0] for name in curves if "_" in name)
    title = " and ".join(named)
    return Picture(
        "curves",
        f"{title[:1].upper()}{title[1:]} by epoch",
        f"{len(curves['epoch'])} epochs, on the {_listed(list(parts))} rows, as the bundle records them.",
        "; ".join(f"{n.replace('_', ' ')} ends at {v[-1]:.4g}" for n, v in curves.items() if n != "epoch"),
        lambda: curves_figure(curves, LOSSES.get(loss, loss)),
        data=lambda: curves,
    )


def _evaluation(evaluation: Evaluation) -> list[Block]:
    blocks: list[Block] = [_metrics(evaluation)]
    if evaluation.warnings:
        rows = tuple((each.column, each.kind, each.text) for each in evaluation.warnings)
        note = "Feature columns that look like a mistake, as training warned of them."
        blocks.append(Table("Columns to look at again", ("column", "it may be", "why"), rows, note=note))
    if evaluation.per_class:
        blocks.append(_per_class(evaluation))
    if evaluation.calibration:
        blocks.append(_calibration(evaluation))
    for each in (evaluation.residuals or ())[:SHOWN]:
        blocks += _measured(evaluation, each)
    return blocks


def _metrics(evaluation: Evaluation) -> Table:
    rows = tuple(
        (_in_words(evaluation, name), f"{value:.4g}", _number(evaluation.baseline.get(name)))
        for name, value in evaluation.metrics.items()
    )
    counts = ", ".join(f"{rows:,} {part}" for part, rows in evaluation.rows.items() if rows)
    note = f"On the rows kept back from training, beside a guess that knows no feature. Rows: {counts}."
    return Table("On the test rows", ("", "the model", evaluation.rule), rows, frozenset({1, 2}), note)


def _in_words(evaluation: Evaluation, name: str) -> str:
    """A metric's name, with the target where each has its own, and with the unit of an error."""
    plain, _, target = name.partition(".")
    words = METRICS.get(plain, plain.replace("_", " "))
    unit = evaluation.unit(target or evaluation.targets[0]) if plain in IN_UNITS else None
    return words + (f" of {target}" if target else "") + (f" ({unit})" if unit else "")


def _number(value: str | float | None) -> str:
    return f"{value:.4g}" if isinstance(value, float) else ""


def _per_class(evaluation: Evaluation) -> Table:
    rows = tuple(
        (
            each.name,
            f"{each.recall:.4f}",
            f"{each.precision:.4f}",
            f"{each.f1:.4f}",
            *("" if value is None else f"{value:.4f}" for value in (each.auc, each.average_precision)),
            f"{each.rows:,}",
        )
        for each in evaluation.per_class or ()
    )
    head = ("", "recall", "precision", "F1", "AUC", "average precision", "rows")
    note = "Each class against all others, on the test rows. Recall: the share of its rows that were found."
    return Table("Each class on the test rows", head, rows, frozenset(range(1, 7)), note)


def _calibration(evaluation: Evaluation) -> Picture:
    curves = sorted(evaluation.calibration or (), key=lambda each: -float(np.dot(each.rows, each.observed)))
    shown = curves[: len(SERIES)]
    some = "" if len(shown) == len(curves) else f" The {len(shown)} commonest of {len(curves)} classes."
    return Picture(
        "calibration",
        "Calibration",
        "Of the test rows with such a probability, the share that had the class; on the dashed line, a probability is "
        f"what it says. Bins of equally many rows.{some}",
        "; ".join(
            f"{each.target}: from {each.observed[0]:.2f} where {each.predicted[0]:.2f} was predicted to "
            f"{each.observed[-1]:.2f} where {each.predicted[-1]:.2f} was"
            for each in shown
            if each.predicted
        )
        + ".",
        lambda: calibration_figure(shown),
        tuple(each.target for each in shown),
        data=lambda: {
            "class": [each.target for each in shown for _ in each.predicted],
            "predicted": [value for each in shown for value in each.predicted],
            "observed": [value for each in shown for value in each.observed],
            "rows": [rows for each in shown for rows in each.rows],
        },
    )


def _measured(evaluation: Evaluation, each: MeasuredValues) -> list[Block]:
    measured, predicted = np.array(each.measured), np.array(each.predicted)
    if not len(measured) or len(measured) != len(predicted):
        return []
    unit = evaluation.unit(each.target)
    label = f"{each.target} ({unit})" if unit else each.target
    drawn = f"{len(measured):,} of {evaluation.rows.get('test', len(measured)):,} test rows"
    alt = f"Measured values from {measured.min():.4g} to {measured.max():.4g}."
    return [
        Picture(
            f"test-measured-{each.target}",
            f"Measured against predicted {each.target}, on the test rows",
            f"{drawn}, with the line on which both are equal.",
            alt,
            lambda: measured_figure(predicted, measured, label),
            (each.target,),
            of_rows=True,
            data=lambda: {"predicted": predicted, "measured": measured},
        ),
        Picture(
            f"test-residuals-{each.target}",
            f"Residuals of {each.target}, on the test rows",
            f"Measured - predicted, by the prediction; red: the mean of each tenth of the rows. {drawn}.",
            alt,
            lambda: residuals_figure(measured - predicted, [Points(f"predicted {label}", predicted)], unit),
            (each.target,),
            of_rows=True,
            data=lambda: {"predicted": predicted, "residual": measured - predicted},
        ),
    ]


def _listed(names: list[str]) -> str:
    return " and the ".join([", the ".join(names[:-1]), names[-1]]) if len(names) > 1 else "".join(names)


def _text_report(text: str) -> tuple[tuple[str, ...], ...]:
    """The lines of scikit-learn's report, whose columns are separated by two spaces."""
    rows = []
    for line in text.splitlines()[1:]:
        words = line.split()
        if len(words) < 3:
            continue
        numbers = words[-2:] if words[0] == "accuracy" and len(words) == 3 else words[-4:]
        name = line.strip()[: len(line.strip()) - len(line.strip().split(numbers[0], 1)[1]) - len(numbers[0])].strip()
        rows.append((name or words[0], *[""] * (4 - len(numbers)), *numbers))
    return tuple(rows)
