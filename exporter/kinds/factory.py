"""Finds a user's model by its name, or makes it by that of its factory."""

import importlib
import inspect
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import torch

from whyport.exporter.kinds import file_suffixes, find_kind
from whyport.exporter.kinds.keras_backend import torch_by_default
from whyport.exporter.kinds.pickles import PICKLES
from whyport.runtime.errors import ExportError, UsageError, first_line, unknown

WEIGHTS = (".pt", ".pth", ".bin", ".ckpt", ".safetensors")
"""The suffixes of files that hold weights alone."""


def make_model(source: str, seed: int) -> Any:
    """The model of "MODULE:NAME": what has the name, or what the function of the name gives.

    Args:
        source: the name; the module may be in the current folder.
        seed: seeds PyTorch's random numbers while the function runs.

    Raises:
        UsageError: there is nothing of the name, or a function that needs arguments.
        ExportError: the function fails.
    """
    module_name, name = _parse(source)
    with _current_folder_importable(), torch_by_default():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            raise UsageError(f"source {source!r}: cannot import {module_name!r}: {first_line(error)}") from error
        found = _find(module, name, source)
        if find_kind(found) is not None:
            return found
        factory = _factory(found, name, source)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                return factory()
            except Exception as error:
                raise ExportError(f"source {source!r}: {name}() fails: {first_line(error)}") from error


def _parse(source: str) -> tuple[str, str]:
    """The names of the module and of what is in it; UsageError, with what to write in its place, where it has none."""
    module, colon, name = source.partition(":")
    files = " or ".join(f"*{suffix}" for suffix in (*file_suffixes(), *PICKLES))
    expected = f"source {source!r}: expected MODULE:NAME, or a file named {files}"
    if module.lower().endswith(".py"):
        path = Path(module)
        folder = "" if str(path.parent) == "." else f", in the folder {str(path.parent)!r} or with it in PYTHONPATH"
        raise UsageError(f"{expected}; a module goes by its name: {path.stem}:{name or 'NAME'}{folder}")
    if not colon and Path(module).suffix.lower() in WEIGHTS:
        raise UsageError(f"{expected}; a file of weights goes with its network: MODULE:NAME --weights FILE")
    if not (module and name):
        parts = source.split(".")
        named = len(parts) > 1 and all(part.isidentifier() for part in parts)
        hint = f"; did you mean {'.'.join(parts[:-1])}:{parts[-1]}?" if named else ""
        raise UsageError(f"{expected}{hint}")
    return module, name


def _find(module: ModuleType, name: str, source: str) -> Any:
    """What has the name in the module; UsageError where nothing has."""
    if not hasattr(module, name):
        own = [
            key
            for key, value in vars(module).items()
            if getattr(value, "__module__", "") == module.__name__ or find_kind(value) is not None
        ]
        raise UsageError(f"source {source!r}: module {module.__name__!r}: {unknown('model or function', name, own)}")
    return getattr(module, name)


def _factory(found: Any, name: str, source: str) -> Callable[[], Any]:
    """A function that gives the model; UsageError for anything else."""
    if not callable(found):
        write = "name a fitted model, or a function without arguments that returns it"
        raise UsageError(f"source {source!r}: {name} is an object of type {type(found).__name__}, no model; {write}")
    try:
        inspect.signature(found).bind()
    except TypeError as error:
        raise UsageError(
            f"source {source!r}: {name}() needs arguments ({error}); write a function without any that calls it, "
            f"and name that"
        ) from None
    except ValueError:  # some classes written in C have no signature
        pass
    factory: Callable[[], Any] = found
    return factory


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
