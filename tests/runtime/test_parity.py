import numpy as np
import pytest

from whyport.runtime.parity import deviation, row_deviations, share_deviation


def test_small_values_are_compared_absolutely_and_large_ones_relatively() -> None:
    assert deviation(np.array([0.5, 100.0]), np.array([0.25, 100.0])) == 0.25
    assert deviation(np.array([0.5, 110.0]), np.array([0.5, 100.0])) == pytest.approx(0.1)


@pytest.mark.parametrize(
    ("got", "expected"), [(np.nan, 1.0), (1.0, np.nan), (np.inf, 1.0), (1.0, np.inf), (np.inf, -np.inf)]
)
def test_a_value_that_is_not_finite_on_one_side_alone_is_infinitely_far(got: float, expected: float) -> None:
    assert deviation(np.array([got]), np.array([expected])) == np.inf


def test_the_same_value_is_no_deviation_even_where_it_is_not_finite() -> None:
    values = np.array([np.nan, np.inf, -np.inf, 3.0], dtype=np.float32)
    assert deviation(values, values) == 0.0
    assert deviation(values[:0], values[:0]) == 0.0


def test_each_row_has_its_own_worst() -> None:
    got = np.zeros((2, 2, 2))
    got[1, 0, 1] = 0.5
    np.testing.assert_array_equal(row_deviations(got, np.zeros((2, 2, 2))), [0.0, 0.5])


def test_shapes_must_be_equal() -> None:
    with pytest.raises(ValueError, match="expected equal shapes"):
        deviation(np.zeros(2), np.zeros((2, 1)))


def test_a_share_is_compared_with_the_largest_of_its_row() -> None:
    expected = np.array([[8000.0, 0.5], [0.1, 0.5]])
    assert share_deviation(expected + np.array([[0.0, 0.8], [0.0, 0.0]]), expected) == pytest.approx(1e-4)
    assert share_deviation(expected + np.array([[0.0, 0.0], [0.0, 0.25]]), expected) == pytest.approx(0.25)
    assert share_deviation(expected[:, None] + 0.5, expected[:, None]) == pytest.approx(0.5)


def test_a_share_that_is_not_finite_on_one_side_alone_is_infinitely_far() -> None:
    expected = np.array([[1.0, np.nan, np.inf, 2.0]])
    assert share_deviation(expected, expected) == 0
    assert share_deviation(expected[:0], expected[:0]) == 0
    for place in range(4):
        got = expected.copy()
        got[0, place] = np.nan if place == 2 else np.inf
        assert share_deviation(got, expected) == np.inf
    with pytest.raises(ValueError, match="expected equal shapes"):
        share_deviation(np.zeros((1, 2)), np.zeros((2, 2)))
