"""The tables of trees give the Shapley values of their definition, whatever the units."""

import numpy as np
import pytest

from support.trees import enumerated, random_rows, random_trees
from whyport.exporter.trees import units
from whyport.exporter.trees.tables import of_single_scores, share_tables
from whyport.exporter.trees.units import UnitChoice
from whyport.runtime.bundle.references import References

CODES = (None, 4, None, 3, None)


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("unit_bytes", [0, 4096], ids=["units of single leaves", "larger units"])
def test_shares_are_those_of_enumeration(seed: int, unit_bytes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(units, "UNIT_BYTES", unit_bytes)
    generator = np.random.default_rng(seed)
    weights = [np.eye(1), np.array([[-1.0], [1.0]]), np.eye(3), generator.normal(size=(2, 3))][seed]
    trees = random_trees(generator, 5, 4, codes=CODES, raw=weights.shape[1], weights=weights)
    rows, references = random_rows(generator, 12, CODES), random_rows(generator, 7, CODES)
    rows[:3] = references[:3]
    mass = generator.random(7)
    mass /= mass.sum()
    single = of_single_scores(trees)
    choice = UnitChoice(single)
    shares = share_tables(single, choice, CODES, References(references, mass))
    exact = shares.exact(rows)
    np.testing.assert_allclose(exact.attributions, enumerated(trees, rows, References(references, mass)), atol=1e-12)
    np.testing.assert_allclose(exact.scores, trees.scores(rows), atol=1e-12)
    difference = exact.scores - exact.base_values
    np.testing.assert_allclose(exact.attributions.sum(axis=2), difference, atol=1e-12)
    splits = sum(len(table.unit.splits) for table in shares.tables)
    assert splits > 10 if unit_bytes else splits < 60
    made = sum(4 * table.shares.size + unit_bytes for table in shares.tables)
    assert choice.size == made
