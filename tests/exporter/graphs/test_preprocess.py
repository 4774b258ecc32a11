import numpy as np
import pytest
import torch

from whyport.exporter.data.statistics import describe_columns
from whyport.exporter.graphs.preprocess import build_preprocessing
from whyport.runtime.bundle.columns import IMPUTE, REFUSE

rng = np.random.default_rng(0)
COLUMNS = [rng.normal(5, 2, 50), np.where(rng.random(50) < 0.3, np.nan, rng.normal(-3e3, 40, 50)), np.full(50, 0.1)]
ROWS = np.array([[4.5, np.nan, 0.1], [np.nan, -3.1e3, 2.5]], dtype=np.float32)


def features(impute):
    return describe_columns(["a", "b", "constant"], COLUMNS, missing=IMPUTE if impute else REFUSE)


def oracle(rows, *, impute, standardise):
    rows = rows.astype(np.float64)
    if impute:
        rows = np.where(np.isnan(rows), [np.nanmedian(column) for column in COLUMNS], rows)
    if standardise:
        spread = np.array([np.nanstd(column) for column in COLUMNS[:2]] + [1.0])
        rows = (rows - [np.nanmean(column) for column in COLUMNS]) / spread
    return rows


@pytest.mark.parametrize("impute", [False, True])
@pytest.mark.parametrize("standardise", [False, True])
def test_equals_the_oracle(impute, standardise):
    module = build_preprocessing(features(impute), standardise=standardise)
    got = module(torch.from_numpy(ROWS)).numpy()
    np.testing.assert_allclose(got, oracle(ROWS, impute=impute, standardise=standardise), rtol=2e-6, atol=2e-6)


def test_gradient_is_finite_at_a_missing_value():
    module = build_preprocessing(features(True), standardise=True)
    rows = torch.from_numpy(ROWS).requires_grad_()
    module(rows).pow(2).sum().backward()
    gradient = rows.grad.numpy()
    assert np.isfinite(gradient).all()
    np.testing.assert_array_equal(gradient[np.isnan(ROWS)], 0)
    assert (gradient[~np.isnan(ROWS)] != 0).sum() >= 3
