"""The budget of a bundle's reasons: what would take more time or memory is left out, with the reason, not waited for.

Estimates are by the numbers of operators and values, so that the same model has the same bundle on every machine.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode

from whyport.runtime.bundle import deepshap
from whyport.runtime.bundle.deepshap import PASS_BYTES
from whyport.runtime.errors import ExportError

SECONDS = 300
"""The CPU time that a file may take to compile, by its estimate."""
SECONDS_PER_OPERATOR = {"deepshap.pt": 0.03, "a portable graph": 0.1}
"""A whole recurrent layer is one operator; one that a network's own code unrolls is some operators a step."""


def check_time(file: str, operators: int) -> None:
    """Raise ExportError where a file of so many operators would take too long to compile.

    Args:
        file: a key of `SECONDS_PER_OPERATOR`.
        operators: the number of the network's operators.
    """
    seconds = operators * SECONDS_PER_OPERATOR[file]
    if seconds > SECONDS:
        raise ExportError(
            f"{file} of {operators} operators: expected at most {SECONDS} CPU seconds to compile it, got an estimate "
            f"of {seconds:.0f}"
        )


ROW_VALUES = 1 << 29
"""The values that a graph may compute for a row, 2 GiB in float32. ONNX Runtime took 8 CPU seconds and 4 to 8 GB for a
row of 2.3 billion: pictures of 200 x 200, a network of four convolutions, and ten references."""


def check_values(file: str, module: nn.Module, row: Sequence[Tensor]) -> None:
    """Raise ExportError where a graph would compute too much for a row. Nothing is computed to know it.

    Args:
        file: the graph's name in the bundle.
        module: what it is compiled from.
        row: its inputs, with an N of 1.
    """
    with torch.no_grad(), FakeTensorMode(allow_non_fake_inputs=True), _Values() as values:
        module(*row)
    if values.count > ROW_VALUES:
        raise ExportError(f"{file}: expected at most {ROW_VALUES:,} values to compute for a row, got {values.count:,}")


class _Values(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts the values of all results."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.count = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        for each in out if isinstance(out, (tuple, list)) else (out,):
            self.count += each.numel() if isinstance(each, Tensor) else 0
        return out


def pairs_per_pass(values: Sequence[Tensor], targets: int) -> int:
    """The number of pairs of a row and a reference in a pass, so that each tensor keeps to `PASS_BYTES`.

    Args:
        values: activations of some rows, with N in front.
        targets: how many scores are explained.

    Raises:
        ExportError: a single pair takes more.
    """
    size = targets * max(value[0].numel() * value.element_size() for value in values)
    if size > PASS_BYTES:
        raise ExportError(
            f"values of one row and one reference: expected at most {PASS_BYTES >> 20} MB, got {size >> 20} MB"
        )
    return deepshap.pairs_per_pass(size)
