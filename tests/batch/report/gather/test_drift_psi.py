import numpy as np

from whyport.batch.report.gather.drift import LEAST_SHARE, by_chance, psi


def test_two_bins_have_a_closed_form() -> None:
    # (0.7 - 0.5) ln(0.7 / 0.5) + (0.3 - 0.5) ln(0.3 / 0.5)
    expected = 0.2 * np.log(1.4) - 0.2 * np.log(0.6)
    np.testing.assert_allclose(psi(np.array([0.5, 0.5]), np.array([7, 3])), expected, rtol=1e-12)
    np.testing.assert_allclose(psi(np.array([7, 3]), np.array([50, 50])), expected, rtol=1e-12)


def test_what_has_not_moved_is_zero_and_features_stand_alone() -> None:
    expected = np.array([[1, 2, 3], [4, 4, 4]])
    np.testing.assert_allclose(psi(expected, 10 * expected), 0, atol=1e-15)
    found = np.array([[3, 2, 1], [4, 4, 4]])
    np.testing.assert_allclose(psi(expected, found), [psi(expected[0], found[0]), 0], atol=1e-15)


def test_an_empty_bin_counts_as_the_least_share() -> None:
    expected = (1 - 0.5) * np.log(1 / 0.5) + (LEAST_SHARE - 0.5) * np.log(LEAST_SHARE / 0.5)
    np.testing.assert_allclose(psi(np.array([1, 1]), np.array([9, 0])), expected, rtol=1e-12)
    assert np.isnan(psi(np.array([1, 1]), np.array([0, 0])))


def test_by_chance_is_what_equal_samples_come_to() -> None:
    generator = np.random.default_rng(0)
    one, other = (generator.multinomial(rows, [0.2] * 5, size=4000) for rows in (400, 1600))
    np.testing.assert_allclose(psi(one, other).mean(), by_chance(5, 400, 1600), rtol=0.05)
