"""The metrics of a classifier and of a regression equal scikit-learn's."""

import numpy as np
import pytest
from sklearn import metrics
from sklearn.calibration import calibration_curve

from whyport.exporter.train.class_metrics import calibration, class_baseline, class_metrics, per_class
from whyport.exporter.train.value_metrics import SHOWN, residuals, value_baseline, value_metrics

RNG = np.random.default_rng(0)
NAMES = ["no", "yes", "maybe", "never"]


def draw(classes, rows=300):
    """Probabilities that know something of the classes, and the classes, the last of which is rare."""
    shares = np.r_[np.ones(classes - 1), 0.2] / (classes - 0.8)
    actual = RNG.choice(classes, size=rows, p=shares)
    powers = np.exp(RNG.normal(size=(rows, classes)) + 1.5 * np.eye(classes)[actual])
    return powers / powers.sum(axis=1, keepdims=True), actual


def test_two_classes():
    chances, actual = draw(2)
    predicted = chances.argmax(axis=1)
    expected = {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(actual, predicted),
        "auc": metrics.roc_auc_score(actual, chances[:, 1]),
        "average_precision": metrics.average_precision_score(actual, chances[:, 1]),
        "log_loss": metrics.log_loss(actual, chances),
        "brier": metrics.brier_score_loss(actual, chances[:, 1]),
    }
    got = class_metrics(predicted, chances, actual)
    assert list(got) == list(expected)
    np.testing.assert_allclose(list(got.values()), list(expected.values()), rtol=1e-12)


@pytest.mark.parametrize("classes", [3, 4])
def test_several_classes(classes):
    chances, actual = draw(classes)
    predicted = chances.argmax(axis=1)
    each = [metrics.average_precision_score(actual == k, chances[:, k]) for k in range(classes)]
    expected = {
        "accuracy": metrics.accuracy_score(actual, predicted),
        "balanced_accuracy": metrics.balanced_accuracy_score(actual, predicted),
        "auc": metrics.roc_auc_score(actual, chances, multi_class="ovr", average="macro"),
        "average_precision": np.mean(each),
        "log_loss": metrics.log_loss(actual, chances),
        "brier": sum(((chances[:, k] - (actual == k)) ** 2).mean() for k in range(classes)),
    }
    got = class_metrics(predicted, chances, actual)
    np.testing.assert_allclose(list(got.values()), list(expected.values()), rtol=1e-12)


def test_the_predictions_are_those_given():
    chances, actual = draw(2)
    assert class_metrics(actual, chances, actual)["accuracy"] == 1


def test_what_a_missing_class_leaves_undefined_is_left_out():
    chances, _ = draw(3)
    got = class_metrics(chances.argmax(axis=1), chances, np.zeros(300, dtype=np.int64))
    assert list(got) == ["accuracy", "log_loss", "brier"]
    np.testing.assert_allclose(got["log_loss"], -np.log(chances[:, 0]).mean(), rtol=1e-12)


def test_the_baseline_of_the_commonest_class():
    trained, actual = np.repeat([0, 1, 2], [20, 50, 30]), np.repeat([0, 1, 2], [4, 5, 1])
    got = class_baseline(trained, actual, NAMES[:3])
    assert got["rule"] == "always yes"
    np.testing.assert_allclose(got["accuracy"], 0.5)
    np.testing.assert_allclose(got["auc"], 0.5)
    np.testing.assert_allclose(got["average_precision"], np.mean([0.4, 0.5, 0.1]))
    np.testing.assert_allclose(got["log_loss"], -np.log([0.2] * 4 + [0.5] * 5 + [0.3]).mean())


@pytest.mark.parametrize("classes", [2, 3])
def test_each_class(classes):
    chances, actual = draw(classes)
    predicted = chances.argmax(axis=1)
    report = metrics.classification_report(actual, predicted, target_names=NAMES[:classes], output_dict=True)
    for k, row in enumerate(per_class(predicted, chances, actual, NAMES[:classes])):
        expected = report[row["name"]]
        assert row["name"] == NAMES[k]
        assert row["rows"] == expected["support"]
        for name, of in (("precision", "precision"), ("recall", "recall"), ("f1", "f1-score")):
            np.testing.assert_allclose(row[name], expected[of])
        np.testing.assert_allclose(row["auc"], metrics.roc_auc_score(actual == k, chances[:, k]))
        np.testing.assert_allclose(
            row["average_precision"], metrics.average_precision_score(actual == k, chances[:, k])
        )


