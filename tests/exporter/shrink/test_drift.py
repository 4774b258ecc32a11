import numpy as np
import pytest
from scipy.stats import spearmanr

from whyport.exporter.shrink.drift import changed_rows, rank_correlation, relative_drift
from whyport.runtime.task import find_task

RNG = np.random.default_rng(0)
CLASSES = find_task("classification", ("a", "b", "c"), (None,) * 3)
QUANTITIES = find_task("regression", ("weight", "length"), ("g", "cm"))


def test_drift_is_the_difference_over_the_magnitude() -> None:
    expected = np.array([[1.0, -3.0], [0.0, 6.0]])
    assert relative_drift(expected + np.array([[0.5, 0.0], [0.0, -0.5]]), expected) == pytest.approx(0.1)
    assert relative_drift(np.zeros((2, 2)), np.zeros((2, 2))) == 0


def test_rank_correlation_is_scipys() -> None:
    a, b = RNG.normal(size=(2, 6, 12))
    expected = np.mean([spearmanr(x, y).statistic for x, y in zip(a, b, strict=True)])
    assert rank_correlation(a, b) == pytest.approx(expected)


def test_padding_has_no_rank() -> None:
    a, b = RNG.normal(size=(2, 6, 12))
    padded = [np.concatenate([each, np.zeros((6, 20))], axis=1) for each in (a, b)]
    assert rank_correlation(*padded) == pytest.approx(rank_correlation(a, b))
    assert rank_correlation(np.zeros((3, 4)), np.zeros((3, 4))) == 1


def test_a_changed_class_counts() -> None:
    expected = np.array([[1.0, 2.0, 0.0]] * 4)
    got = expected.copy()
    got[0] = [2.5, 2.0, 0.0]
    got[1] = [0.9, 2.5, 0.4]
    got[2, 2] = np.nan
    assert changed_rows(CLASSES, got, expected) == 2
    assert changed_rows(CLASSES, got, got) == 0


def test_a_quantity_that_moves_by_a_hundredth_of_its_span_counts() -> None:
    expected = np.array([[0.0, 0.0], [1000.0, 1.0], [500.0, 0.5]])
    got = expected + np.array([[9.0, 0.0], [0.0, 0.02], [11.0, 0.0]])
    assert changed_rows(QUANTITIES, got, expected) == 2
