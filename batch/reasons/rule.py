"""The strongest reasons against an outcome, found in the shares of rows."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from whyport.batch.reasons.choice import LOWER, ReasonChoice
from whyport.batch.reasons.wordings import Wording
from whyport.runtime.task import Task

NONE = -1


@dataclass(frozen=True)
class Reasons:
    """The reasons of M rows."""

    texts: NDArray[np.int64]
    """[M, N]: the place of each text among the rule's, the strongest first; -1 where a row has no more."""
    against: NDArray[np.float64]
    """[M]: the sum of all shares against the outcome, in the score's unit; NaN where the row has no attributions."""
    without_wording: NDArray[np.float64]
    """[M]: the part of it that is of features without a wording."""
    left_out: NDArray[np.bool_]
    """[M, G]: the features without a wording that are among the N strongest against the outcome."""


@dataclass(frozen=True)
class ReasonRule:
    """How reasons follow from shares.

    A share speaks against the outcome by the magnitude with which it lowers the score of the favourable class, or of a
    regression's favourable side; where only the other one of two classes is explained, with which it raises that one's.
    """

    choice: ReasonChoice
    task: Task
    names: tuple[str, ...]
    """[G]: the features that have shares."""
    means: Mapping[str, float] = field(default_factory=dict)
    """The mean over the reference rows of each feature whose text depends on the side of its value."""
    places: Mapping[str, int] = field(default_factory=dict)
    """Where a model's row holds the value of these features."""

    @property
    def text(self) -> str:
        """The rule in words."""
        outcome = self.choice.favourable
        against = f"class {outcome}" if self.task.predicts_targets else f"{outcome} values"
        worded = f"{len(self.choice.texts)} of {len(self.names)} features have a text"
        return f"up to {self.choice.count} against {against}, the favourable outcome, by {self.choice.method}; {worded}"

    def is_guess(self, favourable: str | None) -> bool:
        """Whether the favourable class was not given, so that the reasons may be those against the other outcome."""
        return favourable is None and self.task.predicts_targets

    @cached_property
    def texts(self) -> tuple[tuple[str, str | None], ...]:
        """Every text with its code; equal ones once."""
        found = []
        for wording in self._wordings.values():
            found += [(text, wording.code) for text in _texts(wording)]
        return tuple(dict.fromkeys(found))

    @cached_property
    def _wordings(self) -> dict[str, Wording]:
        return self.choice.wordings

    @cached_property
    def _worded(self) -> NDArray[np.int64]:
        """The places of the features with a wording, in the features' order."""
        return np.array([i for i, name in enumerate(self.names) if name in self._wordings], dtype=np.int64)

    def signs(self, targets: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Which explanation of each row gives its reasons, [M], and the sign of a share that speaks against, [M].

        Args:
            targets: the explained targets of the rows, [M, E].
        """
        if not self.task.predicts_targets:
            sign = 1.0 if self.choice.favourable == LOWER else -1.0
            return np.zeros(len(targets), dtype=np.int64), np.full(len(targets), sign)
        is_favourable: NDArray[np.bool_] = targets == self.task.targets.index(self.choice.favourable)
        return is_favourable.argmax(axis=1), np.where(is_favourable.any(axis=1), -1.0, 1.0)

    def of(self, shares: NDArray[np.floating], targets: NDArray[np.int64], rows: NDArray[np.float32]) -> Reasons:
        """The reasons of M rows.

        Args:
            shares: [M * E, G], the E explanations of a row one after the other, as a method gives them.
            targets: the explained targets, [M * E].
            rows: the model's rows, [M, F].
        """
        own, sign = self._own(shares, targets, len(rows))
        weights = self.weights(own, sign)
        texts = self._strongest(weights[:, self._worded], self.text_ids(rows))
        lacking = np.ones(len(self.names), dtype=np.bool_)
        lacking[self._worded] = False
        gone = ~np.isfinite(own).all(axis=1)
        against = np.where(gone, np.nan, weights.sum(axis=1))
        without = np.where(gone, np.nan, weights[:, lacking].sum(axis=1))
        return Reasons(texts, against, without, self._among_strongest(weights) & lacking)

    def weighed(
        self, shares: NDArray[np.floating], targets: NDArray[np.int64], rows: NDArray[np.float32]
    ) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """How strongly each feature with a wording speaks against the outcome, and the place of its text, [M, W] each.

        Takes what `of` takes.
        """
        return self.weights(*self._own(shares, targets, len(rows)))[:, self._worded], self.text_ids(rows)

    def _own(
        self, shares: NDArray[np.floating], targets: NDArray[np.int64], count: int
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The shares of each row that give its reasons, [M, G], and the sign of one that speaks against, [M]."""
        width = len(targets) // count if count else 1
        chosen, sign = self.signs(targets.reshape(count, width))
        return shares.reshape(count, width, len(self.names))[np.arange(count), chosen].astype(np.float64), sign

    def weights(self, shares: NDArray[np.float64], sign: NDArray[np.float64]) -> NDArray[np.float64]:
        """How strongly each share [M, G] speaks against the outcome; 0 for one that does not, or is not finite."""
        against = shares * sign[:, None]
        is_finite = np.isfinite(shares).all(axis=1, keepdims=True)
        weights: NDArray[np.float64] = np.where(is_finite & (against > 0), against, 0.0)
        return weights

    def text_ids(self, rows: NDArray[np.float32]) -> NDArray[np.int64]:
        """The place of the text of each feature with a wording, [M, W], for the model's rows [M, F]."""
        place = {text: i for i, text in enumerate(self.texts)}
        ids = np.empty((len(rows), len(self._worded)), dtype=np.int64)
        for k, i in enumerate(self._worded):
            wording = self._wordings[self.names[i]]
            ids[:, k] = place[wording.text, wording.code]
            if wording.has_sides:
                values, mean = rows[:, self.places[self.names[i]]], self.means[self.names[i]]
                for text, is_so in ((wording.high, values > mean), (wording.low, values < mean)):
                    if text is not None:
                        ids[is_so, k] = place[text, wording.code]
        return ids

    def _strongest(self, weights: NDArray[np.float64], ids: NDArray[np.int64]) -> NDArray[np.int64]:
        """The texts of the largest weights [M, W] above 0, the first of equal ones first, each text once: [M, N]."""
        count, most = len(weights), self.choice.count
        order = np.argsort(-weights, axis=1, kind="stable")
        found, filled = np.full((count, most), NONE, dtype=np.int64), np.zeros(count, dtype=np.int64)
        for place in order.T:
            text = np.take_along_axis(ids, place[:, None], axis=1)[:, 0]
            weight = np.take_along_axis(weights, place[:, None], axis=1)[:, 0]
            is_next = (weight > 0) & (filled < most)
            if not is_next.any():
                break
            is_next &= ~(found == text[:, None]).any(axis=1)
            found[is_next, filled[is_next]] = text[is_next]
            filled += is_next
        return found

    def _among_strongest(self, weights: NDArray[np.float64]) -> NDArray[np.bool_]:
        """Whether each weight [M, G] above 0 is among the N largest of its row."""
        most = min(self.choice.count, weights.shape[1])
        order = np.argsort(-weights, axis=1, kind="stable")[:, :most]
        among = np.zeros(weights.shape, dtype=np.bool_)
        np.put_along_axis(among, order, True, axis=1)
        return among & (weights > 0)


def _texts(wording: Wording) -> Sequence[str]:
    return [text for text in (wording.text, wording.high, wording.low) if text is not None]
