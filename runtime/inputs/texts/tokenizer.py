"""The tokenizer of a text: the file in the bundle says how it is cut, the sidecar how many tokens are kept."""

import functools
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar, final

from whyport.runtime.bundle.inputs import TextPreparation
from whyport.runtime.errors import BundleFormatError, first_line
from whyport.runtime.extras import needs

T = TypeVar("T")

MOST_IDS = 1 << 24
"""The ids that float32 holds exactly are below it."""

PARALLEL = "TOKENIZERS_PARALLELISM"
"""The variable by which tokenizers decides whether it uses several threads; it warns of a fork without it."""


@final
@dataclass(frozen=True)
class Tokens:
    """The tokens of one text."""

    names: list[str]
    offsets: list[tuple[int, int]]
    """Where each stands in the text: its first character, and the one behind its last; 0, 0 for a special token."""
    word_ids: list[int | None]
    """The word of the text that each is of; None for a special token."""

    @functools.cached_property
    def word(self) -> list[int]:
        """The place of each token's word among the words; a special token is a word of its own."""
        places: list[int] = []
        for before, own in zip([None, *self.word_ids], self.word_ids, strict=False):
            is_new = not places or own is None or own != before
            places.append(places[-1] + is_new if places else 0)
        return places

    def words(self, text: str) -> "Tokens":
        """The words of the text, in place of their tokens."""
        first = [i for i, place in enumerate(self.word) if i == 0 or place != self.word[i - 1]]
        last = [*(i - 1 for i in first[1:]), len(self.word) - 1] if first else []
        offsets = [(self.offsets[i][0], self.offsets[j][1]) for i, j in zip(first, last, strict=True)]
        names = [text[start:stop] or self.names[i] for (start, stop), i in zip(offsets, first, strict=True)]
        return Tokens(names, offsets, [self.word_ids[i] for i in first])


@final
@dataclass(frozen=True)
class Tokenizer:
    """Cuts texts into at most `max_length` tokens; what the file says of padding and truncation does not count.

    A text that is longer keeps its first tokens. The special tokens before and behind it are kept whole.
    """

    tokenizer: Any
    """The tokenizers.Tokenizer."""
    max_length: int
    special_tokens: bool
    """Whether the tokenizer's special tokens are added."""

    @classmethod
    @needs("text")
    def of(cls, content: bytes, prepare: TextPreparation) -> Self:
        """The tokenizer of a file's content; raises BundleFormatError where it is none, or has too many tokens."""
        _choose_parallelism()
        import tokenizers

        try:
            tokenizer = tokenizers.Tokenizer.from_str(content.decode("utf-8"))
        except Exception as error:  # the package raises Exception itself
            raise BundleFormatError(f"expected a tokenizer.json, got other content ({first_line(error)})") from None
        tokenizer.no_padding()
        tokenizer.no_truncation()
        made = cls(tokenizer, prepare.max_length, prepare.special_tokens)
        if made.ids > MOST_IDS:
            raise BundleFormatError(f"expected a tokenizer of at most {MOST_IDS} ids, got {made.ids}")
        if made.max_length <= made.prefix + made.suffix:
            raise BundleFormatError(
                f"expected a max_length of more than {made.prefix + made.suffix}, the tokenizer's special tokens, got "
                f"{made.max_length}"
            )
        return made

    @functools.cached_property
    def ids(self) -> int:
        """The number of ids: one more than the largest."""
        return max(self.tokenizer.get_vocab().values(), default=-1) + 1

    @property
    def prefix(self) -> int:
        """The number of special tokens before a text."""
        return len(self.special_ids[0])

    @property
    def suffix(self) -> int:
        """The number of special tokens behind a text."""
        return len(self.special_ids[1])

    def id_of(self, token: str) -> int | None:
        """The id of a token; None where there is none."""
        found: int | None = self.tokenizer.token_to_id(token)
        return found

    def encode(self, texts: Sequence[str]) -> list[tuple[list[int], bool]]:
        """The ids of each text's tokens, and whether it was cut off."""
        # Without offsets this is twice as fast.
        encodings = self.tokenizer.encode_batch_fast(list(texts), add_special_tokens=self.special_tokens)
        return [self._kept(each.ids) for each in encodings]

    def tokens(self, texts: Sequence[str]) -> list[Tokens]:
        """The tokens of each text that `encode` keeps."""
        found = self.tokenizer.encode_batch(list(texts), add_special_tokens=self.special_tokens)
        return [Tokens(*(self._kept(own)[0] for own in (each.tokens, each.offsets, each.word_ids))) for each in found]

    def _kept(self, items: list[T]) -> tuple[list[T], bool]:
        if len(items) <= self.max_length:
            return items, False
        return items[: self.max_length - self.suffix] + items[len(items) - self.suffix :], True

    @functools.cached_property
    def special_ids(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """The ids of the special tokens before and behind a text, as a text has them that has a token of its own."""
        if not self.special_tokens:
            return (), ()
        for text in ("a", "1", "."):
            found = self.tokenizer.encode(text)
            is_special = found.special_tokens_mask
            if 0 in is_special:
                behind = len(is_special) - is_special[::-1].index(0)
                return tuple(found.ids[: is_special.index(0)]), tuple(found.ids[behind:])
        return tuple(self.tokenizer.encode("").ids), ()


@functools.cache
def _choose_parallelism() -> None:
    """Let tokenizers use its threads, unless the user chose; in a fork, which lacks them, it would wait for ever."""
    os.environ.setdefault(PARALLEL, "true")
    if hasattr(os, "register_at_fork"):
        os.register_at_fork(after_in_child=lambda: os.environ.update({PARALLEL: "false"}))
