"""What the tokens of a text are measured against: a baseline between the special tokens that every text has."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from whyport.batch.methods.baselines import ROWS, ZERO, chosen_baseline
from whyport.runtime.bundle.inputs import TextPreparation
from whyport.runtime.bundle.lengths import Length, of_length
from whyport.runtime.bundle.references import References
from whyport.runtime.bundle.sidecar import BACKGROUND_NAME
from whyport.runtime.embedding import Embedding
from whyport.runtime.errors import UsageError, listing
from whyport.runtime.inputs.texts.tokenizer import Tokenizer
from whyport.runtime.session import Session

PAD, MASK = "pad", "mask"


@dataclass(frozen=True)
class TokenReferences:
    """The embedded references of texts of each length.

    A text has its special tokens first and last, as [CLS] and [SEP]; a reference has the same, so that they get no
    share. Between them it has embeddings of zeros, one token again and again, or the tokens of a reference row, cut or
    repeated.
    """

    embedding: Embedding
    is_zero: bool
    token: Mapping[str, int]
    """The id of the token between the special ones, by the input's name; none where reference rows give them."""
    tokenizers: Mapping[str, Tokenizer]
    """By the input's name."""

    @classmethod
    def of(cls, session: Session, embedding: Embedding, baseline: str | None) -> Self:
        """The references of a session's texts by a baseline of its bundle, or by the default."""
        bundle = session.bundle
        found = bundle.sidecar.baseline(chosen_baseline(baseline, bundle.sidecar) or BACKGROUND_NAME)
        kind, figures = (ROWS, {}) if found is None else (found.kind, found.figures)
        texts = {each.name: each.prepare for each in bundle.sidecar.inputs if isinstance(each.prepare, TextPreparation)}
        if kind in (PAD, MASK) and not texts.keys() <= figures.keys():
            expected = f"the id of its token as a figure for each of {listing(texts)}"
            raise UsageError(f"baseline {baseline!r}: expected {expected}, got {listing(figures)}")
        token = {name: int(figures[name]) for name in texts} if kind in (PAD, MASK) else {}
        tokenizers = {
            name: Tokenizer.of(bundle.read_bytes(prepare.tokenizer), prepare) for name, prepare in texts.items()
        }
        return cls(embedding, kind == ZERO, token, tokenizers)

    def fitted(self, lengths: Sequence[Length], references: References, steps: Sequence[float]) -> References:
        """The references of rows with so many steps. Of equal references one is left.

        Args:
            lengths: of the bundle's rows.
            references: the bundle's reference rows, whose texts are ids.
            steps: the number of steps of each input of varying length.
        """
        rows = of_length(lengths, references.rows, steps)
        for each, count in zip(lengths, steps, strict=True):
            if each.name in self.tokenizers:
                texts = [row[each.start : each.start + int(row[each.place])] for row in references.rows]
                rows[:, each.start : each.start + int(count)] = self._ids(each.name, texts, int(count))
        embedded = self.embedding.rows(rows)
        if self.is_zero:
            for _, inside in self._texts(steps):
                embedded[:, inside] = 0
        if (embedded == embedded[0]).all():
            return References(embedded[:1], np.ones(1))
        return References(embedded, references.weights)

    def special(self, steps: Sequence[float]) -> NDArray[np.bool_]:
        """Which of the cells of rows with so many steps, [F], are those of special tokens."""
        view = self.embedding.session.bundle.sidecar
        found = np.zeros(len(view.features), dtype=np.bool_)
        for each, inside in self._texts(steps):
            found[each.cells] = True
            found[inside] = False
        return found

    def _texts(self, steps: Sequence[float]) -> Iterator[tuple[Length, slice]]:
        """The texts of rows with so many steps, and the cells of each that are no special token's."""
        lengths = self.embedding.session.bundle.sidecar.lengths
        for each, count in zip(lengths, steps, strict=True):
            if each.name in self.tokenizers:
                first, behind = self._inside(each.name, int(count))
                yield each, slice(each.start + first * each.width, each.start + behind * each.width)

    def _inside(self, name: str, count: int) -> tuple[int, int]:
        """The first token that is not special, and the one behind the last, of a text of so many tokens."""
        tokenizer = self.tokenizers[name]
        first = min(tokenizer.prefix, count)
        return first, max(first, count - tokenizer.suffix)

    def _ids(self, name: str, texts: Sequence[NDArray[np.float32]], count: int) -> NDArray[np.float32]:
        """The ids [R, count] of the references of a text of so many tokens, by the ids of each reference row's text."""
        tokenizer = self.tokenizers[name]
        first, behind = self._inside(name, count)
        made = np.empty((len(texts), count), dtype=np.float32)
        made[:, :first] = tokenizer.special_ids[0][:first]
        made[:, behind:] = tokenizer.special_ids[1][: count - behind]
        for own, text in zip(made, texts, strict=True):
            inside = text[tokenizer.prefix : len(text) - tokenizer.suffix]
            # A text of special tokens alone has none to repeat: it stands for itself.
            tokens = [self.token[name]] if self.token else inside if len(inside) else text
            own[first:behind] = np.resize(tokens, behind - first)
        return made
