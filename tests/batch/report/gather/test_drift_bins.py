import numpy as np
import pandas as pd

from whyport.batch.report.gather.drift import BinCounts, quantile_edges


def test_counts_are_those_of_pandas() -> None:
    rows = np.random.default_rng(0).normal(size=(500, 2)).round(1)
    rows[:3, 1] = [np.nan, np.inf, -np.inf]
    edges = [np.array([-0.5, 0.0, 0.7]), np.array([0.2])]
    counts = BinCounts(edges)
    for part in np.array_split(rows, 7):
        counts.add(part)
    for j, inner in enumerate(edges):
        finite = rows[np.isfinite(rows[:, j]), j]
        bins = pd.cut(finite, [-np.inf, *inner, np.inf], right=False)
        np.testing.assert_array_equal(counts.counts[j, : len(inner) + 1], bins.value_counts().to_numpy())
    np.testing.assert_array_equal(counts.missing, [0, 3])
    np.testing.assert_array_equal(counts.counts[1, 2:], 0)


def test_weights_move_the_edges_as_repeated_rows_do() -> None:
    rows = np.random.default_rng(0).normal(size=(60, 3))
    weights = np.random.default_rng(1).integers(1, 5, size=60)
    repeated = rows.repeat(weights, axis=0)
    weighted = quantile_edges(rows, weights.astype(float), 5)
    for one, other in zip(weighted, quantile_edges(repeated, np.ones(len(repeated)), 5), strict=True):
        np.testing.assert_array_equal(one, other)
    counts = BinCounts(weighted)
    counts.add(repeated)
    np.testing.assert_allclose(counts.counts / len(repeated), 0.2, atol=5 / len(repeated))


def test_equal_values_share_one_edge() -> None:
    edges = quantile_edges(np.ones((10, 1)), np.ones(10), 5)
    np.testing.assert_array_equal(edges[0], [1.0])
