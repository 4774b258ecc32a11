"""What a bundle's TorchScript gives, checked: its errors are errors of the bundle, and no shape is broadcast."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from torch import Tensor

from whyport.runtime.bundle.folder import Bundle
from whyport.runtime.errors import BundleError, WhyportError


@contextmanager
def running(bundle: Bundle, file: str) -> Iterator[None]:
    """Turn what TorchScript or a fused kernel raises about a file of the bundle into BundleError."""
    try:
        yield
    except WhyportError as error:
        raise error.at(str(bundle.path / file)) if type(error) is BundleError else error from None
    except Exception as error:  # an operator may raise any kind
        # The interpreter's own words come first, and the cause last.
        cause = (str(error).strip().splitlines() or [type(error).__name__])[-1]
        raise BundleError(f"TorchScript cannot run it: {cause}, in {bundle.path / file!s}") from error


def shaped(name: str, value: Any, shape: Sequence[int | None]) -> Tensor:
    """The tensor itself; raises BundleError for another shape, in which None is any length."""
    if not isinstance(value, Tensor):
        raise BundleError(f"{name}: expected a tensor, got {type(value).__name__}")
    got = list(value.shape)
    if len(got) != len(shape) or any(b is not None and a != b for a, b in zip(got, shape, strict=True)):
        expected = ["any" if length is None else length for length in shape]
        raise BundleError(f"{name}: expected shape {expected}, got {got}")
    return value
