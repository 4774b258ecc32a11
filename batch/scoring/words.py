"""Shares of words: as players, or as the sums of the shares of their tokens."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.players import Labels
from whyport.batch.methods.positions import Positions
from whyport.runtime.attribution import Attribution
from whyport.runtime.inputs.texts.tokenizer import Tokens


def word_players(tokens: Mapping[str, Sequence[Tokens]], steps: Mapping[str, int]) -> list[Labels]:
    """What makes players of the words of each text, [M]: of each token the first one of its word, [T].

    Args:
        tokens: of each text, [M], by the input's name.
        steps: T, the most tokens of a text.
    """
    found: list[dict[str, NDArray[np.int64]]] = [{} for _ in next(iter(tokens.values()), ())]
    for name, texts in tokens.items():
        for labels, each in zip(found, texts, strict=True):
            labels[name] = np.arange(steps[name])
            labels[name][: len(each.word)] = np.searchsorted(each.word, each.word)
    return [*found]


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
        """The explanations of words: sums over tokens. Where words are players, the first token alone has a share."""
        extras = {
            name: self._sums(values) if values.shape[1:] == attribution.values.shape[1:] else values
            for name, values in attribution.extras.items()
        }
        return dataclasses.replace(attribution, values=self._sums(attribution.values), extras=extras)

    def _sums(self, values: NDArray[Any]) -> NDArray[Any]:
        made = np.zeros(values.shape, dtype=np.float64)
        np.add.at(made, (np.arange(len(values))[:, None], self._place[self._row]), values)
        return made.astype(values.dtype)
