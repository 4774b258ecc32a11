"""The precision of a CUDA card's arithmetic."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Any

import torch

_lock = Lock()
_entered = 0
_before: list[str] = []


@contextmanager
def full_float32() -> Iterator[None]:
    """Let cuDNN keep all of float32: TF32, PyTorch's default for it, has 10 bits of mantissa and misses the tolerances.

    The setting is the whole process's; it is put back when the last thread has left.
    """
    global _entered
    cudnn: Any = torch.backends.cudnn  # it stands in for its module, whose attributes the types do not know
    operators = cudnn.conv, cudnn.rnn
    with _lock:
        if not _entered:
            _before[:] = [operator.fp32_precision for operator in operators]
            for operator in operators:
                operator.fp32_precision = "ieee"
        _entered += 1
    try:
        yield
    finally:
        with _lock:
            _entered -= 1
            if not _entered:
                for operator, precision in zip(operators, _before, strict=True):
                    operator.fp32_precision = precision
