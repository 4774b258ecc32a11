import numpy as np
import pytest

from whyport.batch.report.gather.collect import SmallestKeys


@pytest.mark.parametrize("batch", [1, 7, 100, 1000])
def test_the_smallest_are_kept_however_they_come(batch: int) -> None:
    keys = np.random.default_rng(0).uniform(size=1000)
    sample = SmallestKeys(30)
    for start in range(0, 1000, batch):
        part = slice(start, start + batch)
        sample.offer(keys[part], {"row": np.arange(1000)[part], "value": keys[part, None] * [1, 2]})
        assert sample._held <= 60
    kept = sample.rows()
    np.testing.assert_array_equal(kept["row"], np.argsort(keys)[:30])
    np.testing.assert_array_equal(kept["value"], np.sort(keys)[:30, None] * [1, 2])


def test_of_equal_keys_the_first_stay() -> None:
    sample = SmallestKeys(3)
    for start in range(0, 100, 5):
        sample.offer(np.zeros(5), {"row": np.arange(start, start + 5)})
    np.testing.assert_array_equal(sample.rows()["row"], [0, 1, 2])


def test_infinite_keys_are_never_kept() -> None:
    sample = SmallestKeys(3)
    sample.offer(np.array([np.inf, np.inf]), {"row": np.arange(2)})
    assert sample.rows() == {}
