"""Operators of ONNX that move elements: reshape, cut, join, repeat, pad."""

from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from whyport.exporter.networks.operators import Attributes, operator, whole_numbers


@operator("Reshape", fixed=(1,))
def _reshape(attributes: Attributes, x: Tensor, shape: Any = None) -> Tensor:
    sizes = whole_numbers(attributes, shape)
    if attributes.get("allowzero"):
        return x.reshape(sizes)
    return x.reshape([x.shape[i] if isinstance(size, int) and size == 0 else size for i, size in enumerate(sizes)])


@operator("Flatten")
def _flatten(attributes: Attributes, x: Tensor) -> Tensor:
    axis = attributes.get("axis", 1)
    axis = axis + x.ndim if axis < 0 else axis
    if axis == 0:
        return x.reshape(1, -1)
    x = x.flatten(axis) if axis < x.ndim else x.unsqueeze(-1)
    return x if axis == 1 else x.flatten(0, axis - 1)


@operator("Transpose")
def _transpose(attributes: Attributes, x: Tensor) -> Tensor:
    return x.permute(*attributes.get("perm", range(x.ndim)[::-1]))


@operator("Unsqueeze", fixed=(1,))
def _unsqueeze(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    found = attributes.get("axes") if axes is None else whole_numbers(attributes, axes)
    rank = x.ndim + len(found)
    for axis in sorted(axis % rank for axis in found):
        x = x.unsqueeze(axis)
    return x


@operator("Squeeze", fixed=(1,))
def _squeeze(attributes: Attributes, x: Tensor, axes: Any = None) -> Tensor:
    found = attributes.get("axes") if axes is None else whole_numbers(attributes, axes)
    if found is None:
        found = [axis for axis in range(1, x.ndim) if x.shape[axis] == 1]
    for axis in sorted((axis % x.ndim for axis in found), reverse=True):
        x = x.squeeze(axis)
    return x


@operator("Concat")
def _join(attributes: Attributes, *operands: Tensor) -> Tensor:
    return torch.cat(operands, attributes.get("axis"))


@operator("Expand", fixed=(1,))
def _expand(attributes: Attributes, x: Tensor, shape: Any) -> Tensor:
    sizes = whole_numbers(attributes, shape)
    sizes = [*[1] * (x.ndim - len(sizes)), *sizes]
    new = len(sizes) - x.ndim
    # A size of 1 keeps what the tensor has.
    return x.expand([-1 if i >= new and isinstance(size, int) and size == 1 else size for i, size in enumerate(sizes)])


@operator("Tile", fixed=(1,))
def _tile(attributes: Attributes, x: Tensor, repeats: Any) -> Tensor:
    return x.repeat(whole_numbers(attributes, repeats))


@operator("Slice", fixed=(1, 2, 3, 4))
def _slice(
    attributes: Attributes, x: Tensor, starts: Any = None, ends: Any = None, axes: Any = None, steps: Any = None
) -> Tensor:
    if starts is None:  # attributes before opset 10
        starts, ends, axes = (attributes.get(name) for name in ("starts", "ends", "axes"))
        axes = None if axes is None else np.array(axes)
        starts, ends = np.array(starts), np.array(ends)
    first, last = whole_numbers(attributes, starts), whole_numbers(attributes, ends)
    along = list(range(len(first))) if axes is None else whole_numbers(attributes, axes)
    by = [1] * len(first) if steps is None else whole_numbers(attributes, steps)
    for start, end, axis, step in zip(first, last, along, by, strict=True):
        x = _cut(x, axis % x.ndim, (start, end, step))
    return x


def _cut(x: Tensor, axis: int, span: tuple[Any, Any, int]) -> Tensor:
    """One axis of a slice; a negative step goes backwards, from the start on."""
    start, end, step = span
    if step < 0:
        positions = list(range(int(x.shape[axis])))[start : None if end < -int(x.shape[axis]) else end : step]
        return x.index_select(axis, torch.tensor(positions, dtype=torch.int64, device=x.device))
    return x[(slice(None),) * axis + (slice(start, end, step),)]


@operator("Split", fixed=(1,))
def _split(attributes: Attributes, x: Tensor, sizes: Any = None) -> tuple[Tensor, ...]:
    axis = attributes.get("axis", 0)
    given = attributes.get("split") if sizes is None else whole_numbers(attributes, sizes)
    if given is None:
        given = -(-int(x.shape[axis]) // attributes.outputs)
    return torch.split(x, given, axis)


@operator("Gather", fixed=(1,))
def _gather(attributes: Attributes, x: Tensor, index: Any) -> Tensor:
    axis = attributes.get("axis", 0) % x.ndim
    if isinstance(index, tuple):
        attributes.refuse("where the index depends on the number of rows")
    if isinstance(index, np.ndarray):
        if index.ndim == 0:
            return x.select(axis, int(index))
        count = int(x.shape[axis]) if (index < 0).any() else 0
        chosen = torch.from_numpy(np.where(index < 0, index + count, index).astype(np.int64)).to(x.device)
        picked = x.index_select(axis, chosen.reshape(-1))
        return picked if chosen.ndim == 1 else torch.unflatten(picked, axis, list(chosen.shape))
    if axis != 0:
        attributes.refuse("along another axis than the first, where the index depends on the row")
    return functional.embedding(torch.where(index < 0, index + x.shape[0], index), x)


@operator("Pad", fixed=(1, 2, 3))
def _pad(attributes: Attributes, x: Tensor, pads: Any = None, value: Any = None, axes: Any = None) -> Tensor:
    attributes.allow(mode="constant")
    sizes = attributes.get("pads") if pads is None else whole_numbers(attributes, pads)
    along = range(len(sizes) // 2) if axes is None else [axis % x.ndim for axis in whole_numbers(attributes, axes)]
    # PyTorch counts from the last axis.
    padding = [0] * (2 * x.ndim)
    for i, axis in enumerate(along):
        at = 2 * (x.ndim - 1 - axis)
        padding[at], padding[at + 1] = sizes[i], sizes[len(along) + i]
    filling = attributes.get("value", 0.0) if value is None else float(np.asarray(value).reshape(-1)[0])
    return functional.pad(x, padding, value=filling)
