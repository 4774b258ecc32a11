"""Keras on PyTorch: its backend is chosen once for each process, when it is imported."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any

from whyport.runtime.errors import UsageError

VARIABLE, BACKEND = "KERAS_BACKEND", "torch"


@contextmanager
def torch_by_default() -> Iterator[None]:
    """Within it, an import of Keras gets PyTorch, unless the user has chosen otherwise."""
    if VARIABLE in os.environ:
        yield
        return
    os.environ[VARIABLE] = BACKEND
    try:
        yield
    finally:
        del os.environ[VARIABLE]


def import_keras() -> Any:
    """The package keras, on PyTorch.

    Raises UsageError where it has another backend, by the user's choice or in this process already.
    """
    with torch_by_default():
        if os.environ[VARIABLE] != BACKEND:
            raise UsageError(
                f"Keras: expected the backend {BACKEND}, got {VARIABLE}={os.environ[VARIABLE]}; "
                f"{VARIABLE}={BACKEND} chooses it"
            )
        keras: Any = import_module("keras")
    if (backend := keras.backend.backend()) != BACKEND:
        raise UsageError(
            f"Keras: expected the backend {BACKEND}, got {backend}, with which this process has imported it; set "
            f"{VARIABLE}={BACKEND} before"
        )
    return keras
