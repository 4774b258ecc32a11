"""Permutation walks from references to rows: each player's effect as its columns take the row's values."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import CALL_VALUES, rows_within
from whyport.batch.methods.players import PlayerMap
from whyport.batch.methods.request import Request
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References


@dataclass(frozen=True)
class Walks:
    """P pairs of a permutation and its reverse, each pair against one reference; the same for every row."""

    rank: NDArray[np.int64]
    """[P, G]: how many players precede each player."""
    reference: NDArray[np.int64]
    """[P]: which of the R references the pair starts from."""

    @classmethod
    def draw(cls, seed: tuple[int, ...], pairs: int, players: int, weights: NDArray[np.float64]) -> Self:
        """Draw uniform permutations, and references by their weights [R]; the same seed gives the same walks."""
        generator = np.random.default_rng(seed)
        rank = generator.permuted(np.tile(np.arange(players), (pairs, 1)), axis=1)
        return cls(rank, generator.choice(len(weights), size=pairs, p=weights))

    def __len__(self) -> int:
        return len(self.reference)

    def take(self, part: slice) -> "Walks":
        """Some of the pairs."""
        return Walks(self.rank[part], self.reference[part])


@dataclass
class Moments:
    """The means and squared deviations of samples, [E, G] each, from `count` samples of each of E explanations."""

    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    """The sum of squared deviations from the mean."""

    @classmethod
    def of(cls, samples: NDArray[np.float64]) -> Self:
        """The moments of samples [E, P, G]."""
        mean = samples.mean(axis=1)
        return cls(samples.shape[1], mean, ((samples - mean[:, None]) ** 2).sum(axis=1))

    def join(self, other: "Moments") -> "Moments":
        """The moments of both samples together; Chan, Golub & LeVeque 1983."""
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        return Moments(count, mean, self.squares + other.squares + apart**2 * (self.count * other.count / count))

    def standard_error(self) -> NDArray[np.float64]:
        """The standard errors of the means, [E, G]; needs at least two samples."""
        return np.sqrt(self.squares / (self.count * (self.count - 1)))


class WalkedModel:
    """A model evaluated along walks.

    Args:
        model: gives scores.
        references: R rows where walks start.
        scores: the references' scores, [R, K].
        players: the G players and their columns.
        memory: the budget, in bytes.
    """

    def __init__(
        self, model: OnnxModel, references: References, scores: NDArray[np.float32], players: PlayerMap, memory: int
    ) -> None:
        self._model = model
        self._references = references.rows
        self._players = players
        self._scores = scores
        self._memory = memory

    def moments(self, request: Request, walks: Walks, control: NDArray[np.float32] | None) -> Moments:
        """The moments of every explanation's samples; a sample is the mean of a walk and its reverse.

        Args:
            request: what to explain.
            walks: the pairs.
            control: added to every sample, by its reference, target and player, [R, K, G].
        """
        players, targets = len(self._players), request.scores.shape[1]
        width = len(request.row) / max(1, len(request.rows))
        pair_bytes = int(2 * (players + 1) * (4 * targets + 28 * width)) + 8
        at_once = min(len(walks), rows_within(self._memory, pair_bytes))
        found: Moments | None = None
        for part in batch_slices(len(walks), at_once):
            some = walks.take(part)
            rows_at_once = rows_within(self._memory, len(some) * pair_bytes)
            pieces = [
                Moments.of(self._samples(request.take(rows), some, control))
                for rows in batch_slices(len(request.rows), rows_at_once)
            ]
            mean, squares = (np.concatenate([getattr(m, name) for m in pieces]) for name in ("mean", "squares"))
            made = Moments(len(some), mean, squares)
            found = made if found is None else found.join(made)
        assert found is not None
        return found

    def _samples(self, request: Request, walks: Walks, control: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """The samples [E, P, G]."""
        inner = self._inner_scores(request.rows, walks)
        scores = np.empty((len(request.row), len(walks), 2, len(self._players) + 1))
        scores[..., 1:-1] = inner[request.row, ..., request.target]
        scores[..., 0] = self._scores.T[request.target][:, walks.reference, None]
        scores[..., -1] = request.scores[request.row, request.target][:, None, None]
        changes = np.diff(scores, axis=3)
        last = walks.rank.shape[1] - 1
        samples: NDArray[np.float64] = np.take_along_axis(changes[:, :, 0], walks.rank[None], axis=2)
        samples += np.take_along_axis(changes[:, :, 1], last - walks.rank[None], axis=2)
        samples *= 0.5
        if control is not None:
            samples += control.swapaxes(0, 1)[request.target][:, walks.reference]
        return samples

    def _inner_scores(self, rows: NDArray[np.float32], walks: Walks) -> NDArray[np.float32]:
        """The scores [M, P, 2, G - 1, K] between a walk's ends: some columns are the row's, others the reference's."""
        players = len(self._players)
        shape = len(rows), len(walks), 2, players - 1
        scores = np.empty((np.prod(shape, dtype=int), self._scores.shape[1]), dtype=np.float32)
        # A player has the row's values if fewer than `taken` precede it; in a reverse, if as many do not follow it.
        for part in batch_slices(len(scores), max(1, CALL_VALUES // rows.shape[1])):
            row, pair, is_reverse, taken = np.unravel_index(np.arange(part.start, part.stop), shape)
            rank = walks.rank[pair]
            is_rows = np.where(is_reverse[:, None], rank > players - 2 - taken[:, None], rank <= taken[:, None])
            mixed = np.where(self._players.columns_of(is_rows), rows[row], self._references[walks.reference[pair]])
            scores[part] = self._model.scores(mixed)
        return scores.reshape(*shape, -1)
