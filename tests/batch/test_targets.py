import numpy as np
import pytest

from whyport.batch.targets import TargetChoice, written
from whyport.runtime.errors import UsageError
from whyport.runtime.task import Classification, Regression

PREDICTED = np.array([0, 2, 1])
SCORES = np.array([[0.5, 0.25, 0.75], [0.5, 0.5, 0.25], [0, 2, 0]], dtype=np.float32)
LABELS = np.array([2, 2, 2])


@pytest.mark.parametrize(
    ("text", "expected"),
    [("predicted", [0, 2, 1]), ("b", [1, 1, 1]), ("class:b", [1, 1, 1]), ("class:all", [2, 2, 2])],
)
def test_the_class_of_each_row(text: str, expected: list[int]) -> None:
    choice = TargetChoice.parse(text, Classification(("a", "b", "all")))
    assert choice.targets(PREDICTED, None, SCORES)[:, 0].tolist() == expected
    assert choice.columns == ((None, ""),)


def test_a_label_column_names_the_class() -> None:
    choice = TargetChoice.parse("label:truth", Classification(("a", "b", "c")))
    assert choice.label == "truth"
    assert choice.targets(PREDICTED, LABELS, SCORES).tolist() == [[2], [2], [2]]


def test_all_is_every_class() -> None:
    choice = TargetChoice.parse("all", Classification(("a", "all", "c")))
    assert choice.columns == (("a", ".a"), ("all", ".all"), ("c", ".c"))
    assert choice.targets(PREDICTED, None, SCORES).tolist() == [[0, 1, 2]] * 3


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("c,a", ["c", "a"]),
        ('"a,b",c', ["a,b", "c"]),
        ("target:all, class:a", ["all", "a"]),
        (written(["a,b", "all"]), ["a,b", "all"]),
    ],
)
def test_several_names(text: str, names: list[str]) -> None:
    task = Classification(("a", "all", "c", "a,b"))
    choice = TargetChoice.parse(text, task)
    assert choice.targets_by_name == tuple(names)
    assert choice.targets(PREDICTED, None, SCORES).tolist() == [[task.targets.index(name) for name in names]] * 3


def test_names_that_begin_as_the_option_does() -> None:
    task = Classification(("a", "class:a", "target:b", "class:c"))
    for name in task.targets:
        for text in (name, f"target:{name}", written([name])):
            assert TargetChoice.parse(text, task).fixed == (task.targets.index(name),), text
    assert TargetChoice.parse(written(task.targets[1:]), task).fixed == (1, 2, 3)
    assert TargetChoice.parse(None, Regression(("class:a",))).fixed == (0,)


def test_one_name_with_a_comma() -> None:
    task = Classification(("a", "a,b"))
    for text in ("a,b", '"a,b"', "target:a,b"):
        assert TargetChoice.parse(text, task).fixed == (1,)
        assert TargetChoice.parse(text, task).targets_by_name == ()


def test_the_largest_scores_of_each_row() -> None:
    choice = TargetChoice.parse("top:2", Classification(("a", "b", "c")))
    assert choice.columns == ((None, ".1"), (None, ".2"))
    assert choice.targets(PREDICTED, None, SCORES).tolist() == [[2, 0], [0, 1], [1, 0]]


def test_the_default_is_the_tasks() -> None:
    assert TargetChoice.parse(None, Classification(("a", "b"))).text == "predicted"
    assert TargetChoice.parse(None, Regression(("weight", "length"))).targets_by_name == ("weight", "length")
    one = TargetChoice.parse(None, Regression(("all",)))
    assert (one.fixed, one.targets_by_name) == ((0,), ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "predicted",
            "predicted: a regression predicts no target; expected 'a' or 'b' or all or top:K or label:COLUMN",
        ),
        ("top:3", "top:3: expected a number from 1 to 2, the targets"),
        ("top:", "expected a number from 1 to 2"),
        ("top:0", "expected a number from 1 to 2"),
        ("a,a", "expected targets that differ"),
        ("a,maybe", "unknown target 'maybe'"),
        ("", "unknown target ''"),
    ],
)
def test_other_choices_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        TargetChoice.parse(text, Regression(("a", "b")))


def test_an_unknown_class_is_refused() -> None:
    with pytest.raises(UsageError, match="unknown class 'malign' .*did you mean 'malignant'.*'label:COLUMN'"):
        TargetChoice.parse("malign", Classification(("benign", "malignant")))
