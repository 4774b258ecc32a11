"""Rows of codes, back in the terms of a graph's own inputs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from whyport.runtime.bundle.columns import Categories, Column
from whyport.runtime.bundle.inputs import ImagePreparation, Input, TablePreparation, TextPreparation
from whyport.runtime.bundle.row import row_shape, row_size
from whyport.runtime.bundle.signature import TensorSpec
from whyport.runtime.inputs.categories import TEXT, category_number

PIXEL = 255
"""The largest value of a pixel."""


def input_feeds(inputs: Sequence[Input], rows: NDArray[np.float32], *, exact: bool = False) -> dict[str, NDArray[Any]]:
    """What model.onnx is given for flat rows [N, F], by the name of its input: of a sequence [N, steps, features].

    Of one of varying length also which steps are no padding, [N, steps], where the model asks for it. Of an image its
    pixels uint8 [N, height, width, channels].

    Args:
        inputs: the model's inputs.
        rows: the rows, whose pixels are whole numbers from 0 to 255.
        exact: whether pixels stay float32, and may be no whole numbers: for the graphs that explain.
    """
    feeds: dict[str, NDArray[Any]] = {}
    start = 0
    for each in inputs:
        shape = row_shape(each)
        size = math.prod(shape)
        own = rows[:, start : start + size]
        if isinstance(each.prepare, TablePreparation):
            feeds |= graph_feeds(each.columns, each.tensors, own)
        elif isinstance(each.prepare, ImagePreparation):
            pixels = own.reshape(len(rows), *shape)
            feeds[each.tensors[0].name] = pixels if exact else as_pixels(pixels)
        elif isinstance(each.prepare, TextPreparation):
            feeds |= _text_feeds(each.tensors, own, rows[:, start + size])
        else:
            values, *masks = (tensor.name for tensor in each.tensors)
            feeds[values] = own.reshape(len(rows), *shape)
            for mask in masks:
                feeds[mask] = (np.arange(shape[0]) < rows[:, start + size, None]).astype(np.uint8)
        start += row_size(each)
    return feeds


def as_pixels(values: NDArray[np.floating[Any]]) -> NDArray[np.uint8]:
    """Values as pixels: the nearest whole number from 0 to 255."""
    pixels: NDArray[np.uint8] = np.rint(np.clip(values, 0, PIXEL)).astype(np.uint8)
    return pixels


def _text_feeds(
    tensors: Sequence[TensorSpec], ids: NDArray[np.float32], lengths: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """Ids [N, T], which of them are tokens of the text, and where a model asks for it, that these are one text's."""
    mask = np.arange(ids.shape[1]) < lengths[:, None]
    values = (ids, mask, np.zeros_like(ids))
    return {spec.name: own.astype(np.int64) for spec, own in zip(tensors, values, strict=False)}


def graph_feeds(
    columns: Sequence[Column], tensors: Sequence[TensorSpec], codes: NDArray[np.float32]
) -> dict[str, NDArray[Any]]:
    """What model.onnx is given for rows of codes of one table, by the name of its input.

    - Without categories: the rows themselves, one tensor [N, F].
    - Otherwise one tensor [N, 1] a column: a number or the days as they are, a category by its own value. A missing
      category is the empty text or NaN. An unseen one is a value that is none of the categories.

    Args:
        columns: the columns, in order.
        tensors: the graph's inputs that they feed, in the columns' order.
        codes: the rows [N, F].
    """
    if not any(column.categories for column in columns):
        return {tensors[0].name: codes}
    return {
        tensor.name: _feed(column.categories, codes[:, j : j + 1])
        for j, (column, tensor) in enumerate(zip(columns, tensors, strict=True))
    }


def _feed(categories: Categories | None, codes: NDArray[np.float32]) -> NDArray[Any]:
    return codes if categories is None else np.take(code_values(categories), codes.astype(np.int64))


def code_values(categories: Categories) -> NDArray[Any]:
    """What a graph is given for each code, [codes]: texts as objects, or numbers as float32."""
    if categories.type == TEXT:
        other = "other"
        while other in categories.values:
            other += "_"
        texts: NDArray[Any] = np.array([*categories.values, other, ""], dtype=object)
        return texts
    numbers = np.array([category_number(text) for text in categories.values], dtype=np.float32)
    largest = numbers.max(initial=0)
    # Beyond 2^24, one more would be the same float32.
    return np.append(numbers, [max(largest + 1, np.nextafter(largest, np.float32(np.inf))), np.nan]).astype(np.float32)
