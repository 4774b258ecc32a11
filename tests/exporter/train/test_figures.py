import numpy as np

from whyport.exporter.train.checkpoint import EpochResult
from whyport.exporter.train.class_figures import confusion, draw_confusion, report
from whyport.exporter.train.figures import draw_curves, picture_files, results_csv
from whyport.exporter.train.value_figures import PANELS, draw_measured, draw_residuals

RESULTS = [
    EpochResult(epoch, {"train_loss": 1 / epoch, "train_accuracy": 0.5, "test_loss": 1.5 / epoch, "test_accuracy": 0.4})
    for epoch in (1, 2, 3)
]
PREDICTED, ACTUAL = np.array([0, 1, 1, 2, 2, 2]), np.array([0, 0, 1, 2, 2, 1])
CLASSES = ["a$b", "ü", "c"]


def test_results_are_a_line_an_epoch():
    lines = results_csv(RESULTS).splitlines()
    assert lines[:2] == ["epoch,train_loss,train_accuracy,test_loss,test_accuracy", "1,1.0,0.5,1.5,0.4"]
    assert len(lines) == 4


def test_curves_have_a_line_for_every_part():
    loss, accuracy = draw_curves(RESULTS, "cross-entropy").axes
    assert [line.get_label() for line in loss.lines] == ["train", "test"]
    np.testing.assert_allclose(loss.lines[1].get_ydata(), [1.5, 0.75, 0.5])
    assert (loss.get_ylabel(), accuracy.get_ylabel()) == ("cross-entropy", "accuracy")


def test_pictures_are_eps_and_png_and_the_same_each_time():
    matrix = confusion(PREDICTED, ACTUAL, 3)
    files, again = (picture_files("m", draw_confusion(matrix, CLASSES)) for _ in range(2))
    assert files == again
    assert files["m.eps"].startswith(b"%!PS-Adobe")
    assert b"CreationDate" not in files["m.eps"]
    assert files["m.png"].startswith(b"\x89PNG")


def test_report_has_the_accuracy():
    assert "0.6667" in report(PREDICTED, ACTUAL, CLASSES)


def test_confusion_has_the_actual_class_first():
    np.testing.assert_array_equal(confusion(PREDICTED, ACTUAL, 3), [[1, 1, 0], [0, 1, 1], [0, 0, 2]])


def test_confusion_shows_the_counts():
    axes = draw_confusion(confusion(PREDICTED, ACTUAL, 3), CLASSES).axes[0]
    assert [text.get_text() for text in axes.texts] == list("110011002")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")


RESIDUALS = [{"target": "a$b", "measured": [1.0, 2.0], "predicted": [1.5, 1.5]}] * 2


def test_measured_values_are_drawn_against_predicted_ones():
    panels = draw_measured(RESIDUALS, ["g", None]).axes
    points, diagonal = panels[0].lines
    np.testing.assert_array_equal(points.get_xydata(), [[1.5, 1], [1.5, 2]])
    np.testing.assert_array_equal(diagonal.get_xydata(), [[1, 1], [2, 2]])
    assert [(axes.get_xlabel(), axes.get_ylabel()) for axes in panels] == [
        (r"predicted a\$b (g)", r"measured a\$b (g)"),
        (r"predicted a\$b", r"measured a\$b"),
    ]


def test_residuals_are_measured_minus_predicted():
    (axes,) = draw_residuals(RESIDUALS[:1], ["g"]).axes
    np.testing.assert_array_equal(axes.lines[0].get_xydata(), [[1.5, -0.5], [1.5, 0.5]])
    assert axes.get_ylabel() == r"measured - predicted a\$b (g)"


def test_no_more_panels_than_a_picture_holds():
    assert len(draw_residuals(RESIDUALS * 10, [None] * 20).axes) == PANELS
