"""treeshap where numbers are odd: infinities, both zeros, the smallest float32, and weights of any size."""

import dataclasses

import numpy as np
import pytest
from numpy.typing import NDArray

from support.forests import enumerated, random_trees
from whyport.batch.methods.treeshap.forest import Forest
from whyport.batch.methods.treeshap.kernel import Kernel
from whyport.batch.methods.treeshap.measure import measure_of
from whyport.runtime.bundle.references import References

ODD = np.array([np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, -1e-45, 1.0, -1.0], dtype=np.float32)
COLUMNS = np.arange(5)


def odd_rows(generator: np.random.Generator, count: int) -> NDArray[np.float32]:
    return generator.choice(ODD, size=(count, len(COLUMNS)))


@pytest.mark.parametrize("weights", [[1.0], [1e-9, 0.0, 1e9, 1.0, 0.0]], ids=("one reference", "zero and huge weights"))
def test_it_is_the_enumeration(weights: list[float]) -> None:
    generator = np.random.default_rng(11)
    trees = random_trees(generator, trees=6, depth=6, columns=COLUMNS)
    trees = dataclasses.replace(trees, threshold=generator.choice(ODD[1:], size=len(trees.threshold)))
    rows, mass = odd_rows(generator, 40), np.array(weights)
    references = References(np.concatenate([rows[:1], odd_rows(generator, len(mass) - 1)]), mass / mass.sum())
    forest = Forest.of(trees, COLUMNS, trees.value, False)
    kernel = Kernel(forest, measure_of(forest, references.rows, references.weights), len(COLUMNS), 2, 1 << 20)
    got = kernel.shares(np.ascontiguousarray(rows.T), [(0, len(rows), 0)])
    np.testing.assert_allclose(got.T, enumerated(trees, rows, references, COLUMNS)[:, 0], rtol=0, atol=1e-13)
