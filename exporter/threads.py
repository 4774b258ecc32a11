"""The threads of PyTorch's operators, which a caller's own work shares."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch

from whyport.runtime.errors import UsageError


@contextmanager
def operator_threads(threads: int) -> Iterator[None]:
    """So many threads for one operator inside, as many as before afterwards; UsageError for fewer than one."""
    if threads < 1:
        raise UsageError(f"threads: expected at least 1, got {threads}")
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)
