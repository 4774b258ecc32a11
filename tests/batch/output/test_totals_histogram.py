import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from whyport.batch.output.totals import BINS_PER_DECADE, ErrorHistogram

ERRORS = st.lists(st.floats(0, 1e12) | st.sampled_from([np.nan, np.inf, 0.0, 1e-300]), max_size=60)


@given(ERRORS, st.floats(0.01, 1.0))
def test_a_quantile_is_never_too_small_and_at_most_a_bin_too_large(errors: list[float], share: float) -> None:
    histogram = ErrorHistogram.of(np.array(errors))
    ordered = np.sort(np.nan_to_num(np.array(errors), nan=np.inf, posinf=np.inf))
    exact = ordered[max(int(np.ceil(share * len(errors))) - 1, 0)] if errors else 0.0
    got = histogram.quantile(share)
    assert got >= exact or np.isclose(got, exact, rtol=1e-12)
    # Below 1e-15 everything is one bin, above 1e9 the worst one answers.
    if exact <= 1e9:
        assert got <= max(exact, 1e-15) * 10 ** (1 / BINS_PER_DECADE) * (1 + 1e-9)


@given(ERRORS, ERRORS)
def test_histograms_add_up(one: list[float], other: list[float]) -> None:
    together = ErrorHistogram.of(np.array([*one, *other]))
    assert ErrorHistogram.of(np.array(one)) + ErrorHistogram.of(np.array(other)) == together
    assert together.total == len(one) + len(other)


def test_the_worst_and_what_is_not_finite_are_exact() -> None:
    histogram = ErrorHistogram.of(np.array([0.1, 0.3, np.nan, np.inf]))
    assert (histogram.worst, histogram.not_finite) == (0.3, 2)
    assert histogram.quantile(0.5) == pytest.approx(0.3)
    assert histogram.quantile(0.99) == np.inf


def test_without_errors_the_quantile_is_zero() -> None:
    assert ErrorHistogram().quantile(0.99) == 0.0
    assert ErrorHistogram.of(np.zeros((0, 2))) == ErrorHistogram()
