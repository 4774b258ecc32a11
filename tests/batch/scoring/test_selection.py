import hashlib

import numpy as np
import pyarrow as pa
import pytest

from whyport.batch.scoring.selection import Selection, uniform
from whyport.runtime.errors import UsageError
from whyport.runtime.task import Classification

MASK = (1 << 64) - 1


def splitmix64(seed: int, count: int) -> list[int]:
    """The published algorithm, in Python's integers."""
    numbers = []
    for _ in range(count):
        seed = (seed + 0x9E3779B97F4A7C15) & MASK
        z = seed
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
        numbers.append(z ^ (z >> 31))
    return numbers


def no_column(name: str) -> pa.Array:
    raise AssertionError(name)


def test_a_row_has_the_number_of_its_place_in_the_stream_of_its_file() -> None:
    # The first numbers for seed 1234567, as they are published with the algorithm.
    assert splitmix64(1234567, 2) == [6457827717110365317, 3203168211198807973]
    seed = int.from_bytes(hashlib.sha256("größe.parquet".encode()).digest()[:8], "little")
    expected = [(number >> 11) / 2**53 for number in splitmix64(seed, 500)]
    np.testing.assert_array_equal(uniform("größe.parquet", np.arange(500)), expected)


def test_a_row_is_drawn_alike_whatever_is_drawn_beside_it() -> None:
    rows = np.arange(10_000)
    whole = uniform("x", rows)
    shuffled = np.random.default_rng(0).permutation(rows)
    np.testing.assert_array_equal(uniform("x", shuffled), whole[shuffled])
    np.testing.assert_array_equal(uniform("x", rows[777:778]), whole[777:778])
    assert uniform("x", rows[:0]).shape == (0,)
    assert uniform("x", np.array([2**62]))[0] < 1


@pytest.mark.parametrize("fraction", [0.001, 0.01, 0.5, 1.0])
def test_about_that_share_is_drawn_of_every_file(fraction: float) -> None:
    drawn = [Selection(fraction=fraction).mask(f"{i}.parquet", np.arange(100_000), no_column) for i in range(3)]
    for mask in drawn:
        # Within five standard deviations of a binomial distribution.
        assert abs(mask.sum() - fraction * 100_000) <= 5 * np.sqrt(fraction * (1 - fraction) * 100_000)
    if fraction < 1:
        assert (drawn[0] != drawn[1]).any()


def test_more_of_a_file_holds_what_less_of_it_did() -> None:
    few, many = (Selection(fraction=share).mask("x", np.arange(10_000), no_column) for share in (0.1, 0.3))
    assert not (few & ~many).any()


def test_both_must_hold() -> None:
    rows = np.arange(1000)
    values = pa.array([None if row % 7 == 0 else row % 2 for row in rows])
    where, both = Selection.parse("x == 1", None), Selection.parse("x == 1", 0.4)
    expected = (rows % 2 == 1) & (rows % 7 != 0)
    np.testing.assert_array_equal(where.mask("f", rows, lambda name: values), expected)
    drawn = Selection(fraction=0.4).mask("f", rows, no_column)
    np.testing.assert_array_equal(both.mask("f", rows, lambda name: values), expected & drawn)
    assert str(both) == "a share of 0.4 of the rows where x == 1"
    assert not both.is_all
    assert Selection().is_all


def test_a_condition_is_checked_against_the_columns() -> None:
    Selection().check(pa.schema([]), Classification(("no", "yes")), "file")
    with pytest.raises(UsageError, match="unknown column 'x'; known: none"):
        Selection.parse("x == 1", None).check(pa.schema([]), Classification(("no", "yes")), "file")
