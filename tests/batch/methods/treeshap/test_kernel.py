"""The kernel in float64: every way to share a leaf, against enumeration and the sum of the same leaves."""

from math import factorial

import numpy as np
import pytest
from numpy.typing import NDArray

from support.forests import enumerated, path_dependent, random_trees, trees_of_scikit
from support.tree_kernel import shares
from whyport.batch.methods.treeshap import kernel
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.trees import Trees

COLUMNS = np.array([0, 1, 1, 2, 3, 4, 4, 4, 5, 6, 7])
OF_COLUMN = np.array([0, 1, 2, 3, 4, 5, 6, 6])

SIZES = {
    "one unit a tree": (12, 14),
    "units": (7, 14),
    "small units and tables of leaves": (3, 14),
    "patterns": (2, 3),
}


def weighted(rng: np.random.Generator, rows: NDArray[np.float32]) -> References:
    weights = rng.random(len(rows))
    return References(rows, weights / weights.sum())


@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_every_way_to_share_a_leaf_is_the_enumeration(sizes: tuple[int, int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "SIZES", ((1 << 62, *sizes),))
    rng = np.random.default_rng(7)
    trees = random_trees(rng, trees=4, depth=9, columns=COLUMNS, raw=2)
    rows = rng.normal(size=(30, 8)).astype(np.float32)
    rows[rng.random(rows.shape) < 0.15] = np.nan
    references = weighted(rng, np.concatenate([rows[:5], rng.normal(size=(15, 8)).astype(np.float32)]))
    want = enumerated(trees, rows, references, OF_COLUMN)
    np.testing.assert_allclose(shares(trees, rows, references, OF_COLUMN), want, rtol=0, atol=1e-13)
    want = path_dependent(trees, rows[:6], OF_COLUMN)
    np.testing.assert_allclose(shares(trees, rows[:6], None, OF_COLUMN), want, rtol=0, atol=1e-13)


def chain(players: int) -> Trees:
    """A tree that tests a column after the other, so that its last leaf has all players; a stump beside it."""
    nodes = 2 * players + 1
    inner = np.arange(0, nodes - 1, 2)
    trees = random_trees(np.random.default_rng(1), trees=1, depth=0, columns=np.arange(players))
    empty = {name: np.full(nodes + 1, -1, dtype=np.int32) for name in ("cell", "left", "right")}
    empty["cell"][inner], empty["left"][inner], empty["right"][inner] = np.arange(players), inner + 1, inner + 2
    value, cover = np.zeros((nodes + 1, 1)), np.full(nodes + 1, 1.0)
    value[1 : nodes - 1 : 2, 0], value[nodes - 1], value[nodes] = np.arange(players) % 5 - 2.0, 9, 0.5
    cover[inner] = players + 2.0 - np.arange(players)
    cover[nodes - 1] = cover[inner[-1]] - 1
    return Trees(
        roots=np.array([0, nodes], dtype=np.int32),
        **empty,
        threshold=np.zeros(nodes + 1, dtype=np.float32),
        missing_left=np.zeros(nodes + 1, dtype=np.bool_),
        value=value,
        weights=np.eye(1),
        offset=np.zeros(1),
        columns=np.arange(players, dtype=np.int32),
        encoding=trees.encoding,
        tables=trees.tables,
        cover=cover,
    )


@pytest.mark.parametrize("players", [20, 40, 90])
def test_leaves_of_any_number_of_players(players: int) -> None:
    """By the definition for one reference: a players only the row has, b only the reference, of each leaf."""
    rng = np.random.default_rng(2)
    trees, of_column = chain(players), np.arange(players)
    signs = np.where(rng.random((9, players)) < 0.85, 1.0, -1.0).astype(np.float32)
    rows, others = signs[:6], weighted(rng, signs[3:])
    got = shares(trees, rows, others, of_column)[:, 0]
    want = np.zeros((6, players))
    for leaf in range(players + 1):
        path = np.arange(min(leaf + 1, players))
        for row, values in enumerate(rows):
            for other, weight in zip(others.rows, others.weights, strict=True):
                expected = np.where(path == leaf, -1.0, 1.0)
                by_row, by_other = values[path] == expected, other[path] == expected
                if not (by_row | by_other).all():
                    continue
                only_row, only_other = by_row & ~by_other, by_other & ~by_row
                a, b = int(only_row.sum()), int(only_other.sum())
                value = 9.0 if leaf == players else leaf % 5 - 2.0
                for chosen, sign, first, second in ((only_row, 1, a, b), (only_other, -1, b, a)):
                    if first:
                        share = sign * weight * value * beta(first, second)
                        want[row, path[chosen]] += share
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12)
    by_cover = shares(trees, rows, None, of_column)[:, 0]
    assert np.isfinite(by_cover).all()
    np.testing.assert_allclose(by_cover.sum(axis=1), trees.scores(rows)[:, 0] - mean_by_cover(trees), rtol=1e-12)


def beta(a: int, b: int) -> float:
    """(a - 1)! b! / (a + b)!"""
    return factorial(a - 1) * factorial(b) / factorial(a + b)


def mean_by_cover(trees: Trees) -> float:
    assert trees.cover is not None
    share = np.ones(len(trees.cell))
    for node in np.flatnonzero(trees.left >= 0):
        children = trees.left[node], trees.right[node]
        total = sum(trees.cover[child] for child in children)
        for child in children:
            share[child] = share[node] * trees.cover[child] / total
    return float(share @ trees.value[:, 0])


@pytest.mark.parametrize("rows", [20, 300, 3000])
def test_a_forest_without_limit_sums_to_1e_12(rows: int) -> None:
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    table = rng.random((500, 20)).astype(np.float32)
    model = RandomForestRegressor(3, random_state=0).fit(table, table[:, 0] * table[:, 1] + rng.normal(size=500))
    trees = trees_of_scikit(model)
    some = rng.choice(table, rows, replace=True)
    references = weighted(rng, table[:100])
    got = shares(trees, some, references, np.arange(20), threads=2)[:, 0]
    want = trees.scores(some)[:, 0] - references.weights @ trees.scores(references.rows)[:, 0]
    assert np.abs(got.sum(axis=1) - want).max() <= 1e-12 * np.abs(want).max()
    # Few rows go another way: other units, and leaves by one pattern after the other.
    alone = shares(trees, some[:10], references, np.arange(20))[:, 0]
    np.testing.assert_allclose(got[:10], alone, rtol=0, atol=1e-12 * np.abs(alone).max())


@pytest.mark.filterwarnings("ignore")
def test_it_is_shap_to_1e_6_of_the_largest_share() -> None:
    import shap
    from sklearn.ensemble import RandomForestRegressor

    rng = np.random.default_rng(0)
    table = rng.normal(size=(400, 12)).astype(np.float32)
    model = RandomForestRegressor(10, random_state=0).fit(table, table[:, 0] * table[:, 1] + rng.normal(size=400))
    trees, references = trees_of_scikit(model), References(table[:50], np.full(50, 1 / 50))
    rows = rng.choice(table, 30)
    theirs = shap.TreeExplainer(model, table[:50]).shap_values(rows, check_additivity=False)
    ours = shares(trees, rows, references, np.arange(12))[:, 0]
    assert (np.abs(ours - theirs).max(axis=1) <= 1e-6 * np.abs(theirs).max(axis=1)).all()
    theirs = shap.TreeExplainer(model, feature_perturbation="tree_path_dependent").shap_values(rows)
    ours = shares(trees, rows, None, np.arange(12))[:, 0]
    assert (np.abs(ours - theirs).max(axis=1) <= 1e-6 * np.abs(theirs).max(axis=1)).all()
