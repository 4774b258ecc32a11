import numpy as np
import pytest
import torch

from whyport.runtime.errors import BundleFormatError, UsageError
from whyport.runtime.task import Classification, PredictedColumn, ProbabilityClassification, Regression, find_task

TASK = Classification(("no", "yes", "maybe"))


def test_the_first_largest_score_is_predicted() -> None:
    scores = np.array([[1, 3, 2], [2, 2, 1], [0, -1, 5]], dtype=np.float32)
    assert TASK.predicted(scores).tolist() == [1, 0, 2]
    assert TASK.predicted(torch.from_numpy(scores)).tolist() == [1, 0, 2]


def test_where_float32_probabilities_tie_the_scores_decide() -> None:
    scores = np.array([[1e-9, 2e-9, -50], [3e-9, 2e-9, -50]], dtype=np.float32)
    powers = np.exp(scores)
    probabilities = powers / powers.sum(axis=1, keepdims=True)
    assert (probabilities[:, 0] == probabilities[:, 1]).all()
    prediction = TASK.predict({"logits": scores, "probabilities": probabilities})
    assert prediction.target.tolist() == [1, 0]
    assert prediction.values[0].tolist() == [1, 0]


def test_a_prediction_is_a_class_and_the_probabilities() -> None:
    assert TASK.columns[0] == PredictedColumn("prediction", names_target=True)
    assert [column.name for column in TASK.columns[1:]] == list(TASK.probability_columns.values())
    outputs = {name: np.array([[0.1, 0.7, 0.2], [0.5, 0.3, 0.2]], dtype=np.float32) for name in TASK.outputs}
    prediction = TASK.predict(outputs)
    np.testing.assert_array_equal(np.stack(prediction.values[1:], axis=1), outputs["probabilities"])
    assert TASK.counts(prediction) == {"no": 1, "yes": 1, "maybe": 0}


def test_probabilities_can_be_the_scores() -> None:
    task = find_task("classification-by-probability", TASK.targets)
    assert (type(task), task.unit, task.score) == (ProbabilityClassification, "probability", "probabilities")
    assert task.columns == TASK.columns
    prediction = task.predict({"probabilities": np.array([[0.1, 0.7, 0.2], [0.5, 0.5, 0]], dtype=np.float32)})
    assert prediction.target.tolist() == [1, 0]
    task.check_outputs({"probabilities": (3,)})


def test_outputs_that_are_missing_are_named() -> None:
    TASK.check_outputs({"logits": (3,), "probabilities": (3,), "attention": (4, 4)})
    with pytest.raises(BundleFormatError, match=r"expected an output 'probabilities' of shape \[N, 3\]"):
        TASK.check_outputs({"logits": (3,), "probabilities": (2,)})


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(UsageError, match=r"unknown task 'clasification' \(did you mean 'classification'\?\)"):
        find_task("clasification", ())


WEIGHT_AND_LENGTH = Regression(("weight", "length"), ("g", None))
VALUES = {"value": np.array([[3000, 50.5], [2500, 49]], dtype=np.float32)}


def test_quantities_are_predictions_as_they_are() -> None:
    assert [(column.name, column.unit) for column in WEIGHT_AND_LENGTH.columns] == [
        ("prediction.weight", "g"),
        ("prediction.length", None),
    ]
    prediction = WEIGHT_AND_LENGTH.predict(VALUES)
    np.testing.assert_array_equal(np.stack(prediction.values, axis=1), VALUES["value"])
    assert prediction.target.tolist() == [0, 0]
    assert WEIGHT_AND_LENGTH.predicted(torch.from_numpy(VALUES["value"])).tolist() == [0, 0]
    assert WEIGHT_AND_LENGTH.counts(prediction) == {}
    assert not WEIGHT_AND_LENGTH.predicts_targets
    assert WEIGHT_AND_LENGTH.probability_columns == {}


def test_one_quantity_has_a_plain_column() -> None:
    assert Regression(("weight",), ("g",)).columns == (PredictedColumn("prediction", unit="g"),)


def test_units_are_the_targets_own() -> None:
    task = find_task("regression", ("weight", "length"), ("g", None))
    assert (task.unit_of("weight"), task.unit_of("length")) == ("g", "units of length")
    assert task.unit == "units of the target"
    assert Regression(("a", "b"), ("mm", "mm")).unit == "mm"
    assert Regression(("a",)).unit == "units of a"
    assert TASK.unit_of("yes") == TASK.unit == "logits"


def test_targets_without_names_have_generic_ones() -> None:
    assert Regression.generic_names(1) == ("value",)
    assert Regression.generic_names(2) == ("target 0", "target 1")
    assert Classification.generic_names(2) == ("class 0", "class 1")
