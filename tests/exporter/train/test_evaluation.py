"""What training/metrics.json says, and what the terminal shows of it."""

import json

import numpy as np
import pytest

from whyport.exporter.data.dataset import Dataset, Labelled
from whyport.exporter.data.outcome import Classes
from whyport.exporter.data.suspects import Suspect
from whyport.exporter.train.evaluation import evaluate
from whyport.exporter.train.summary import training_lines
from whyport.runtime.task import find_task

SUSPECT = Suspect("id", "identifier", "column 'id' is an identifier")


def make(outcome, train, test, validation=None):
    def labelled(labels):
        return Labelled(np.zeros((len(labels), 1), dtype=np.float32), np.array(labels))

    part = None if validation is None else labelled(validation)
    return Dataset(labelled(train), part, labelled(test), (), outcome, (SUSPECT,), "0" * 64)


@pytest.fixture(scope="module")
def classes():
    dataset = make(Classes("y", ("0", "1"), ("no", "yes")), [0] * 6 + [1] * 3, [0, 0, 0, 1], [0, 1])
    chances = np.array([[0.9, 0.1], [0.8, 0.2], [0.3, 0.7], [0.4, 0.6]], dtype=np.float32)
    outputs = {"logits": np.log(chances), "probabilities": chances}
    return evaluate(dataset, find_task("classification", dataset.targets), outputs)


def test_a_classification(classes):
    found = json.loads(classes.to_json())
    assert {"task": "classification", "targets": ["no", "yes"], "units": [None, None]}.items() <= found.items()
    assert found["rows"] == {"train": 9, "validation": 2, "test": 4}
    assert found["metrics"]["accuracy"] == 0.75
    assert found["metrics"]["auc"] == pytest.approx(2 / 3)
    assert found["baseline"]["rule"] == "always no"
    assert found["baseline"]["accuracy"] == 0.75
    assert [one["recall"] for one in found["per_class"]] == [pytest.approx(2 / 3), 1]
    assert found["calibration"][0]["target"] == "yes"
    assert found["residuals"] is None
    assert found["warnings"] == [{"column": "id", "kind": "identifier", "text": "column 'id' is an identifier"}]


def test_the_sidecar_has_numbers_alone(classes):
    flat = classes.flat()
    assert flat["test_accuracy"] == flat["baseline_accuracy"] == 0.75
    assert "baseline_rule" not in flat
    assert all(isinstance(value, float) for value in flat.values())


class Recorded:
    """A bundle with nothing but the record of its training."""

    def __init__(self, evaluation):
        self.evaluation = evaluation

    def read_bytes(self, name):
        assert name == "training/metrics.json"
        return self.evaluation.to_json()


def test_a_classification_on_the_terminal(classes):
    lines = [" ".join(line.split()) for line in training_lines(Recorded(classes))]
    assert lines[:3] == ["rows 9 to train, 2 to validate, 4 to test", "model always no", "test_accuracy 0.75 0.75"]
    assert "test_auc 0.6667 0.5" in lines
    assert lines[-2:] == ["recall no 0.6667 of 3, yes 1 of 1", "warning column 'id' is an identifier"]


def test_many_classes_show_the_worst():
    names = tuple(f"c{i}" for i in range(12))
    dataset = make(Classes("y", names, names), np.arange(12), np.arange(12))
    chances = np.full((12, 12), 0.05, dtype=np.float32) + 0.4 * np.eye(12, dtype=np.float32)
    chances[7] = chances[3]
    chances /= chances.sum(axis=1, keepdims=True)
    outputs = {"logits": np.log(chances), "probabilities": chances}
    found = evaluate(dataset, find_task("classification", names), outputs)
    line = next(line for line in training_lines(Recorded(found)) if line.startswith("recall"))
    assert line.split(maxsplit=1)[1].startswith("c7 0 of 1, c0 1 of 1")
    assert line.endswith("better for 2 others")
