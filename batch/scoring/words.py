"""Shares of words: the sums of the shares of their tokens."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.positions import Positions
from whyport.runtime.attribution import Attribution


class WordSums:
    """Turns explanations of tokens into ones of words, which stand in the places of a text's first tokens.

    Args:
        positions: the positions of the tokens' shares, [G].
        words: the word of each token of each row's text, by the input's name; every word has consecutive tokens.
        row: the row of each explanation, [E].
    """

    def __init__(
        self, positions: Positions, words: Mapping[str, Sequence[Sequence[int]]], row: NDArray[np.int64]
    ) -> None:
        self._rows = len(next(iter(words.values()), ()))
        self._place = np.tile(np.arange(len(positions.names)), (self._rows, 1))
        """[M, G]: where the share of each token of a row goes."""
        self._varying = [block.input for block in positions.varying]
        self._words = words
        self._row = row
        for block in positions.blocks:
            for i, own in enumerate(words.get(block.input, ())):
                self._place[i, block.start : block.start + len(own)] = block.start + np.array(own, dtype=np.int64)

    def steps(self, tokens: NDArray[np.int64]) -> NDArray[np.int64]:
        """The numbers of words of the rows' texts, [M, S], in place of those of their tokens; others stay."""
        found = tokens.copy()
        for j, name in enumerate(self._varying):
            if name in self._words:
                found[:, j] = [own[-1] + 1 if len(own) else 0 for own in self._words[name]]
        return found

    def of(self, attribution: Attribution) -> Attribution:
        """The explanations of words. A standard error is the sum of the tokens' own, the most that it can be."""
        extras = {
            name: self._sums(values) if values.shape[1:] == attribution.values.shape[1:] else values
            for name, values in attribution.extras.items()
        }
        return dataclasses.replace(attribution, values=self._sums(attribution.values), extras=extras)

    def _sums(self, values: NDArray[Any]) -> NDArray[Any]:
        made = np.zeros(values.shape, dtype=np.float64)
        np.add.at(made, (np.arange(len(values))[:, None], self._place[self._row]), values)
        return made.astype(values.dtype)
