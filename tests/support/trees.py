"""Small trees over numbers and categories, and their Shapley values by enumeration."""

import dataclasses

import numpy as np
from numpy.typing import NDArray

from support import forests
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.trees import NUMBER, Trees


def random_trees(
    generator: np.random.Generator,
    count: int,
    depth: int,
    *,
    codes: tuple[int | None, ...],
    raw: int = 1,
    weights: NDArray[np.float64] | None = None,
) -> Trees:
    """Trees over columns of numbers, and of so many codes, for each of which there are two cells."""
    columns = [column for column, known in enumerate(codes) for _ in range(1 if known is None else 2)]
    trees = forests.random_trees(
        generator, trees=count, depth=depth, columns=np.array(columns), raw=raw, weights=weights, stop=0.1
    )
    sizes = [codes[column] or 0 for column in columns]
    starts = np.cumsum([0, *sizes])
    encoding = np.where(np.array(sizes) > 0, starts[:-1], NUMBER).astype(np.int32)
    return dataclasses.replace(trees, encoding=encoding, tables=generator.normal(size=starts[-1]).astype(np.float32))


def random_rows(generator: np.random.Generator, count: int, codes: tuple[int | None, ...]) -> NDArray[np.float32]:
    """Rows [count, F]: numbers, a tenth of them missing, and codes."""
    rows = generator.normal(size=(count, len(codes)))
    rows[generator.random(rows.shape) < 0.1] = np.nan
    for column, known in enumerate(codes):
        if known is not None:
            rows[:, column] = generator.integers(known, size=count)
    return rows.astype(np.float32)


def enumerated(trees: Trees, rows: NDArray[np.float32], references: References) -> NDArray[np.float64]:
    """The Shapley values [N, K, F] of the columns by their definition."""
    return forests.enumerated(trees, rows, references, np.arange(rows.shape[1]))
