"""numba's decorator as the kernels use it: no lock of the interpreter, and compiled code kept on the disk."""

from collections.abc import Callable
from contextlib import suppress
from typing import Any

from numba import njit
from numba.core.caching import FunctionCache


class _SpareCache(FunctionCache):
    """Compiled code on the disk. A disk that is full or cannot be read costs the time to compile, and not the run."""

    def save_overload(self, sig: Any, data: Any) -> None:
        with suppress(OSError):
            super().save_overload(sig, data)  # type: ignore[no-untyped-call]

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        with suppress(OSError):
            return super().load_overload(sig, target_context)  # type: ignore[no-untyped-call]
        return None


def compiler(*fastmath: str, inline: str = "never") -> Callable[[Any], Any]:
    """numba's decorator; the compiled code is cached on disk where there is a place for it.

    Args:
        fastmath: the liberties that the compiler may take with floating-point arithmetic; none by default.
        inline: "always" for a function that is compiled into each of its callers.
    """
    options: dict[str, Any] = {"nogil": True, "error_model": "numpy", "fastmath": set(fastmath), "inline": inline}

    def decorate(function: Any) -> Any:
        dispatcher = njit(**options)(function)
        # Without a place beside the module or in the user's cache, every process compiles anew.
        with suppress(RuntimeError):
            dispatcher._cache = _SpareCache(function)  # type: ignore[no-untyped-call]
        return dispatcher

    return decorate
