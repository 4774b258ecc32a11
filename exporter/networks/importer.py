"""ONNX graphs as PyTorch networks, for any number of rows.

The graph is computed for several numbers of rows. What is the same in each is a constant; a size that grows with the
number follows from it; everything else depends on the row, and becomes an operation of PyTorch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx.inliner import inline_local_functions
from torch import Tensor, nn

from whyport.exporter.graphs.conform import inputs_of
from whyport.exporter.networks import convolution, elementwise, linear, normalise, recurrent, reduce, shape  # noqa: F401
from whyport.exporter.networks.interpreter import Call, Interpreter, as_tensor
from whyport.exporter.networks.network import Chain, Operand, Operation, Repeated, RowSizes, SplitNetwork
from whyport.exporter.networks.operators import LAYERS, OPERATORS

COUNTS = (2, 3, 7)
"""The numbers of rows that a graph is computed for."""
MAPS_RANKS = (3, 4)
"""Rows, channels, and positions along one axis or two."""


@dataclass(frozen=True)
class Imported:
    """An imported network."""

    network: nn.Module
    """Rows [N, F] to scores; with `features` and `classify` where there is a convolution to split it at."""
    no_split: str
    """Why it is not split; empty where it is."""


def import_network(model: onnx.ModelProto, output: str, rows: Tensor) -> Imported:
    """The network between a model's one input and one of its tensors.

    Args:
        model: the model; it is not changed.
        output: the name of the tensor that the network gives.
        rows: one or more finite rows [N, F] float32.

    Raises:
        UnsupportedOperatorError: an operator on the way has no counterpart in PyTorch, or is used in a way that has
            none; the message names it.
    """
    model = inline_local_functions(model)
    taken = inputs_of(model.graph)[0].name
    interpreter = Interpreter(model, taken, output)
    runs = [interpreter.run(rows[torch.arange(count) % len(rows)]) for count in COUNTS]
    steps = [(_operation(calls), calls[0].outputs) for calls in _aligned(runs)]
    cut, obstacle = _find_split(runs[0], output)
    if cut is None:
        return Imported(Chain(taken, output, steps).eval(), obstacle)
    maps = runs[0][cut].outputs[0]
    front, back = Chain(taken, maps, steps[: cut + 1]), Chain(maps, output, steps[cut + 1 :])
    return Imported(SplitNetwork(front, back).eval(), "")


def _aligned(runs: Sequence[list[Call]]) -> list[tuple[Call, ...]]:
    """Each operator's calls for all numbers of rows; refuses a branch that depends on the number."""
    for calls in zip(*runs, strict=False):
        if len({call.outputs for call in calls}) > 1:
            calls[0].attributes.refuse("in a branch that depends on the number of rows")
    return list(zip(*runs, strict=True))


def _operation(calls: Sequence[Call]) -> Operation:
    """One operator, from its calls for all numbers of rows."""
    call = calls[0]
    attributes, operands = call.attributes, call.operands
    if attributes.operator in LAYERS:
        constants = [operand if isinstance(operand, np.ndarray) else None for operand in operands[1:]]
        return Operation(attributes, operands[:1], LAYERS[attributes.operator](attributes, constants))
    fixed = OPERATORS[attributes.operator].fixed
    merged = [_merge(call, [each.operands[i] for each in calls], i in fixed) for i in range(len(operands))]
    return Operation(attributes, merged, None)


def _merge(call: Call, values: Sequence[Any], fixed: bool) -> Operand:
    """One operand from its values for all numbers of rows."""
    first = values[0]
    if not isinstance(first, np.ndarray):
        return first
    if all(value.shape == first.shape and np.array_equal(value, first, equal_nan=True) for value in values):
        return first if fixed else as_tensor(first)
    if fixed and first.ndim < 2 and all(value.shape == first.shape for value in values):
        return _sizes(call, [value.reshape(-1) for value in values])
    if not fixed and all(value.ndim == first.ndim for value in values):
        for axis in range(first.ndim):
            if all(_repeats(value, axis, count, first) for value, count in zip(values, COUNTS, strict=True)):
                return Repeated(as_tensor(first.take([0], axis)), axis)
    call.attributes.refuse("of a constant that depends on the number of rows")


def _sizes(call: Call, values: Sequence[NDArray[Any]]) -> RowSizes:
    """Whole numbers that follow from the number of rows."""
    factor = (values[1] - values[0]) // (COUNTS[1] - COUNTS[0])
    offset = values[0] - factor * COUNTS[0]
    if any((offset + factor * count != value).any() for count, value in zip(COUNTS, values, strict=True)):
        call.attributes.refuse("with sizes that do not grow evenly with the number of rows")
    return RowSizes(tuple(map(int, offset)), tuple(map(int, factor)))


def _repeats(value: NDArray[Any], axis: int, count: int, first: NDArray[Any]) -> bool:
    """Whether an array holds the first one's values, once for each row along an axis."""
    return value.shape[axis] == count and bool((value == first.take([0], axis)).all())


def _find_split(calls: Sequence[Call], output: str) -> tuple[int | None, str]:
    """The position of the first tensor from the last convolution on that all later ones depend on; or why none is."""
    convolutions = [i for i, call in enumerate(calls) if call.attributes.operator == "Conv"]
    if not convolutions:
        return None, "the network has no convolution"
    if (rank := len(calls[convolutions[-1]].shape)) not in MAPS_RANKS:
        expected = "[N, channels, positions] or [N, channels, y, x]"
        return None, f"the maps of the last convolution have {rank} axes, not {expected}"
    for i in range(convolutions[-1], len(calls)):
        maps = calls[i].outputs[0]
        later = {maps}.union(*(call.outputs for call in calls[i + 1 :]))
        needed = {name for call in calls[i + 1 :] for name in call.operands if isinstance(name, str)}
        if maps != output and len(calls[i].shape) == rank and needed <= later:
            return i, ""
    return None, "no maps behind the last convolution are all that the scores depend on"
