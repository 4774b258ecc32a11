"""The inputs of a model that takes more than one table, as a user names them."""

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

from whyport.runtime.errors import UsageError, listing, unknown
from whyport.runtime.options import split_names

TABLE, SEQUENCE, IMAGE, TEXT = "table", "sequence", "image", "text"
KINDS = {
    TABLE: (),
    SEQUENCE: ("steps", "features", "names", "buckets", "references"),
    IMAGE: ("size", "channels", "mean", "deviation", "resize", "crop", "layout", "limit"),
    TEXT: ("tokenizer", "max_length", "buckets"),
}
"""The kinds of input, each with its settings."""

FORM = "NAME=KIND:COLUMNS, or NAME=KIND:COLUMNS:setting=value,..."


@dataclass(frozen=True)
class InputChoice:
    """One input as a user names it."""

    name: str
    """The argument of the model's forward."""
    kind: str
    columns: tuple[str, ...]
    """The columns of the sample, in order; `hr_*` stands for hr_0, hr_1, ... in the order of their numbers."""
    settings: Mapping[str, str]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The choice behind one `--input`; UsageError where it is none."""
        head = re.fullmatch(r"([^=:]+)=([^=:]+):(.+)", text)
        if head is None:
            raise UsageError(f"--input: expected {FORM}, got {text!r}")
        name, kind, rest = (part.strip() for part in head.groups())
        if kind not in KINDS:
            raise UsageError(f"--input {name}: {unknown('kind', kind, KINDS)}")
        tail = re.fullmatch(r"(.+):((?:\w+=[^,=]+)(?:,\w+=[^,=]+)*)", rest)
        columns, settings = (rest, "") if tail is None else tail.groups()
        pairs = [pair.split("=", 1) for pair in settings.split(",") if pair]
        for key, _ in pairs:
            if key not in KINDS[kind]:
                raise UsageError(f"--input {name}: {unknown('setting', key, KINDS[kind] or ['none'])}")
        names = split_names((columns,))
        if not names:
            raise UsageError(f"--input {name}: expected columns, got none")
        return cls(name, kind, names, {key: value.strip() for key, value in pairs})

    def count(self, setting: str) -> int | None:
        """A setting that is a number of things, at least 1; None where it is not given."""
        text = self.settings.get(setting)
        if text is None:
            return None
        if not text.isdecimal() or int(text) < 1:
            raise UsageError(f"--input {self.name}: {setting}: expected a whole number of at least 1, got {text!r}")
        return int(text)

    def counts(self, setting: str) -> tuple[int, ...]:
        """A setting that is several numbers, `16|32|64`, in ascending order; none where it is not given."""
        text = self.settings.get(setting)
        if text is None:
            return ()
        parts = [part.strip() for part in text.split("|")]
        if not all(part.isdecimal() and int(part) for part in parts):
            raise UsageError(
                f"--input {self.name}: {setting}: expected whole numbers of at least 1, such as 16|32|64, got {text!r}"
            )
        return tuple(sorted({int(part) for part in parts}))

    def size(self, setting: str) -> tuple[int, ...]:
        """A setting that is height and width, `224x224`; none where it is not given."""
        text = self.settings.get(setting)
        if text is None:
            return ()
        sides = text.split("x")
        if len(sides) != len(("height", "width")) or not all(side.isdecimal() and int(side) for side in sides):
            raise UsageError(
                f"--input {self.name}: {setting}: expected height and width, such as 224x224, got {text!r}"
            )
        return tuple(map(int, sides))

    def numbers(self, setting: str, count: int, default: float) -> tuple[float, ...]:
        """A setting that is so many numbers, `0.485|0.456|0.406`, or one for all; the default where it is not given."""
        text = self.settings.get(setting)
        parts = [str(default)] if text is None else text.split("|")
        try:
            found = tuple(map(float, parts))
        except ValueError:
            found = ()
        if len(found) not in (1, count) or not all(map(math.isfinite, found)):
            raise UsageError(f"--input {self.name}: {setting}: expected {count} numbers, a|b|..., or one, got {text!r}")
        return found * count if len(found) == 1 else found

    def one_of(self, setting: str, known: Sequence[str]) -> str:
        """A setting that is a name; the first of the known ones where it is not given."""
        name = self.settings.get(setting, known[0])
        if name not in known:
            raise UsageError(f"--input {self.name}: {setting}: {unknown('kind', name, known)}")
        return name


def parse_inputs(texts: Sequence[str]) -> tuple[InputChoice, ...]:
    """The choices behind every `--input`; UsageError where one is wrong, or two have a name."""
    choices = tuple(map(InputChoice.parse, texts))
    repeated = [name for name, times in Counter(each.name for each in choices).items() if times > 1]
    if repeated:
        raise UsageError(f"--input: expected names that differ, got {listing(repeated)} twice")
    return choices
