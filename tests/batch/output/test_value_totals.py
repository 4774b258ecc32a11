import json
import math

import numpy as np
import pytest

from whyport.batch.output.totals import Totals
from whyport.batch.output.value_totals import ValueTotals
from whyport.runtime.bundle.codec import encode

POWERS = 10.0 ** (np.arange(1000) % 70 - 40)
VALUES = (np.random.default_rng(0).normal(size=1000) * POWERS).astype(np.float32)


def test_the_sum_is_exact_in_any_order() -> None:
    whole = ValueTotals.of(VALUES)
    cut = sum((ValueTotals.of(part) for part in np.array_split(VALUES[::-1], 7)), ValueTotals())
    assert cut == whole
    assert whole.mean == pytest.approx(math.fsum(VALUES.tolist()) / 1000, rel=1e-15)
    assert (whole.minimum, whole.maximum) == (VALUES.min(), VALUES.max())


@pytest.mark.parametrize("value", [0.0, 1e-45, -3.5e-42, 3.4e38, -1.0, 0.1])
def test_every_float_is_itself(value: float) -> None:
    assert ValueTotals.of(np.array([value], dtype=np.float32)).mean == float(np.float32(value))


def test_no_rows_have_no_mean() -> None:
    assert ValueTotals() + ValueTotals.of(VALUES[:0]) == ValueTotals()
    assert ValueTotals().mean is None


def test_footers_keep_it_and_older_ones_have_none() -> None:
    totals = Totals(rows_out=1000, values={"prediction": ValueTotals.of(VALUES)})
    assert Totals.read(encode(totals)) == totals
    older = json.loads(encode(totals))
    del older["values"]
    assert Totals.read(json.dumps(older)).values == {}
