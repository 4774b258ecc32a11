"""The arguments of a network's forward, cut out of the flat row."""

import inspect
import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from whyport.runtime.bundle.inputs import Input, TablePreparation
from whyport.runtime.bundle.row import row_shape
from whyport.runtime.errors import UsageError, listing, unknown


class TakeInputs(nn.Module):
    """A network of several arguments as one of flat rows.

    Args:
        network: takes tensors [N, ...], and gives what networks give.
        shapes: the shape of a row of each argument, in the order of the arguments.
    """

    def __init__(self, network: nn.Module, shapes: Sequence[Sequence[int]]) -> None:
        super().__init__()
        self.network = network
        self.shapes = [list(shape) for shape in shapes]
        self.sizes = [math.prod(shape) for shape in shapes]

    def forward(self, cells: Tensor):  # type: ignore[no-untyped-def]
        """Cells [N, P] to what the network gives."""
        parts = torch.split(cells, self.sizes, dim=1)
        return self.network(*(part.reshape(-1, *shape) for part, shape in zip(parts, self.shapes, strict=True)))


def taking(network: nn.Module, inputs: Sequence[Input]) -> nn.Module:
    """The network over flat rows of these inputs, which are its arguments by name; itself, where it takes one table.

    Raises UsageError for an input that is no argument, and for an argument without a default that is no input.
    """
    if len(inputs) == 1 and isinstance(inputs[0].prepare, TablePreparation):
        return network
    arguments = inspect.signature(network.forward).parameters
    positional = [
        name for name, each in arguments.items() if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)
    ]
    names = [each.name for each in inputs]
    for name in names:
        if name not in positional:
            raise UsageError(f"--input: {unknown('argument', name, positional)}")
    lacking = [name for name in positional if arguments[name].default is inspect.Parameter.empty and name not in names]
    if lacking:
        raise UsageError(f"the network's forward also takes {listing(lacking)}: expected an --input for each")
    if names != positional[: len(names)]:
        raise UsageError(
            f"--input: expected them in the order of the network's forward, {listing(positional)}, got {listing(names)}"
        )
    return TakeInputs(network, [row_shape(each) for each in inputs])
