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

    def tokens(self, texts: Sequence[str]) -> list[tuple[list[str], list[tuple[int, int]]]]:
        """The tokens of each text that `encode` keeps, and where each stands: its first character, and the one behind.

        A special token stands from 0 to 0.
        """
        found = self.tokenizer.encode_batch(list(texts), add_special_tokens=self.special_tokens)
        return [(self._kept(each.tokens)[0], self._kept(each.offsets)[0]) for each in found]

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
