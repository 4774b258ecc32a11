"""Trees made by hand, or of scikit-learn's arrays, and the Shapley values of their players by enumeration."""

from math import factorial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.trees import NUMBER, Trees


def random_trees(
    rng: np.random.Generator,
    *,
    trees: int,
    depth: int,
    columns: NDArray[np.integer[Any]],
    raw: int = 1,
    weights: NDArray[np.float64] | None = None,
    stop: float = 0.15,
) -> Trees:
    """Trees of random splits over cells of the given columns, which are numbers; leaves and covers are random, too.

    Args:
        rng: draws them.
        trees: their number.
        depth: the most splits on the way to a leaf.
        columns: the column of each cell, [P].
        raw: the number R of raw scores.
        weights: [K, R]; each raw score for itself by default.
        stop: the chance of a leaf before that depth.
    """
    nodes: list[dict[str, Any]] = []

    def grow(level: int, cover: float) -> int:
        place = len(nodes)
        node: dict[str, Any] = {"cell": -1, "left": -1, "right": -1, "value": np.zeros(raw), "cover": cover}
        node |= {"threshold": 0.0, "missing": False}
        nodes.append(node)
        if level == depth or (level and rng.random() < stop):
            node["value"] = rng.normal(size=raw).astype(np.float32) * (rng.random(raw) < 0.8)
            return place
        node |= {"cell": int(rng.integers(len(columns))), "threshold": rng.normal(), "missing": rng.random() < 0.5}
        part = rng.uniform(0.1, 0.9)
        node["left"] = grow(level + 1, cover * part)
        node["right"] = grow(level + 1, cover * (1 - part))
        return place

    roots = [grow(0, 1000.0) for _ in range(trees)]
    weights = np.eye(raw) if weights is None else weights
    return Trees(
        roots=np.array(roots, dtype=np.int32),
        cell=np.array([node["cell"] for node in nodes], dtype=np.int32),
        threshold=np.array([node["threshold"] for node in nodes], dtype=np.float32),
        missing_left=np.array([node["missing"] for node in nodes]),
        left=np.array([node["left"] for node in nodes], dtype=np.int32),
        right=np.array([node["right"] for node in nodes], dtype=np.int32),
        value=np.array([node["value"] for node in nodes]),
        weights=weights,
        offset=rng.normal(size=len(weights)),
        columns=np.array(columns, dtype=np.int32),
        encoding=np.full(len(columns), NUMBER, dtype=np.int32),
        tables=np.empty(0, dtype=np.float32),
        cover=np.array([node["cover"] for node in nodes]),
    )


def trees_of_scikit(model: Any) -> Trees:
    """The trees of a fitted forest, one raw score a class or target."""
    parts = [each.tree_ for each in model.estimators_]
    starts = np.cumsum([0, *(part.node_count for part in parts)])
    leaf = np.concatenate([part.children_left < 0 for part in parts])
    threshold = np.concatenate([part.threshold for part in parts])
    single = threshold.astype(np.float32)
    single = np.where(single > threshold, np.nextafter(single, np.float32(-np.inf)), single)  # never up
    value = np.concatenate([part.value[:, 0] if hasattr(model, "classes_") else part.value[:, :, 0] for part in parts])
    value = np.where(leaf[:, None], value / len(parts), 0)

    def child(name: str) -> NDArray[np.int32]:
        moved = [getattr(part, name) + start for part, start in zip(parts, starts, strict=False)]
        return np.where(leaf, -1, np.concatenate(moved)).astype(np.int32)

    width, scores = model.n_features_in_, value.shape[1]
    return Trees(
        roots=starts[:-1].astype(np.int32),
        cell=np.where(leaf, -1, np.concatenate([part.feature for part in parts])).astype(np.int32),
        threshold=single,
        missing_left=np.concatenate([part.missing_go_to_left.astype(np.bool_) for part in parts]),
        left=child("children_left"),
        right=child("children_right"),
        value=value,
        weights=np.eye(scores),
        offset=np.zeros(scores),
        columns=np.arange(width, dtype=np.int32),
        encoding=np.full(width, NUMBER, dtype=np.int32),
        tables=np.empty(0, dtype=np.float32),
        cover=np.concatenate([part.weighted_n_node_samples for part in parts]),
    )


def enumerated(
    trees: Trees, rows: NDArray[np.float32], references: References, of_column: NDArray[np.int64]
) -> NDArray[np.float64]:
    """The Shapley values [N, K, G] against references, by every coalition of the players; of_column [F] has them."""
    players = int(of_column.max()) + 1
    worth = []
    for coalition in range(1 << players):
        own = ((coalition >> of_column) & 1).astype(np.bool_)
        mixed = np.where(own, rows[:, None], references.rows[None]).reshape(-1, rows.shape[1])
        scores = trees.scores(mixed).reshape(len(rows), len(references.rows), -1)
        worth.append(np.einsum("r,nrk->nk", references.weights, scores))
    return from_worths(worth, players)


def from_worths(worth: list[NDArray[np.float64]], players: int) -> NDArray[np.float64]:
    """The Shapley values [N, K, G] of a game, from the worth [N, K] of each coalition, by its number."""
    values = np.zeros((*worth[0].shape, players))
    for coalition in range(1 << players):
        size = coalition.bit_count()
        for player in range(players):
            if not coalition >> player & 1:
                weight = factorial(size) * factorial(players - size - 1) / factorial(players)
                values[..., player] += weight * (worth[coalition | 1 << player] - worth[coalition])
    return values


def path_dependent(trees: Trees, rows: NDArray[np.float32], of_column: NDArray[np.int64]) -> NDArray[np.float64]:
    """The path-dependent Shapley values [N, K, G], by every coalition: a player outside goes both ways, by cover."""
    players = int(of_column.max()) + 1
    cells = trees.cells(rows)
    assert trees.cover is not None

    def expected(node: int, cell_values: NDArray[np.float32], coalition: int) -> NDArray[np.float64]:
        if trees.left[node] < 0:
            return trees.value[node]
        left, right = int(trees.left[node]), int(trees.right[node])
        cell = trees.cell[node]
        if coalition >> of_column[trees.columns[cell]] & 1:
            value = cell_values[cell]
            goes_left = trees.missing_left[node] if np.isnan(value) else value <= trees.threshold[node]
            return expected(left if goes_left else right, cell_values, coalition)
        part = trees.cover[left] / (trees.cover[left] + trees.cover[right])
        below = expected(left, cell_values, coalition), expected(right, cell_values, coalition)
        return part * below[0] + (1 - part) * below[1]

    worth = []
    for coalition in range(1 << players):
        raw = [np.sum([expected(int(root), each, coalition) for root in trees.roots], axis=0) for each in cells]
        worth.append(np.array(raw) @ trees.weights.T + trees.offset)
    return from_worths(worth, players)
