"""The tensors that a graph takes and gives."""

from dataclasses import dataclass
from typing import Annotated

from whyport.runtime.bundle.constraints import AtLeastOne, AxisName, Count, DataType, Name
from whyport.runtime.errors import BundleFormatError


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph."""

    name: Name
    dtype: DataType
    """numpy's name for the element type, such as "float32"; "string" for texts."""
    shape: Annotated[tuple[Count | AxisName, ...], AtLeastOne()]
    """The axes: a number is a fixed length, a name any length ("N" counts rows, "T" steps)."""

    def row_shape(self) -> tuple[int, ...]:
        """The shape of one row of the tensor; every axis but the first must have a fixed length."""
        fixed = tuple(length for length in self.shape[1:] if isinstance(length, int))
        if len(fixed) != len(self.shape) - 1:
            raise BundleFormatError(
                f"tensor {self.name!r}: expected fixed lengths after the first axis, got {self.shape}"
            )
        return fixed


@dataclass(frozen=True)
class Signature:
    """The inputs and outputs of one graph, in the graph's order."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]

    def output(self, name: str) -> TensorSpec:
        """The output of that name."""
        for spec in self.outputs:
            if spec.name == name:
                return spec
        raise KeyError(name)
