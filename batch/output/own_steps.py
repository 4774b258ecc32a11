"""Shares of sequences of varying length as Arrow lists: of each row its own steps, and back."""

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from whyport.batch.methods.positions import Block


def steps_type(block: Block, kind: pa.DataType) -> pa.DataType:
    """The type of a row's list: of each step one number, or a list of as many as it has."""
    width = _width(block)
    return pa.list_(kind if width == 1 else pa.list_(kind, width))


def lists_of_steps(block: Block, values: NDArray[np.floating[Any]], steps: NDArray[np.int64]) -> pa.Array:
    """The shares of an input, [N, *shape], as lists of the rows' own steps.

    Args:
        block: the input.
        values: its shares.
        steps: each row's number of steps, [N].
    """
    width = _width(block)
    own = np.arange(block.shape[0]) < steps[:, None]
    flat = pa.array(values.reshape(len(values), block.shape[0], width)[own].reshape(-1))
    each = flat if width == 1 else pa.FixedSizeListArray.from_arrays(flat, width)
    return cut_lists(each, steps)


def cut_lists(elements: pa.Array, lengths: NDArray[np.integer[Any]]) -> pa.Array:
    """Lists of these lengths, [N], of elements that stand one after the other."""
    offsets = np.concatenate([[0], lengths.cumsum()]).astype(np.int32)
    return pa.ListArray.from_arrays(pa.array(offsets), elements)


def read_steps(column: pa.ChunkedArray, block: Block) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """The shares in a column of lists, [N, cells], and whether a row has each.

    A cell that a row lacks is 0, as its share is; NaN in rows without a list.
    """
    lists, width = column.combine_chunks(), _width(block)
    elements = lists.flatten()
    numbers = elements if width == 1 else elements.flatten()
    steps = list_lengths(lists)
    values, own = spread(numbers.to_numpy(zero_copy_only=False), steps * width, block.stop - block.start)
    values[~lists.is_valid().to_numpy(zero_copy_only=False)] = np.nan
    return values, own


def list_lengths(lists: pa.Array) -> NDArray[np.int64]:
    """The length of each list, [N]; 0 where there is none."""
    counted: NDArray[np.int64] = pc.fill_null(pc.list_value_length(lists), 0).to_numpy(zero_copy_only=False)
    return counted.astype(np.int64)


def spread(
    numbers: NDArray[Any], lengths: NDArray[np.int64], width: int
) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Lists one after the other as rows [N, width] with 0 behind their ends, and whether a row has each place."""
    has = np.arange(width) < lengths[:, None]
    values = np.zeros(has.shape)
    values[has] = numbers
    return values, has


def _width(block: Block) -> int:
    return (block.stop - block.start) // block.shape[0]
