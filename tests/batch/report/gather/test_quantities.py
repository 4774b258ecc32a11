"""Totals of predicted and measured quantities, beside numpy's and scikit-learn's."""

import numpy as np
import pyarrow as pa
import pytest
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error

from whyport.batch.report.gather.quantities import Moments, Quantities, Quantity

GENERATOR = np.random.default_rng(4)
MEASURED = GENERATOR.normal(3500, 400, size=700)
PREDICTED = (MEASURED + GENERATOR.normal(20, 90, size=700)).astype(np.float32)


def counted(predicted: pa.Array, measured: pa.Array, batch: int = 64) -> Quantity:
    quantity = Quantity("weight", "prediction", "weight")
    table = pa.table({"prediction": predicted, "weight": measured})
    for first in range(0, len(table), batch):
        quantity.add(table.slice(first, batch))
    return quantity


def test_a_fit_is_scikit_learn_s() -> None:
    fit = counted(pa.array(PREDICTED), pa.array(MEASURED)).fit
    assert fit is not None
    predicted = PREDICTED.astype(np.float64)
    assert fit.rows == 700
    assert fit.r2 == pytest.approx(r2_score(MEASURED, predicted), rel=1e-12)
    assert fit.mean_absolute_error == pytest.approx(mean_absolute_error(MEASURED, predicted), rel=1e-12)
    assert fit.root_mean_squared_error == pytest.approx(root_mean_squared_error(MEASURED, predicted), rel=1e-12)
    assert fit.bias == pytest.approx((MEASURED - predicted).mean(), rel=1e-9)
    assert fit.spread == pytest.approx(MEASURED.std(), rel=1e-12)


def test_rows_without_a_value_are_left_out() -> None:
    measured = pa.array([None if i % 3 == 0 else value for i, value in enumerate(MEASURED)])
    fit = counted(pa.array(PREDICTED), measured).fit
    known = np.arange(700) % 3 > 0
    assert fit is not None
    assert (fit.rows, fit.r2) == (known.sum(), pytest.approx(r2_score(MEASURED[known], PREDICTED[known])))
    assert counted(pa.array(PREDICTED), pa.nulls(700)).fit is None


def test_a_constant_has_no_share_of_its_spread() -> None:
    fit = counted(pa.array([1.0, 2.0], pa.float32()), pa.array([5, 5])).fit
    assert fit is not None
    assert np.isnan(fit.r2)
    assert (fit.mean_absolute_error, fit.bias, fit.spread) == (3.5, 3.5, 0)


@pytest.mark.parametrize("offset", [0.0, 1e9])
def test_moments_are_numpy_s_whatever_the_batches(offset: float) -> None:
    values = GENERATOR.normal(offset, 2, size=500)
    moments = Moments()
    for part in np.array_split(values, [0, 3, 200]):
        moments.add(part)
    assert moments.count == 500
    assert moments.mean == pytest.approx(values.mean(), rel=1e-12)
    assert moments.squares / 500 == pytest.approx(values.var(), rel=1e-6)


def test_values_are_given_by_target() -> None:
    table = pa.table({"p.a": [1.0, 2.0], "p.b": [3.0, 4.0], "b": [True, None]})
    found = Quantities((Quantity("a", "p.a", None), Quantity("b", "p.b", "b"))).add(table)
    np.testing.assert_array_equal(found["predicted"], [[1, 3], [2, 4]])
    np.testing.assert_array_equal(found["measured"], [[np.nan, 1], [np.nan, np.nan]])
    assert Quantities().add(table) == {}
