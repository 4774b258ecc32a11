"""Rows for which a model has no answer: found, named, and never given a number."""

import numpy as np
import pytest

from whyport.runtime.errors import NotFiniteError
from whyport.runtime.finite import UnansweredRows

NAN, INF = np.nan, np.inf


def test_every_kind_of_number_that_is_not_finite_is_found() -> None:
    logits = np.array([[0, 1], [NAN, 0], [0, INF], [-INF, 0], [1, 1], [1, 1]], dtype=np.float32)
    weights = np.zeros((6, 2, 2), dtype=np.float32)
    weights[4, 1, 0] = NAN
    found = UnansweredRows.of({"logits": logits, "attention": weights, "class": np.arange(6)})
    assert found.rows.tolist() == [1, 2, 3, 4]
    expected = ["'logits': expected finite numbers, got " + got for got in ("NaN", "infinity", "infinity")]
    assert found.reasons == tuple(f"output {text}" for text in [*expected, "'attention': " + expected[0][10:]])
    assert found.summary == f"output {expected[0]}, in 4 of 6 rows: 1, 2, 3, 4"
    blanked = found.blanked({"logits": logits, "class": np.arange(6)})
    assert np.isnan(blanked["logits"]).all(axis=1).tolist() == [False, True, True, True, True, False]
    assert blanked["class"].tolist() == list(range(6))
    assert logits[2, 0] == 0  # the given array is as it was


@pytest.mark.parametrize("rows", [0, 1, 3])
def test_finite_outputs_pass(rows: int) -> None:
    outputs = {"logits": np.ones((rows, 2), dtype=np.float32)}
    found = UnansweredRows.of(outputs)
    found.refuse()
    assert len(found) == 0
    assert found.blanked(outputs) == outputs


def test_the_first_ten_rows_are_named() -> None:
    found = UnansweredRows.of({"value": np.where(np.arange(40) % 2, NAN, 1.0)[:, None]})
    with pytest.raises(NotFiniteError, match=r"in 20 of 40 rows: 1, 3, 5, 7, 9, 11, 13, 15, 17, 19, \.\.\.$"):
        found.refuse()
