"""One of several processes that make the parts of one job, each its own share of them."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from whyport.runtime.errors import UsageError

if TYPE_CHECKING:
    from whyport.batch.output.parts import PartSpan


@dataclass(frozen=True)
class Shard:
    """A share of a job's parts."""

    number: int
    """Counted from 1."""
    count: int

    @classmethod
    def parse(cls, text: str) -> Self:
        """The shard behind "3/8", the third of eight; raises UsageError for any other text."""
        found = re.fullmatch(r"([1-9][0-9]{0,8})/([1-9][0-9]{0,8})", text, re.ASCII)
        if found is None or int(found[1]) > int(found[2]):
            raise UsageError(f"shard: expected NUMBER/COUNT, counted from 1, such as 3/8, got {text!r}")
        return cls(int(found[1]), int(found[2]))

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"

    def of(self, spans: "Mapping[int, Sequence[PartSpan]]") -> "dict[int, tuple[PartSpan, ...]]":
        """This shard's parts, by the input's index: neighbours, which one reader serves.

        Every part is in exactly one of the shards, and their numbers of parts differ by at most 1.
        """
        every = [(index, span) for index, parts in spans.items() for span in parts]
        first, last = (number * len(every) // self.count for number in (self.number - 1, self.number))
        found: dict[int, tuple[PartSpan, ...]] = dict.fromkeys(spans, ())
        for index, span in every[first:last]:
            found[index] = (*found[index], span)
        return found
