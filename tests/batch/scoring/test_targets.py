import numpy as np
import pytest

from whyport.batch.scoring.targets import TargetChoice
from whyport.runtime.errors import UsageError
from whyport.runtime.task import Classification

PREDICTED = np.array([0, 2, 1])
LABELS = np.array([2, 2, 2])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("predicted", [0, 2, 1]), ("b", [1, 1, 1]), ("class:b", [1, 1, 1]), ("class:all", [2, 2, 2])],
)
def test_the_class_of_each_row(text: str, expected: list[int]) -> None:
    choice = TargetChoice.parse(text, Classification(("a", "b", "all")))
    assert choice.targets(PREDICTED, None).tolist() == expected
    assert not choice.is_all


def test_a_label_column_names_the_class() -> None:
    choice = TargetChoice.parse("label:truth", Classification(("a", "b", "c")))
    assert choice.label == "truth"
    assert choice.targets(PREDICTED, LABELS).tolist() == [2, 2, 2]


def test_all_is_every_class() -> None:
    assert TargetChoice.parse("all", Classification(("a", "all"))).is_all


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown class 'malign' .*did you mean 'malignant'.*'label:COLUMN'"):
        TargetChoice.parse("malign", Classification(("benign", "malignant")))
