"""The encoder of each column, by what one value of it fills."""

from typing import TypeAlias

from whyport.runtime.bundle.columns import IMAGE
from whyport.runtime.bundle.row import Source
from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.encoding import ColumnEncoder
from whyport.runtime.inputs.images.encoder import ImageEncoder
from whyport.runtime.inputs.lists import ListEncoder
from whyport.runtime.inputs.varying_lists import VaryingListEncoder

Encoder: TypeAlias = ColumnEncoder | CellsEncoder


def encoder_of(source: Source) -> Encoder:
    """What turns the values of a column into numbers."""
    return ColumnEncoder(source.column) if source.is_one_value else cells_encoder(source)


def cells_encoder(source: Source) -> CellsEncoder:
    """What turns the values of a column that fill several cells each into these."""
    if source.column.kind == IMAGE:
        return ImageEncoder(source)
    return ListEncoder(source) if source.length is None else VaryingListEncoder(source)
