import numpy as np

from whyport.exporter.train.checkpoint import EpochResult
from whyport.exporter.train.figures import confusion, draw_confusion, training_files

RESULTS = [EpochResult(epoch, 1 / epoch, 0.5, 1.5 / epoch, 0.4) for epoch in (1, 2, 3)]
PREDICTED, ACTUAL = np.array([0, 1, 1, 2, 2, 2]), np.array([0, 0, 1, 2, 2, 1])
CLASSES = ["a$b", "ü", "c"]


def test_files():
    files = training_files(RESULTS, PREDICTED, ACTUAL, CLASSES)
    lines = files["results.csv"].decode().splitlines()
    assert lines[:2] == ["epoch,train_loss,train_accuracy,test_loss,test_accuracy", "1,1.0,0.5,1.5,0.4"]
    assert len(lines) == 4
    assert files["curves.eps"].startswith(b"%!PS-Adobe")
    assert b"CreationDate" not in files["curves.eps"]
    for name in ("curves.png", "confusion_matrix.png"):
        assert files[name].startswith(b"\x89PNG")
    assert "0.6667" in files["classification_report.txt"].decode()


def test_the_same_run_gives_the_same_bytes():
    assert training_files(RESULTS, PREDICTED, ACTUAL, CLASSES) == training_files(RESULTS, PREDICTED, ACTUAL, CLASSES)


def test_confusion_has_the_actual_class_first():
    np.testing.assert_array_equal(confusion(PREDICTED, ACTUAL, 3), [[1, 1, 0], [0, 1, 1], [0, 0, 2]])


def test_confusion_shows_the_counts():
    axes = draw_confusion(confusion(PREDICTED, ACTUAL, 3), CLASSES).axes[0]
    assert [text.get_text() for text in axes.texts] == list("110011002")
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("predicted", "actual")
