import warnings

import numpy as np
from sklearn.metrics import classification_report, confusion_matrix

from whyport.batch.report.gather.confusion import ClassificationReport


def test_the_scores_are_those_of_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    actual, predicted = generator.integers(0, 3, size=200), generator.integers(0, 4, size=200)
    predicted[predicted == 3] = 0
    actual[actual == 2] = 1  # a class without rows
    matrix = confusion_matrix(actual, predicted, labels=range(3))
    made = ClassificationReport.of(matrix, ["a", "b", "c"])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = classification_report(
            actual, predicted, labels=range(3), target_names=["a", "b", "c"], output_dict=True, zero_division=0
        )
    averages = {"macro average": "macro avg", "weighted average": "weighted avg"}
    for each in (*made.classes, *made.averages):
        expected = theirs[averages.get(each.name, each.name)]
        got = [each.precision, each.recall, each.f1, each.support]
        np.testing.assert_allclose(got, [expected[k] for k in ("precision", "recall", "f1-score", "support")])
    np.testing.assert_allclose(made.accuracy, np.mean(actual == predicted))


def test_no_rows_give_zeros() -> None:
    made = ClassificationReport.of(np.zeros((2, 2), dtype=np.int64), ["a", "b"])
    assert (made.accuracy, made.classes[0].f1, made.averages[1].recall) == (0, 0, 0)
