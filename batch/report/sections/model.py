"""The section on the model: its training, and what it predicted."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.report.figures.plots import confusion_figure, counts_figure, curves_figure
from whyport.batch.report.gather.confusion import ClassificationReport
from whyport.batch.report.gather.view import View
from whyport.batch.report.picture import Block, Heading, Note, Picture, Section, Table
from whyport.batch.report.sections.quantities import quantity_blocks
from whyport.batch.report.sections.words import of_training


def model_section(view: View) -> Section:
    """How the model learned, and how its predictions fit the labels."""
    blocks: list[Block] = []
    curves = view.training.curves
    if curves is not None:
        blocks += [
            Heading("Training"),
            Picture(
                "curves",
                "Loss and accuracy by epoch",
                f"{len(curves['epoch'])} epochs, on the training and the test rows, as the bundle records them.",
                "; ".join(f"{n.replace('_', ' ')} ends at {v[-1]:.4g}" for n, v in curves.items() if n != "epoch"),
                lambda: curves_figure(curves),
            ),
        ]
    if view.training.report is not None:
        rows = _text_report(view.training.report)
        head = ("", "precision", "recall", "F1", "rows")
        note = "Precision, recall and F1 on the rows kept back from training."
        blocks.append(Table("On the test rows", head, rows, frozenset({1, 2, 3, 4}), note))
    blocks.append(Heading("This run"))
    if view.run.report.predictions:
        blocks.append(_counts(view))
    if view.collected.confusion is not None:
        blocks += _confusion(view, view.collected.confusion)
    elif view.run.task.predicts_targets:
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
    return Picture("classes", "Rows by predicted class", caption, text, lambda: counts_figure(shown), tuple(shown))


def _confusion(view: View, counts: NDArray[np.int64]) -> list[Block]:
    classes, matrix = view.run.task.targets, counts[:-1]
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
        ),
        Table(
            "Classification report",
            ("", "precision", "recall", "F1", "rows"),
            table,
            frozenset({1, 2, 3, 4}),
            f"Accuracy {report.accuracy:.4f}, against the labels in the run's kept column {view.label!r}.{seen}",
        ),
    ]


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
