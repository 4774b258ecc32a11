"""Makes a user's model by the name of its factory."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from whyport.exporter.kinds import KINDS
from whyport.runtime.errors import ExportError, UsageError, first_line


def make_model(source: str, seed: int) -> Any:
    """Call the factory of "MODULE:FACTORY"; the module may be in the current folder.

    Args:
        source: the factory's name.
        seed: seeds PyTorch's random numbers while the factory runs.

    Raises:
        UsageError: there is no such factory.
        ExportError: the factory fails.
    """
    module_name, colon, factory_name = source.partition(":")
    if not (module_name and colon and factory_name):
        files = " or ".join(f"*{form}" for form, _ in KINDS.values() if form.startswith("."))
        raise UsageError(f"source {source!r}: expected MODULE:FACTORY, or a file named {files}")
    with _current_folder_importable():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            raise UsageError(f"source {source!r}: cannot import {module_name!r}: {first_line(error)}") from error
        factory = getattr(module, factory_name, None)
        if not callable(factory):
            raise UsageError(f"source {source!r}: module {module_name!r} has no function {factory_name!r}")
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                return factory()
            except Exception as error:
                raise ExportError(f"source {source!r}: {factory_name}() fails: {first_line(error)}") from error


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
