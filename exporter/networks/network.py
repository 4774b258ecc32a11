"""An imported network as PyTorch modules: chains of operations, for any number of rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, final

from torch import Tensor, nn

from whyport.exporter.networks.interpreter import compute
from whyport.exporter.networks.operators import Attributes, Sizes


@final
@dataclass(frozen=True)
class RowSizes:
    """Whole numbers that follow from the number N of rows: offset + factor * N."""

    offset: tuple[int, ...]
    factor: tuple[int, ...]

    def of(self, count: Any) -> Sizes:
        """The numbers for so many rows; those that do not depend on it stay plain."""
        return tuple(
            offset if factor == 0 else count if (offset, factor) == (0, 1) else offset + factor * count
            for offset, factor in zip(self.offset, self.factor, strict=True)
        )


@final
@dataclass(frozen=True)
class Repeated:
    """A constant with an axis along which it is repeated for each row."""

    values: Tensor
    """With a length of 1 along the axis."""
    axis: int


Operand = str | Tensor | RowSizes | Repeated | Any
"""The name of a tensor that depends on the row, a constant in one of its forms, or None."""


@final
class Operation(nn.Module):
    """One operator with its constants.

    Args:
        attributes: the operator's.
        operands: its operands; those behind a layer's first are inside the layer.
        layer: the layer that takes the operator's place; None for a function.
    """

    def __init__(self, attributes: Attributes, operands: Sequence[Operand], layer: nn.Module | None) -> None:
        super().__init__()
        self.attributes = attributes
        self.layer = layer
        self.operands = list(operands)
        for i, operand in enumerate(operands):
            values = operand.values if isinstance(operand, Repeated) else operand
            if isinstance(values, Tensor):
                self.register_buffer(f"operand_{i}", values)

    @property
    def names(self) -> list[str]:
        """The tensors that depend on the row, in the order in which it takes them."""
        return [operand for operand in self.operands if isinstance(operand, str)]

    @property
    def layer_name(self) -> str:
        """The name of the node that it was."""
        return self.attributes.node

    def forward(self, count: Any, *tensors: Tensor) -> Any:
        """The outputs for tensors that belong to so many rows."""
        if self.layer is not None:
            return self.layer(*tensors)
        waiting = iter(tensors)
        return compute(self.attributes, [self._operand(i, count, waiting) for i in range(len(self.operands))])

    def _operand(self, i: int, count: Any, waiting: Any) -> Any:
        operand = self.operands[i]
        if isinstance(operand, str):
            return next(waiting)
        if isinstance(operand, RowSizes):
            return operand.of(count)
        if isinstance(operand, Repeated):
            shape: list[Any] = list(operand.values.shape)
            shape[operand.axis] = count
            return self.get_buffer(f"operand_{i}").expand(shape)
        return self.get_buffer(f"operand_{i}") if isinstance(operand, Tensor) else operand


@final
class Chain(nn.Module):
    """Operations from one tensor to another.

    Args:
        taken: the name of the tensor that it takes, with N rows on its first axis.
        given: the name of the tensor that it gives.
        steps: the operations, each with the names of its outputs.
    """

    def __init__(self, taken: str, given: str, steps: Sequence[tuple[Operation, tuple[str, ...]]]) -> None:
        super().__init__()
        self.taken, self.given = taken, given
        self.operations = nn.ModuleDict(
            {
                f"{i}_{operation.attributes.operator}".replace(".", "_"): operation
                for i, (operation, _) in enumerate(steps)
            }
        )
        self.outputs = [outputs for _, outputs in steps]

    def forward(self, x: Tensor) -> Tensor:
        """[N, ...] to [N, ...]."""
        values, count = {self.taken: x}, x.shape[0]
        for operation, outputs in zip(self.operations.values(), self.outputs, strict=True):
            assert isinstance(operation, Operation)
            results = operation(count, *(values[name] for name in operation.names))
            values.update(zip(outputs, results if isinstance(results, tuple | list) else (results,), strict=False))
        return values[self.given]


@final
class SplitNetwork(nn.Module):
    """A network in two chains, by way of the maps of its last convolution."""

    def __init__(self, front: Chain, back: Chain) -> None:
        super().__init__()
        self.front, self.back = front, back

    def features(self, rows: Tensor) -> Tensor:
        """The maps [N, channels, positions] of rows [N, F]."""
        maps: Tensor = self.front(rows)
        return maps

    def classify(self, maps: Tensor) -> Tensor:
        """The scores of maps."""
        scores: Tensor = self.back(maps)
        return scores

    def forward(self, rows: Tensor) -> Tensor:
        """The scores of rows [N, F]."""
        return self.classify(self.features(rows))
