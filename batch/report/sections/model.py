"""The section on the model: its training, and what it predicted."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.figures.plots import confusion_figure, counts_figure
from whyport.batch.report.gather.confusion import ClassificationReport
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Heading, Note, Picture, Section, Table
from whyport.batch.report.sections.quantities import quantity_blocks
from whyport.batch.report.sections.training import training_blocks
from whyport.batch.report.sections.words import of_training


def model_section(view: View) -> Section:
    """How the model learned, and how its predictions fit the labels."""
    blocks: list[Block] = [*training_blocks(view), Heading("This run")]
    if view.run.report.predictions:
        blocks.append(_counts(view))
    if view.collected.confusion is not None and not view.collected.confusion[:-1].any():
        blocks.append(Note(f"No row's column {view.label!r} names a class, so the predictions are compared with none."))
    elif view.collected.confusion is not None:
        blocks += _confusion(view, view.collected.confusion)
    elif view.task.predicts_targets:
        blocks.append(Note("The run kept no column with true classes, so its predictions are compared with none."))
    if view.quantities.each:
        blocks += quantity_blocks(view)
    return Section("model", "The model", "How it learned, and what it predicted in this run.", tuple(blocks))


def _counts(view: View) -> Picture:
    counts = view.run.report.predictions
    shown = dict(sorted(counts.items(), key=lambda item: -item[1])[:30]) if len(counts) > 30 else counts
    caption = f"All {view.run.report.rows_out:,} scored rows."
    caption += f" The 30 most frequent of {len(counts)} classes." if len(counts) > 30 else ""
    text = ", ".join(f"{name} {rows:,}" for name, rows in shown.items())
    return Picture(
        "classes",
        "Rows by predicted class",
        caption,
        text,
        lambda: counts_figure(shown),
        tuple(shown),
        data=lambda: {"class": list(shown), "rows": list(shown.values())},
    )


def _confusion(view: View, counts: NDArray[np.int64]) -> list[Block]:
    classes, matrix = view.task.targets, counts[:-1]
    report = ClassificationReport.of(matrix, classes)
    other = int(counts[-1].sum())
    caption = f"All {int(matrix.sum()):,} rows whose column {view.label!r} names a class."
    caption += f" {other:,} rows name none." if other else ""
    seen = of_training(view)
    table = tuple(
        (each.name, f"{each.precision:.4f}", f"{each.recall:.4f}", f"{each.f1:.4f}", f"{each.support:,}")
        for each in (*report.classes, *report.averages)
    )
    return [
        Picture(
            "confusion",
            "True and predicted classes",
            caption + seen,
            f"Accuracy {report.accuracy:.2%}. "
            + "; ".join(f"of {s.support:,} {s.name}, {s.recall:.1%} were found" for s in report.classes[:10]),
            lambda: confusion_figure(matrix, classes),
            tuple(classes),
            data=lambda: {
                "true class": np.repeat(classes, len(classes)),
                "predicted class": np.tile(classes, len(classes)),
                "rows": matrix.ravel(),
            },
        ),
        Table(
            "Classification report",
            ("", "precision", "recall", "F1", "rows"),
            table,
            frozenset({1, 2, 3, 4}),
            f"Accuracy {report.accuracy:.4f}, against the labels in the run's kept column {view.label!r}.{seen}",
        ),
    ]
