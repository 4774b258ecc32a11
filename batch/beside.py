"""The columns that a method writes beside its attributions: values of each feature, and arrays of a row."""

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from batch.explainers import Beside, beside_of
from batch.explainers.settings import ExplainSettings
from runtime.bundle import Sidecar

AXES = {"attention": ("query", "key")}
"""What the axes of the model's outputs are called."""


class BesideColumns:
    """Those of one method.

    Args:
        sidecar: has the outputs' shapes.
        method: its name.
        settings: the methods' options.
    """

    def __init__(self, sidecar: Sidecar, method: str, settings: ExplainSettings) -> None:
        declared = beside_of(method, settings)
        self.per_feature = [b.name for b in declared if b.per_feature]
        """Names of what each feature has, in the layout of the attributions."""
        self._arrays = [b for b in declared if not b.per_feature]
        shapes = {spec.name: spec.row_shape() for spec in sidecar.signature.outputs}
        self._types = {b.name: array_type(b, shapes) for b in self._arrays}
        self.values = sum(int(np.prod(shapes.get(b.output or "", ()))) for b in self._arrays)
        """How many values the arrays of a row have, where their shape is known."""

    def names(self, prefix: str, suffixes: Sequence[str]) -> list[str]:
        """The names of the arrays' columns, where `prefix` names the method and each of `suffixes` a class."""
        return [f"{prefix}{b.name}{suffix}" for b in self._arrays for suffix in (suffixes if b.per_class else [""])]

    def fields(self, prefix: str, suffixes: Sequence[str]) -> list[pa.Field]:
        """The arrays' columns."""
        kinds = [self._types[b.name] for b in self._arrays for _ in (suffixes if b.per_class else [""])]
        return [pa.field(name, kind) for name, kind in zip(self.names(prefix, suffixes), kinds, strict=True)]

    def arrays(self, beside: Mapping[str, NDArray[np.float32]], width: int) -> list[pa.Array]:
        """The arrays of `fields`, of rows that come `width` times, once for every class."""
        return [
            _array(self._types[b.name], beside[b.name][k::width])
            for b in self._arrays
            for k in (range(width) if b.per_class else (0,))
        ]


def array_type(beside: Beside, shapes: Mapping[str, tuple[int, ...]]) -> pa.DataType:
    """A tensor of the shape of the model's output, or a list of any length."""
    if beside.output is None:
        return pa.list_(pa.float32())
    return pa.fixed_shape_tensor(pa.float32(), shapes[beside.output], dim_names=AXES.get(beside.output))


def _array(kind: pa.DataType, values: NDArray[np.float32]) -> pa.Array:
    flat, length = pa.array(np.ascontiguousarray(values).reshape(-1)), values[0].size if len(values) else 0
    if isinstance(kind, pa.BaseExtensionType):
        lists = pa.FixedSizeListArray.from_arrays(flat, type=kind.storage_type)
        return pa.ExtensionArray.from_storage(kind, lists)
    offsets = np.arange(len(values) + 1, dtype=np.int32) * length
    return pa.ListArray.from_arrays(pa.array(offsets), flat)
