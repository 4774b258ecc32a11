import numpy as np
import pytest

from support.bundles import IMPUTATION, linear_sidecar
from whyport.batch.report.gather.known_rows import KnownRows
from whyport.runtime.bundle.references import References

GENERATOR = np.random.default_rng(0)


@pytest.mark.parametrize("imputes", [False, True])
def test_the_references_among_the_rows_are_found_once(imputes: bool) -> None:
    references = GENERATOR.normal(size=(40, 3)).astype(np.float32)
    references[0] = [0.0, 1.0, -0.0]
    if imputes:
        references[1, 2] = IMPUTATION[2]
    known = KnownRows(
        References(references, np.full(40, 1 / 40)), linear_sidecar(imputes, ("a", "b", "c"), ("no", "yes"))
    )
    rows = GENERATOR.normal(size=(1000, 3))
    rows[100:110] = references[:10]
    rows[100] = [-0.0, 1.0, 0.0]
    if imputes:
        rows[101, 2] = np.nan
    rows[200:210] = references[:10]
    rows[300:310, :2] = references[20:30, :2]  # alike in some features only
    rows[400] = [np.inf, 1e300, 0]
    expected = {tuple(row) for row in (references + 0).tolist()}
    imputed = np.where(np.isnan(rows), IMPUTATION if imputes else np.nan, rows)
    with np.errstate(over="ignore"):
        among = {tuple(row) for row in imputed.astype(np.float32).tolist()} & expected
    assert len(among) == 10
    for part in np.array_split(rows, 7):
        known.add(part)
    known.add(rows[100:101])
    assert (known.found, known.total) == (10, 40)


def test_other_rows_are_not_known() -> None:
    references = GENERATOR.normal(size=(40, 3)).astype(np.float32)
    known = KnownRows(References(references, np.ones(40)), linear_sidecar(True, ("a", "b", "c"), ("no", "yes")))
    known.add(references[:, ::-1])
    known.add(np.full((100, 3), np.nan))
    known.add(np.zeros((0, 3)))
    assert known.found == 0


def test_a_reference_with_a_missing_value_is_found_among_rows_that_lack_it_too() -> None:
    references = np.array([[1, np.nan, 3], [4, 5, 6]], dtype=np.float32)
    known = KnownRows(References(references, np.full(2, 0.5)), linear_sidecar(False, ("a", "b", "c"), ("no", "yes")))
    known.add(np.repeat(np.array([[1, 0, 3.0], [1, np.nan, 3]]), 5, axis=0))
    assert (known.found, known.total) == (1, 2)
