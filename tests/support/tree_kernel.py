"""The kernel of treeshap on trees, without a bundle."""

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.treeshap.forest import Forest
from whyport.batch.methods.treeshap.kernel import Kernel
from whyport.batch.methods.treeshap.measure import measure_of
from whyport.batch.methods.treeshap.raw_scores import RawScores
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.trees import Trees


def shares(
    trees: Trees,
    rows: NDArray[np.float32],
    references: References | None,
    of_column: NDArray[np.int64],
    threads: int = 1,
    memory: int = 32_000_000,
) -> NDArray[np.float64]:
    """The kernel's shares [N, K, G]; without references, path-dependent ones."""
    scores = RawScores.of(trees)
    forest = Forest.of(trees, of_column[trees.columns], scores.value, references is None)
    known = References(rows[:0], np.empty(0)) if references is None else references
    measure = measure_of(forest, trees.cells(known.rows), known.weights)
    many, count = scores.value.shape[1], len(rows)
    cells = np.ascontiguousarray(np.tile(trees.cells(rows), (many, 1)).T)
    blocks = [(i * count, (i + 1) * count, i) for i in range(many)]
    made = Kernel(forest, measure, int(of_column.max()) + 1, threads, memory).shares(cells, blocks)
    by_score = made.reshape(-1, many, count).transpose(2, 1, 0)
    return by_score[:, scores.of_target] * scores.factor[:, None]
