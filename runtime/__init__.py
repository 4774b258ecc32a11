"""Reads bundles and runs them with ONNX Runtime; the contract that the other packages share. Never imports torch."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from runtime.bundle import Bundle
    from runtime.errors import WhyportError
    from runtime.session import Session

__all__ = ["Bundle", "Session", "WhyportError"]

_HOMES = {"Bundle": "runtime.bundle", "Session": "runtime.session", "WhyportError": "runtime.errors"}


def __getattr__(name: str) -> Any:
    # Imported on first use, so that `whyport --help` pays for neither numpy nor ONNX Runtime.
    if name not in _HOMES:
        raise AttributeError(f"module 'runtime' has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
