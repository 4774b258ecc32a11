"""`RawScores`: the scores that are explained by the trees' leaves, and how each target's score follows from one."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.trees import Trees


@dataclass(frozen=True)
class RawScores:
    """C sums over leaves, of which each target's score is a multiple, but for a constant."""

    value: NDArray[np.float64]
    """[M, C]: what each node's leaf adds."""
    of_target: NDArray[np.int64]
    """[K]: the sum that a target's score is a multiple of."""
    factor: NDArray[np.float64]
    """[K]: the multiple."""

    @classmethod
    def of(cls, trees: Trees) -> Self:
        """The raw scores of trees; where a target mixes several, the targets' own scores in their place."""
        weights = trees.weights
        if ((weights != 0).sum(axis=1) <= 1).all():
            of_target = np.abs(weights).argmax(axis=1)
            return cls(trees.value, of_target, weights[np.arange(len(weights)), of_target])
        return cls(trees.value @ weights.T, np.arange(len(weights)), np.ones(len(weights)))
