"""Functions that PyTorch's exporter traces for one number of rows, written for any number of them."""

from collections.abc import Callable
from typing import Any

from torch import Tensor
from torch.overrides import TorchFunctionMode


class AnyRows(TorchFunctionMode):
    """A mode in which a network is traced for any number of rows."""

    def __torch_function__(
        self, function: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        """PyTorch's own protocol."""
        function = _FUNCTIONS.get(getattr(function, "__name__", ""), function)
        return function(*args, **(kwargs or {}))


def take_along_dim(input: Tensor, indices: Tensor, dim: int | None = None) -> Tensor:
    """Values at positions along an axis, where the other axes are broadcast."""
    if dim is None:
        return input.flatten().gather(0, indices.flatten())
    x, dim = input, dim % input.ndim
    sizes = [of_x if of_index == 1 else of_index for of_x, of_index in zip(x.shape, indices.shape, strict=True)]
    x, indices = (each.expand(*sizes[:dim], each.shape[dim], *sizes[dim + 1 :]) for each in (x, indices))
    return x.gather(dim, indices.remainder(x.shape[dim]))


def kron(input: Tensor, other: Tensor) -> Tensor:
    """Kronecker's product of two tensors."""
    rank = max(input.ndim, other.ndim)
    left, right = (each.reshape([1] * (rank - each.ndim) + list(each.shape)) for each in (input, other))
    shape = [size * of_right for size, of_right in zip(left.shape, right.shape, strict=True)]
    outer = [length for size in left.shape for length in (size, 1)]
    inner = [length for size in right.shape for length in (1, size)]
    return (left.reshape(outer) * right.reshape(inner)).reshape(shape)


_FUNCTIONS: dict[str, Callable[..., Tensor]] = {"take_along_dim": take_along_dim, "kron": kron}
"""By the names that they have in PyTorch, as functions and as methods."""
