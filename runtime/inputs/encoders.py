"""The encoder of each column, by what one value of it fills."""

from collections.abc import Callable
from typing import TypeAlias

from whyport.runtime.bundle.columns import IMAGE
from whyport.runtime.bundle.inputs import TextPreparation
from whyport.runtime.bundle.row import Source
from whyport.runtime.errors import BundleError
from whyport.runtime.inputs.cells import CellsEncoder
from whyport.runtime.inputs.encoding import ColumnEncoder
from whyport.runtime.inputs.images.encoder import ImageEncoder
from whyport.runtime.inputs.lists import ListEncoder
from whyport.runtime.inputs.texts.encoder import TextEncoder
from whyport.runtime.inputs.texts.tokenizer import Tokenizer
from whyport.runtime.inputs.varying_lists import VaryingListEncoder

Encoder: TypeAlias = ColumnEncoder | CellsEncoder

ReadFile: TypeAlias = Callable[[str], bytes]
"""The content of a file of the bundle by its name; raises BundleError where there is none."""


def no_files(name: str) -> bytes:
    """The files of a bundle that has none."""
    raise BundleError(f"there is no file {name!r}: this model has none")


def encoder_of(source: Source, read_file: ReadFile = no_files) -> Encoder:
    """What turns the values of a column into numbers; raises BundleError where a file is missing or cannot serve."""
    return ColumnEncoder(source.column) if source.is_one_value else cells_encoder(source, read_file)


def cells_encoder(source: Source, read_file: ReadFile = no_files) -> CellsEncoder:
    """What turns the values of a column that fill several cells each into these; raises as `encoder_of`."""
    if source.column.kind == IMAGE:
        return ImageEncoder(source)
    prepare = None if source.feeds is None else source.feeds.prepare
    if isinstance(prepare, TextPreparation):
        return TextEncoder(source, Tokenizer.of(read_file(prepare.tokenizer), prepare))
    return ListEncoder(source) if source.length is None else VaryingListEncoder(source)
