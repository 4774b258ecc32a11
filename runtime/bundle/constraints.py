"""The constraints on the sidecar's values, beside their types: the reader checks them, and the JSON Schema states them.

`Annotated[float, FINITE]` is a field's type and its constraint. What no single value can say, such as that two lists
have one length, is in `consistency.py`.
"""

import re
import sys
from abc import ABC, abstractmethod
from collections.abc import Sized
from dataclasses import dataclass
from itertools import pairwise
from typing import Annotated, Any, final

NEWER = "it needs a newer whyport"
"""The end of a message about a kind of thing that this version does not know."""


class Constraint(ABC):
    """A condition on a value that has its type already."""

    @abstractmethod
    def holds(self, value: Any) -> bool:
        """Whether a value meets the condition."""

    @property
    @abstractmethod
    def expected(self) -> str:
        """The condition in words, for messages."""

    @abstractmethod
    def schema(self) -> dict[str, Any]:
        """The same condition as keywords of JSON Schema; empty where it has none for it."""


@final
@dataclass(frozen=True)
class Within(Constraint):
    """A number in a closed interval."""

    least: float
    most: float

    def holds(self, value: float) -> bool:
        return self.least <= value <= self.most  # an integer of any length is compared exactly

    @property
    def expected(self) -> str:
        if self.most < LARGEST:
            return f"a number from {self.least:.10g} to {self.most:.10g}"
        return "a finite number" if self.least == -LARGEST else f"a finite number of at least {self.least:g}"

    def schema(self) -> dict[str, Any]:
        return {"minimum": self.least, "maximum": self.most}


@final
@dataclass(frozen=True)
class Pattern(Constraint):
    """A text that a regular expression matches as a whole."""

    expression: str
    """An expression that Python and ECMAScript read alike."""
    meaning: str

    def holds(self, value: str) -> bool:
        return re.fullmatch(self.expression, value) is not None

    @property
    def expected(self) -> str:
        return self.meaning

    def schema(self) -> dict[str, Any]:
        # Python's $ also matches before a last line feed.
        return {"pattern": f"^{self.expression}$(?!\\n)"}


@final
@dataclass(frozen=True)
class OneOf(Constraint):
    """A text of a known list."""

    known: tuple[str, ...]

    def holds(self, value: str) -> bool:
        return value in self.known

    @property
    def expected(self) -> str:
        return " or ".join(self.known)

    def schema(self) -> dict[str, Any]:
        return {"enum": list(self.known)}


@final
@dataclass(frozen=True)
class AtLeastOne(Constraint):
    """A list that is not empty."""

    def holds(self, value: Sized) -> bool:
        return len(value) > 0

    @property
    def expected(self) -> str:
        return "at least one entry"

    def schema(self) -> dict[str, Any]:
        return {"minItems": 1}


@final
@dataclass(frozen=True)
class Different(Constraint):
    """A list without repeats."""

    entries: str
    """The word for its entries."""

    def holds(self, value: tuple[Any, ...]) -> bool:
        return len(set(value)) == len(value)

    @property
    def expected(self) -> str:
        return f"{self.entries} to differ"

    def schema(self) -> dict[str, Any]:
        return {"uniqueItems": True}


@final
@dataclass(frozen=True)
class Ascending(Constraint):
    """A list of numbers, each larger than the one before."""

    def holds(self, value: tuple[float, ...]) -> bool:
        return all(a < b for a, b in pairwise(value))

    @property
    def expected(self) -> str:
        return "ascending numbers without repeats"

    def schema(self) -> dict[str, Any]:
        return {"uniqueItems": True}


LARGEST = sys.float_info.max
"""The largest number of float64."""

_CHARACTER = r"[^\u0000\ud800-\udfff]"
_REFUSED = r"\u0000-\u001f\u007f<>:\u0022|?*\\/\ud800-\udfff"
"""What a file's name cannot hold on every system."""
_DEVICES = "[Cc][Oo][Nn]|[Pp][Rr][Nn]|[Aa][Uu][Xx]|[Nn][Uu][Ll]|(?:[Cc][Oo][Mm]|[Ll][Pp][Tt])[0-9]"
"""Windows takes these for devices, with any ending."""
# Windows drops a dot or a space at the end of a name.
_SEGMENT = rf"(?!(?:{_DEVICES})(?:[./]|$))[^{_REFUSED}]*[^ .{_REFUSED}]"

Number = Annotated[float, Within(-LARGEST, LARGEST)]
Size = Annotated[float, Within(0, LARGEST)]
"""A deviation, a distance or a spread."""
Share = Annotated[float, Within(0, 1)]
Tolerance = Annotated[float, Within(0, 1)]
"""The deviation that is allowed; one of 1 would allow any probability."""
Whole = Annotated[int, Within(-LARGEST, LARGEST)]
Count = Annotated[int, Within(1, 2**31 - 1)]
"""A number of rows, or the length of an axis."""
Rows = Annotated[int, Within(0, 2**53)]
"""A number of rows that may be 0."""
Position = Annotated[int, Within(0, 2**31 - 1)]
"""A position in a row."""
Version = Annotated[int, Within(1, 255)]
"""A version of ONNX's operator set, or of its file format."""
TEXT = Pattern(f"{_CHARACTER}*", "text without NUL and lone surrogates")
NAME = Pattern(f"{_CHARACTER}+", "a name without NUL and lone surrogates")
Text = Annotated[str, TEXT]
Name = Annotated[str, NAME]
Digest = Annotated[str, Pattern("[0-9a-f]{64}", "64 hexadecimal digits")]
FileName = Annotated[
    str,
    Pattern(f"{_SEGMENT}(?:/{_SEGMENT})*", "file names inside the bundle, relative and with / between folders"),
]
DataType = Annotated[str, OneOf(("float32", "int64", "uint8", "string"))]
AxisName = Annotated[str, Pattern("[A-Za-z_][A-Za-z0-9_]*", "the name of an axis, such as N")]
