"""A model's inputs: which columns feed each, how they are prepared, and what its tensors are."""

from dataclasses import dataclass, field
from typing import Annotated

from whyport.runtime.bundle.codec import MAY_LACK
from whyport.runtime.bundle.columns import Column
from whyport.runtime.bundle.constraints import Ascending, AtLeastOne, AxisName, Count, FileName, Name, OneOf, Text
from whyport.runtime.bundle.signature import TensorSpec


@dataclass(frozen=True)
class Axis:
    """One axis of a row's shares."""

    name: Name
    length: Count | AxisName
    """A fixed length, or the name of a free axis ("T")."""
    labels: tuple[Text, ...] | None
    """The names along the axis; null where it is only counted."""


@dataclass(frozen=True)
class TablePreparation:
    """Columns of numbers, times and categories, as they are."""

    kind: Annotated[str, OneOf(("table",))]
    standardised: bool
    """Whether the graphs standardise the numbers."""


@dataclass(frozen=True)
class SequencePreparation:
    """Steps of the same features, from lists or from wide columns."""

    kind: Annotated[str, OneOf(("sequence",))]
    length: Count | None
    """The number of steps of every row; null where it varies."""
    buckets: Annotated[tuple[Count, ...], Ascending()]
    """The lengths that rows of varying length are padded to; empty where the length does not vary."""
    standardised: bool


@dataclass(frozen=True)
class ImagePreparation:
    """Encoded pictures, decoded to uint8 [height, width, channels]."""

    kind: Annotated[str, OneOf(("image",))]
    mode: Annotated[str, OneOf(("L", "RGB"))]
    """Pillow's name for the pixels' format."""
    orient: bool
    """Whether the orientation in the file's Exif data is applied."""
    resize: tuple[Count, ...]
    """Height and width that the picture is resized to by an antialiased triangle filter; empty for none."""
    crop: tuple[Count, ...]
    """Height and width of the centre that is kept; empty for all."""
    limit: Count
    """The most pixels that a picture may have."""


@dataclass(frozen=True)
class TextPreparation:
    """Texts, cut into tokens."""

    kind: Annotated[str, OneOf(("text",))]
    tokenizer: FileName
    """The file of the tokenizer, in the bundle."""
    max_length: Count
    """The most tokens of a text; the rest is cut off."""
    special_tokens: bool
    """Whether the tokenizer adds its special tokens."""
    padding: Annotated[str, OneOf(("longest", "max_length"))]
    """Whether texts of one call are padded to the longest of them, or all to `max_length`."""
    buckets: Annotated[tuple[Count, ...], Ascending()] = field(default=(), metadata={MAY_LACK: True})
    """The lengths that texts are padded to, up to `max_length`; empty where that is the only one."""


@dataclass(frozen=True)
class Input:
    """One input of the model: a table, a sequence, an image or a text."""

    name: Name
    columns: Annotated[tuple[Column, ...], AtLeastOne()]
    """The table's columns that feed it, in order."""
    prepare: TablePreparation | SequencePreparation | ImagePreparation | TextPreparation
    """How the columns become tensors, by `kind`."""
    tensors: Annotated[tuple[TensorSpec, ...], AtLeastOne()]
    """The tensors of model.onnx that it fills: values, mask, ids; one [N, 1] a column where a table has categories."""
    axes: Annotated[tuple[Axis, ...], AtLeastOne()]
    """The axes of a row's shares in this input."""
