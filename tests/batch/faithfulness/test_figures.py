"""Rank correlations and overlaps, against scipy and by hand."""

import numpy as np
import pytest
from scipy import stats

from whyport.batch.faithfulness.figures import Figures, ranks, relative_l1, spearman, top_overlap


def test_rank_correlations_are_scipys() -> None:
    rng = np.random.default_rng(0)
    one, other = rng.integers(0, 6, (2, 8, 11)).astype(np.float64)
    for a, b, found in zip(one, other, spearman(one, other), strict=True):
        assert found == pytest.approx(stats.spearmanr(a, b).statistic, rel=1e-12)
    assert (ranks(one) == stats.rankdata(one, axis=1)).all()
    assert np.isnan(spearman(np.ones((1, 3)), one[:1, :3])).all()


def test_changes_and_overlaps_by_hand() -> None:
    one, other = np.array([[3.0, -1.0, 0.0], [0.0, 0.0, 0.0]]), np.array([[1.0, -1.0, 4.0], [1.0, 0.0, 0.0]])
    assert relative_l1(one, other) == pytest.approx([1.5, np.nan], nan_ok=True)
    assert top_overlap(one, other, 2).tolist() == [0.5, 1.0]
    assert top_overlap(one, other, 9).tolist() == [1.0, 1.0]


def test_means_have_standard_errors_and_leave_out_what_is_not_finite() -> None:
    figures = Figures()
    assert (figures.mean, figures.error) == (None, None)
    figures.add([1.0, np.nan, 2.0])
    figures.add(np.array([6.0, np.inf]))
    assert figures.mean == 3
    assert figures.error == pytest.approx(stats.sem([1, 2, 6]))