def test_a_class_without_rows():
    chances, _ = draw(2)
    rows = per_class(chances.argmax(axis=1), chances, np.zeros(300, dtype=np.int64), NAMES[:2])
    assert (rows[1]["rows"], rows[1]["recall"], rows[1]["auc"], rows[1]["average_precision"]) == (0, 0, None, None)


@pytest.mark.parametrize(("classes", "shown"), [(2, [1]), (3, [0, 1, 2])])
def test_calibration(classes, shown):
    chances, actual = draw(classes)
    curves = calibration(chances, actual, NAMES[:classes])
    assert [curve["target"] for curve in curves] == [NAMES[k] for k in shown]
    for k, curve in zip(shown, curves, strict=True):
        observed, predicted = calibration_curve(actual == k, chances[:, k], n_bins=10, strategy="quantile")
        np.testing.assert_allclose(curve["observed"], observed)
        np.testing.assert_allclose(curve["predicted"], predicted)
        assert curve["rows"] == [30] * 10


def test_calibration_of_equal_probabilities_is_one_bin():
    (curve,) = calibration(np.full((10, 2), 0.5), np.repeat([0, 1], 5), NAMES[:2])
    assert curve == {"target": "yes", "predicted": [0.5], "observed": [0.5], "rows": [10]}


MEASURED = RNG.normal(size=(200, 2)) * [3, 0.1] + [50, 7]
PREDICTED = MEASURED + RNG.normal(size=(200, 2)) * [1, 0.05]


def test_one_quantity():
    got = value_metrics(PREDICTED[:, :1], MEASURED[:, :1], ["weight"])
    expected = {
        "r2": metrics.r2_score(MEASURED[:, 0], PREDICTED[:, 0]),
        "mae": metrics.mean_absolute_error(MEASURED[:, 0], PREDICTED[:, 0]),
        "rmse": metrics.root_mean_squared_error(MEASURED[:, 0], PREDICTED[:, 0]),
    }
    assert got == pytest.approx(expected, rel=1e-12)


def test_several_quantities():
    got = value_metrics(PREDICTED, MEASURED, ["a", "b"])
    assert list(got) == ["r2", "r2.a", "mae.a", "rmse.a", "r2.b", "mae.b", "rmse.b"]
    np.testing.assert_allclose(got["r2"], metrics.r2_score(MEASURED, PREDICTED), rtol=1e-12)
    np.testing.assert_allclose(got["rmse.b"], metrics.root_mean_squared_error(MEASURED[:, 1], PREDICTED[:, 1]))


def test_r2_is_left_out_where_all_values_are_equal():
    assert list(value_metrics(PREDICTED[:1], MEASURED[:1], ["a", "b"])) == ["mae.a", "rmse.a", "mae.b", "rmse.b"]


def test_the_baseline_of_the_mean():
    trained = np.array([[1.0], [2.0], [6.0]])
    got = value_baseline(trained, np.array([[3.0], [5.0]]), ["a"])
    assert got == {"rule": "always the mean", "r2": pytest.approx(-1.0), "mae": 1.0, "rmse": pytest.approx(np.sqrt(2))}


def test_residuals_are_pairs_of_some_rows():
    many = np.arange(5.0 * SHOWN)[:, None]
    (shown,) = residuals(many + 1, many, ["a"])
    assert shown["target"] == "a"
    assert len(shown["measured"]) == SHOWN
    assert (shown["measured"][0], shown["measured"][-1]) == (0, 5 * SHOWN - 1)
    np.testing.assert_allclose(np.subtract(shown["predicted"], shown["measured"]), 1)
    assert len(residuals(many[:3], many[:3], ["a"])[0]["measured"]) == 3
