"""Thresholds in float32 part float32 numbers as the float64 thresholds do."""

import numpy as np

from whyport.exporter.trees.thresholds import round_below, round_down


def test_every_number_stays_on_its_side() -> None:
    rng = np.random.default_rng(0)
    numbers = np.concatenate([rng.normal(size=2000), [0.0, -0.0, 1e-45, 3e38, -3e38]]).astype(np.float32)
    beside = [np.nextafter(numbers, np.float32(side)) for side in (-np.inf, np.inf)]
    numbers = np.unique(np.concatenate([numbers, *beside]))
    wide = numbers.astype(np.float64)
    thresholds = np.concatenate([wide, (wide[1:] + wide[:-1]) / 2, wide * (1 + 1e-12), wide * (1 - 1e-12)])
    for threshold in rng.choice(thresholds, 3000):
        np.testing.assert_array_equal(numbers <= round_down(threshold), wide <= threshold)
        np.testing.assert_array_equal(numbers < threshold, numbers <= round_below(threshold))


def test_beyond_float32() -> None:
    greatest = np.finfo(np.float32).max
    np.testing.assert_array_equal(round_down([1e300, np.inf, -1e300]), np.float32([greatest, np.inf, -np.inf]))
