"""Permutation walks from references to rows: what each feature changes as it takes the row's value."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.engines.onnx import OnnxModel
from whyport.batch.methods.explainer import CALL_VALUES, rows_within
from whyport.runtime.batching import batch_slices
from whyport.runtime.bundle.references import References


@dataclass(frozen=True)
class Walks:
    """P pairs of a permutation and its reverse, each pair against one reference; the same for every row."""

    rank: NDArray[np.int64]
    """[P, F]: how many features come before each one."""
    reference: NDArray[np.int64]
    """[P]: which of the R references the pair starts from."""

    @classmethod
    def draw(cls, seed: tuple[int, ...], pairs: int, features: int, weights: NDArray[np.float64]) -> Self:
        """Uniform permutations, and references by their weights [R]; the same for the same seed."""
        generator = np.random.default_rng(seed)
        rank = generator.permuted(np.tile(np.arange(features), (pairs, 1)), axis=1)
        return cls(rank, generator.choice(len(weights), size=pairs, p=weights))

    def __len__(self) -> int:
        return len(self.reference)

    def take(self, part: slice) -> "Walks":
        """Some of them."""
        return Walks(self.rank[part], self.reference[part])


@dataclass
class Moments:
    """Means and squared deviations of samples, [E, F] each, from `count` samples of each of E explanations."""

    count: int
    mean: NDArray[np.float64]
    squares: NDArray[np.float64]
    """The sum of squared deviations from the mean."""

    @classmethod
    def of(cls, samples: NDArray[np.float64]) -> Self:
        """Those of samples [E, P, F]."""
        mean = samples.mean(axis=1)
        return cls(samples.shape[1], mean, ((samples - mean[:, None]) ** 2).sum(axis=1))

    def join(self, other: "Moments") -> "Moments":
        """Of both samples; Chan, Golub & LeVeque 1983."""
        count = self.count + other.count
        apart = other.mean - self.mean
        mean = self.mean + apart * (other.count / count)
        return Moments(count, mean, self.squares + other.squares + apart**2 * (self.count * other.count / count))

    def standard_error(self) -> NDArray[np.float64]:
        """Of the means, [E, F]; from two samples at the least."""
        return np.sqrt(self.squares / (self.count * (self.count - 1)))


@dataclass(frozen=True)
class Explained:
    """M rows, of which E logits are explained, row by row."""

    rows: NDArray[np.float32]
    """[M, F]"""
    logits: NDArray[np.float32]
    """[M, C]"""
    row: NDArray[np.int64]
    """[E]: ascending, and every row at least once."""
    target: NDArray[np.int64]
    """[E]"""

    def take(self, part: slice) -> "Explained":
        """Some of the rows, with all of their explanations."""
        inside = slice(*np.searchsorted(self.row, [part.start, part.stop]))
        row, target = self.row[inside] - part.start, self.target[inside]
        return Explained(self.rows[part], self.logits[part], row, target)

    def only(self, explanations: NDArray[np.int64]) -> "Explained":
        """Some of the explanations, ascending, with the rows that they need."""
        rows, row = np.unique(self.row[explanations], return_inverse=True)
        return Explained(self.rows[rows], self.logits[rows], row, self.target[explanations])


class WalkedModel:
    """A model along walks.

    Args:
        model: gives logits.
        references: where walks start, R of them.
        logits: of the references, [R, C].
        memory: the budget, in bytes.
    """

    def __init__(self, model: OnnxModel, references: References, logits: NDArray[np.float32], memory: int) -> None:
        self._model = model
        self._references = references.rows
        self._logits = logits
        self._memory = memory

    def moments(self, explained: Explained, walks: Walks, control: NDArray[np.float32] | None) -> Moments:
        """Of the pairs' samples of every explanation; a sample is the mean of a walk and its reverse.

        Args:
            explained: what to explain.
            walks: the pairs.
            control: what is added to every sample, by its reference, class and feature, [R, C, F].
        """
        features, classes = explained.rows.shape[1], explained.logits.shape[1]
        width = len(explained.row) / max(1, len(explained.rows))
        pair_bytes = int(2 * (features + 1) * (4 * classes + 28 * width)) + 8
        at_once = min(len(walks), rows_within(self._memory, pair_bytes))
        found: Moments | None = None
        for part in batch_slices(len(walks), at_once):
            some = walks.take(part)
            rows_at_once = rows_within(self._memory, len(some) * pair_bytes)
            pieces = [
                Moments.of(self._samples(explained.take(rows), some, control))
                for rows in batch_slices(len(explained.rows), rows_at_once)
            ]
            mean, squares = (np.concatenate([getattr(m, name) for m in pieces]) for name in ("mean", "squares"))
            made = Moments(len(some), mean, squares)
            found = made if found is None else found.join(made)
        assert found is not None
        return found

    def _samples(self, explained: Explained, walks: Walks, control: NDArray[np.float32] | None) -> NDArray[np.float64]:
        """[E, P, F]"""
        inner = self._inner_logits(explained.rows, walks)
        scores = np.empty((len(explained.row), len(walks), 2, explained.rows.shape[1] + 1))
        scores[..., 1:-1] = inner[explained.row, ..., explained.target]
        scores[..., 0] = self._logits.T[explained.target][:, walks.reference, None]
        scores[..., -1] = explained.logits[explained.row, explained.target][:, None, None]
        changes = np.diff(scores, axis=3)
        last = walks.rank.shape[1] - 1
        samples: NDArray[np.float64] = np.take_along_axis(changes[:, :, 0], walks.rank[None], axis=2)
        samples += np.take_along_axis(changes[:, :, 1], last - walks.rank[None], axis=2)
        samples *= 0.5
        if control is not None:
            samples += control.swapaxes(0, 1)[explained.target][:, walks.reference]
        return samples

    def _inner_logits(self, rows: NDArray[np.float32], walks: Walks) -> NDArray[np.float32]:
        """The logits [M, P, 2, F - 1, C] between a walk's ends: some features are the row's, some the reference's."""
        features = rows.shape[1]
        shape = len(rows), len(walks), 2, features - 1
        logits = np.empty((np.prod(shape, dtype=int), self._logits.shape[1]), dtype=np.float32)
        # A feature is the row's if fewer than `taken` come before it; in a reverse, if as many do not come after it.
        for part in batch_slices(len(logits), max(1, CALL_VALUES // features)):
            row, pair, is_reverse, taken = np.unravel_index(np.arange(part.start, part.stop), shape)
            rank = walks.rank[pair]
            is_rows = np.where(is_reverse[:, None], rank > features - 2 - taken[:, None], rank <= taken[:, None])
            mixed = np.where(is_rows, rows[row], self._references[walks.reference[pair]])
            logits[part] = self._model.logits(mixed)
        return logits.reshape(*shape, -1)
