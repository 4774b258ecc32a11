"""Small trees made by hand or by chance, and their Shapley values by enumeration."""

import itertools
import math

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.trees import LEAF, NUMBER, Trees


def random_trees(
    generator: np.random.Generator,
    count: int = 4,
    depth: int = 3,
    *,
    codes: tuple[int | None, ...] = (None, None, None, None),
    raw: int = 1,
    weights: NDArray[np.float64] | None = None,
) -> Trees:
    """Trees over some columns, two cells for each one of codes; every node above `depth` is split with chance 0.9."""
    columns = [column for column, known in enumerate(codes) for _ in range(1 if known is None else 2)]
    starts, tables = [], []
    for column in columns:
        known = codes[column]
        starts.append(NUMBER if known is None else len(tables))
        tables += [] if known is None else generator.integers(0, 3, known).tolist()
    made: dict[str, list] = {name: [] for name in ("cell", "threshold", "missing_left", "left", "right", "value")}

    def grow(level: int) -> int:
        node = len(made["cell"])
        is_leaf = level == depth or generator.random() > 0.9
        cell = LEAF if is_leaf else int(generator.integers(len(columns)))
        made["cell"].append(cell)
        is_number = not is_leaf and starts[cell] == NUMBER
        threshold = generator.normal() if is_number else generator.integers(0, 3) - 0.5
        made["threshold"].append(0.0 if is_leaf else threshold)
        made["missing_left"].append(not is_leaf and bool(generator.integers(2)))
        made["value"].append(generator.normal(size=raw) if is_leaf else np.zeros(raw))
        made["left"].append(LEAF)
        made["right"].append(LEAF)
        if not is_leaf:
            made["left"][node] = grow(level + 1)
            made["right"][node] = grow(level + 1)
        return node

    roots = [grow(0) for _ in range(count)]
    weights = np.eye(raw) if weights is None else weights
    return Trees(
        roots=np.array(roots, dtype=np.int32),
        cell=np.array(made["cell"], dtype=np.int32),
        threshold=np.array(made["threshold"], dtype=np.float32),
        missing_left=np.array(made["missing_left"]),
        left=np.array(made["left"], dtype=np.int32),
        right=np.array(made["right"], dtype=np.int32),
        value=np.array(made["value"], dtype=np.float64).reshape(-1, raw),
        weights=weights,
        offset=generator.normal(size=len(weights)),
        columns=np.array(columns, dtype=np.int32),
        encoding=np.array(starts, dtype=np.int32),
        tables=np.array(tables, dtype=np.float32),
    )


def random_rows(
    generator: np.random.Generator, count: int, codes: tuple[int | None, ...], missing: float = 0.1
) -> NDArray[np.float32]:
    """Rows [count, F]: numbers, some of them missing, and codes."""
    rows = generator.normal(size=(count, len(codes)))
    rows[generator.random(rows.shape) < missing] = np.nan
    for column, known in enumerate(codes):
        if known is not None:
            rows[:, column] = generator.integers(known, size=count)
    return rows.astype(np.float32)


def enumerated(
    trees: Trees, rows: NDArray[np.float32], references: NDArray[np.float32], weights: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The Shapley values [N, K, F] by their definition: every set of columns with the row's values."""
    players = rows.shape[1]
    worth = {}
    for size in range(players + 1):
        for chosen in itertools.combinations(range(players), size):
            mixed = np.repeat(references[None], len(rows), axis=0)
            mixed[:, :, list(chosen)] = rows[:, None, list(chosen)]
            scores = trees.scores(mixed.reshape(-1, players)).reshape(len(rows), len(references), -1)
            worth[chosen] = np.einsum("nrk,r->nk", scores, weights)
    shares = np.zeros((len(rows), len(trees.offset), players))
    for chosen, value in worth.items():
        chance = math.factorial(len(chosen)) * math.factorial(players - len(chosen) - 1) if len(chosen) < players else 0
        for player in set(range(players)) - set(chosen):
            gain = worth[tuple(sorted((*chosen, player)))] - value
            shares[:, :, player] += chance / math.factorial(players) * gain
    return shares
