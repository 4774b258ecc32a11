"""The columns of a text's tokens, and of where each stands in the text, beside their shares."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from whyport.batch.methods.per import TOKEN, WORD
from whyport.batch.methods.positions import Positions
from whyport.batch.output.own_steps import cut_lists
from whyport.runtime.inputs.texts.tokenizer import Tokens

TOKENS, OFFSETS = "tokens", "offsets"
TYPES = {TOKENS: pa.list_(pa.string()), OFFSETS: pa.list_(pa.list_(pa.int32(), 2))}


@dataclass(frozen=True)
class TokenColumns:
    """For each text whose tokens have shares: `tokens`, and `offsets`, the first character and the one behind the last.

    With `--per word` they are of the words that the tokens make up. Of several inputs they are `tokens.<input>` and
    `offsets.<input>`. A special token, which is not in the text, stands from 0 to 0.
    """

    inputs: tuple[str, ...]
    """The texts, by the inputs' names."""
    is_alone: bool
    """Whether the text is the only input."""

    @classmethod
    def of(cls, positions: Positions) -> "TokenColumns":
        """The columns of a run whose shares have these positions."""
        texts = [block.input for block in positions.blocks if block.varies and block.axes[0].name in (TOKEN, WORD)]
        return cls(tuple(texts), len(positions.blocks) == 1)

    @property
    def fields(self) -> list[pa.Field]:
        """The columns, in order."""
        return [pa.field(self.name(column, each), kind) for each in self.inputs for column, kind in TYPES.items()]

    def name(self, column: str, text: str) -> str:
        """The name of one of a text's columns."""
        return column if self.is_alone else f"{column}.{text}"

    def arrays(self, tokens: Mapping[str, Sequence[Tokens]]) -> Iterator[pa.Array]:
        """The arrays of `fields`, from the tokens of each text in the explained rows."""
        for each in self.inputs:
            lists = [own.names for own in tokens[each]]
            places = np.array([place for own in tokens[each] for place in own.offsets], dtype=np.int32)
            lengths = np.array(list(map(len, lists)), dtype=np.int64)
            yield pa.array(lists, TYPES[TOKENS])
            yield cut_lists(pa.FixedSizeListArray.from_arrays(pa.array(places.reshape(-1)), 2), lengths)
