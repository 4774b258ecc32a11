"""The columns of a user's table, with what their training values were."""

from dataclasses import dataclass
from typing import Annotated

from whyport.runtime.bundle.constraints import Ascending, Different, Name, Number, OneOf, Rows, Share, Size, Text

NUMBER, CATEGORY, TIME, LIST, IMAGE, TEXT = "number", "category", "time", "list", "image", "text"
"""The kinds of column."""

SEVERAL = (LIST, IMAGE, TEXT)
"""The kinds of column of which one value fills several cells of a row."""

LENGTH = "length"
"""The kind of a feature that is no column's: the number of steps of a row's list."""

REFUSE, IMPUTE, MODEL = "refuse", "impute", "model"
"""What becomes of a missing value: the row cannot be scored, a value replaces it, or the model has its own way."""

DAYS = "days since 1970-01-01"
"""The unit of every time column."""


TOKEN = "token"
"""The kind of a feature that is the id of a text's token."""


@dataclass(frozen=True)
class NumberStatistics:
    """The statistics of a column's finite training values, in the column's own unit."""

    minimum: Number
    maximum: Number
    mean: Number
    standard_deviation: Size
    median: Number
    bin_edges: Annotated[tuple[Number, ...], Ascending()]
    """The inner edges of the bins: bin i is edge[i-1] <= value < edge[i], all compared as float32.

    They are the distinct values, where these are at most ten; otherwise the deciles without repeats, with further edges
    at, just above and after every value of a tenth of the rows or more. Older bundles have the deciles alone."""
    bin_fractions: tuple[Share, ...]
    """The share of the training values in each bin, one more than there are edges."""


@dataclass(frozen=True)
class Categories:
    """The categories of a column, and how many training rows had each.

    A row's code is the position of its category in `values`; `other_code` stands for every other value, and
    `missing_code` for none.
    """

    type: Annotated[str, OneOf(("text", "number", "boolean"))]
    """The type of the values in the user's table; of other types, no value is known."""
    values: Annotated[tuple[Text, ...], Different("categories")]
    """The categories as text: numbers as shortly as they can be written, booleans as "false" and "true"."""
    counts: tuple[Rows, ...]
    """The number of training rows of each category."""
    other: Rows
    """The number of training rows with another value: the rare ones, where these were pooled."""
    missing: Rows
    """The number of training rows without a value."""

    @property
    def other_code(self) -> int:
        """The code of a value that is none of the categories."""
        return len(self.values)

    @property
    def missing_code(self) -> int:
        """The code of a missing value."""
        return len(self.values) + 1

    @property
    def codes(self) -> int:
        """The number of codes: one a category, and two more."""
        return len(self.values) + 2


@dataclass(frozen=True)
class Channel:
    """One channel of an image, or one feature of a sequence, with the statistics of its training values."""

    name: Name
    numbers: NumberStatistics


@dataclass(frozen=True)
class Column:
    """One column of the user's table."""

    name: Name
    kind: Annotated[str, OneOf((NUMBER, CATEGORY, TIME, LIST, IMAGE, TEXT))]
    unit: Text | None
    """The unit of its numbers, where it is known; of times always "days since 1970-01-01"."""
    missing: Annotated[str, OneOf((REFUSE, IMPUTE, MODEL))]
    """What becomes of a missing value."""
    imputation: Number | None
    """The value that replaces a missing one, where `missing` is "impute"; null elsewhere."""
    missing_fraction: Share
    """The share of the training rows without a value."""
    numbers: NumberStatistics | None
    """The statistics of numbers, times and lists; null elsewhere, and where no value is known."""
    categories: Categories | None
    """The categories of a category column; null elsewhere."""
    channels: tuple[Channel, ...]
    """The channels of images, and of sequences with several features; otherwise empty."""

    @property
    def spread(self) -> float:
        """The standard deviation of its numbers; 1 for a column without any."""
        return self.numbers.standard_deviation if self.numbers else 1.0

    @property
    def statistics(self) -> NumberStatistics:
        """The statistics of a column of numbers or times."""
        assert self.numbers is not None
        return self.numbers


def takes_missing(column: Column) -> bool:
    """Whether a row without a value of the column can be scored."""
    return column.missing != REFUSE
