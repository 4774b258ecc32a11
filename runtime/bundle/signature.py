"""The inputs and outputs of a bundle's graphs, and the columns that feed the inputs."""

from dataclasses import dataclass
from typing import Annotated

from whyport.runtime.bundle.constraints import AtLeastOne, AxisName, Count, DataType, Name
from whyport.runtime.errors import BundleFormatError


@dataclass(frozen=True)
class TensorSpec:
    """One input or output of a graph."""

    name: Name
    dtype: DataType
    """numpy's name for the element type, such as "float32"."""
    shape: Annotated[tuple[Count | AxisName, ...], AtLeastOne()]
    """The axes, the first counting rows; a number is a fixed length, a name (such as "N") any length."""
    columns: tuple[Name, ...] = ()
    """Inputs only: the table's columns that fill the last axis, in order."""

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
    """The inputs and outputs shared by every graph of a bundle, in the graphs' order."""

    inputs: Annotated[tuple[TensorSpec, ...], AtLeastOne()]
    outputs: Annotated[tuple[TensorSpec, ...], AtLeastOne()]

    @property
    def features(self) -> TensorSpec:
        """The one input that a table's columns feed, [N, F] float32."""
        return self.inputs[0]

    def output(self, name: str) -> TensorSpec:
        """The output of that name."""
        for spec in self.outputs:
            if spec.name == name:
                return spec
        raise KeyError(name)
