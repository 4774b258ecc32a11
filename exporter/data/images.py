"""Images among the inputs, described by a sample."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from whyport.exporter.data.input_choice import IMAGE as IMAGE_CHOICE
from whyport.exporter.data.input_choice import InputChoice
from whyport.exporter.data.statistics import describe_numbers
from whyport.runtime.bundle.columns import IMAGE, REFUSE, Channel, Column
from whyport.runtime.bundle.constraints import NAME
from whyport.runtime.bundle.inputs import Axis, ImagePreparation, Input
from whyport.runtime.bundle.row import sources_of
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.errors import ColumnError, TrainingError, UsageError
from whyport.runtime.inputs.encoders import cells_encoder
from whyport.runtime.inputs.numbers import OtherTypeError
from whyport.runtime.inputs.sources import element

if TYPE_CHECKING:
    from whyport.exporter.graphs.pixels import PixelScale

LIMIT = 50_000_000
"""The most pixels of a picture, unless the user says otherwise."""
CHANNELS = {1: ("grey",), 3: ("red", "green", "blue")}
"""The names of the channels, by their number."""
MODES = {1: "L", 3: "RGB"}
LAYOUTS = ("nchw", "nhwc")
"""The orders of axes that a network takes: N rows, C channels, height and width."""

SAMPLE_VALUES = 1 << 24
"""The most numbers of a sample with images: of more rows, some are taken, at even distances."""
COUNTED_PIXELS = 1 << 20
"""The most pixels of a channel that its statistics are taken of, drawn from all."""


def image_preparation(choice: InputChoice) -> ImagePreparation:
    """How the pictures of an input become pixels; raises UsageError for settings that contradict each other."""
    size = choice.size("size")
    if not size:
        raise UsageError(f"--input {choice.name}: expected size=HEIGHTxWIDTH, the pixels that the network takes")
    crop = choice.size("crop")
    resize = choice.size("resize") or (() if crop else size)
    if not crop and resize != size:
        crop = size
    if crop not in ((), size):
        raise UsageError(
            f"--input {choice.name}: crop: expected that of size, {_in_words(size)}, got {_in_words(crop)}"
        )
    if resize and any(cut > whole for cut, whole in zip(size, resize, strict=True)):
        raise UsageError(
            f"--input {choice.name}: resize: expected at least the size, {_in_words(size)}, got {_in_words(resize)}"
        )
    crop = () if crop == resize else crop
    return ImagePreparation("image", MODES[_channels(choice)], True, resize, crop, choice.count("limit") or LIMIT)


def pixel_scale(choice: InputChoice, *, channels_first: bool = True) -> "PixelScale":
    """What becomes of an image's pixels before the network sees them; raises UsageError.

    Args:
        choice: what the user says of the input.
        channels_first: the order of axes, where the user does not say it.
    """
    channels = _channels(choice)
    deviation = choice.numbers("deviation", channels, 1.0)
    if 0 in deviation:
        raise UsageError(f"--input {choice.name}: deviation: expected numbers other than 0")
    layout = choice.one_of("layout", LAYOUTS if channels_first else LAYOUTS[::-1])
    from whyport.exporter.graphs.pixels import PixelScale  # starts PyTorch

    return PixelScale(choice.numbers("mean", channels, 0.0), deviation, layout == LAYOUTS[0])


def given_scale(choices: Sequence[InputChoice], *, channels_first: bool = True) -> "PixelScale | None":
    """What becomes of the pixels of the first input; None where it is no image. Takes and raises as `pixel_scale`."""
    first = choices[0]
    return pixel_scale(first, channels_first=channels_first) if first.kind == IMAGE_CHOICE else None


def describe_image(column: pd.Series, choice: InputChoice, tensor: str) -> Input:
    """An image, with the statistics of a sample's pixels.

    Args:
        column: pictures, encoded or as pixels.
        choice: what the user says of it.
        tensor: the name of the tensor of pixels.

    Raises:
        ColumnError: the column holds no pictures. UsageError: the choice contradicts itself. TrainingError: no row has
        a picture.
    """
    name, prepare, channels = str(column.name), image_preparation(choice), CHANNELS[_channels(choice)]
    pixel_scale(choice)
    if not NAME.holds(name):
        raise TrainingError(f"column {name!r}: expected {NAME.expected}")
    height, width = prepare.crop or prepare.resize
    known = describe_numbers(name, np.zeros(1), missing=REFUSE).statistics
    blank = Column(
        name=name,
        kind=IMAGE,
        unit=None,
        missing=REFUSE,
        imputation=None,
        missing_fraction=0.0,
        numbers=None,
        categories=None,
        channels=tuple(Channel(each, known) for each in channels),
    )

    def described(own: Column) -> Input:
        return Input(
            name=choice.name,
            columns=(own,),
            prepare=prepare,
            tensors=(TensorSpec(tensor, "uint8", ("N", height, width, len(channels))),),
            axes=(Axis("y", height, None), Axis("x", width, None)),
        )

    return described(_with_statistics(column, blank, described(blank)))


def affordable_rows(frame: pd.DataFrame, choices: Sequence[InputChoice]) -> pd.DataFrame:
    """The rows of a sample that images leave room for, at even distances; all where there is no image."""
    cells = sum(math.prod(choice.size("size")) * _channels(choice) for choice in choices if choice.kind == IMAGE_CHOICE)
    most = max(SAMPLE_VALUES // cells, 1) if cells else len(frame)
    if len(frame) <= most:
        return frame
    return frame.iloc[np.linspace(0, len(frame) - 1, most).round().astype(np.int64)]


def _with_statistics(column: pd.Series, blank: Column, described: Input) -> Column:
    """The column with what its pixels are, in all pictures that can be read."""
    (source,) = sources_of((described,))
    encoder = cells_encoder(source)
    try:
        cells = encoder.encode(column)[0]
    except OtherTypeError as error:
        raise ColumnError(
            f"--input {described.name}: column {blank.name!r}: expected an encoded picture a row, or uint8 pixels, got "
            f"{error}"
        ) from None
    is_there = ~np.isnan(cells[:, 0])
    if not is_there.any():
        fault = encoder.fault(element(column, 0))
        raise TrainingError(f"column {blank.name!r}: expected pictures, got none in the sample; row 0: {fault}")
    pixels = cells[is_there].reshape(-1, len(blank.channels))
    if len(pixels) > COUNTED_PIXELS:
        pixels = pixels[np.random.default_rng(0).integers(len(pixels), size=COUNTED_PIXELS)]
    channels = tuple(
        Channel(each.name, describe_numbers(each.name, pixels[:, k], missing=REFUSE).statistics)
        for k, each in enumerate(blank.channels)
    )
    return replace(blank, missing_fraction=float(1 - is_there.mean()), channels=channels)


def _channels(choice: InputChoice) -> int:
    return int(choice.one_of("channels", ("3", "1")))


def _in_words(size: tuple[int, ...]) -> str:
    return "x".join(map(str, size)) or "none"
