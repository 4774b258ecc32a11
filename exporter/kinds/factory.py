"""Makes a user's model by the name of its factory."""

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
from torch import nn

from whyport.exporter.kinds import KINDS
from whyport.runtime.errors import ExportError, UsageError, first_line, unknown

WEIGHTS = "a file of weights goes with its factory: MODULE:FACTORY --weights FILE"
PICKLED = "a fitted object is first converted to ONNX, with skl2onnx or onnxmltools"
ADVICE = {
    **dict.fromkeys((".pt", ".pth", ".bin", ".ckpt", ".safetensors"), WEIGHTS),
    **dict.fromkeys((".pkl", ".pickle", ".joblib"), PICKLED),
}
"""By a file's suffix: what to do with it."""


def make_model(source: str, seed: int) -> Any:
    """Call the factory of "MODULE:FACTORY"; the module may be in the current folder.

    Args:
        source: the factory's name.
        seed: seeds PyTorch's random numbers while the factory runs.

    Raises:
        UsageError: there is no such factory, or it needs arguments.
        ExportError: the factory fails.
    """
    module_name, factory_name = _parse(source)
    with _current_folder_importable():
        try:
            module = importlib.import_module(module_name)
        except Exception as error:
            raise UsageError(f"source {source!r}: cannot import {module_name!r}: {first_line(error)}") from error
        factory = _find(module, factory_name, source)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            try:
                return factory()
            except Exception as error:
                raise ExportError(f"source {source!r}: {factory_name}() fails: {first_line(error)}") from error


def _parse(source: str) -> tuple[str, str]:
    """The names of the module and the factory; UsageError, with what to write in its place, where it names none."""
    module, colon, factory = source.partition(":")
    files = " or ".join(f"*{form}" for form, _ in KINDS.values() if form.startswith("."))
    expected = f"source {source!r}: expected MODULE:FACTORY, or a file named {files}"
    if module.lower().endswith(".py"):
        path = Path(module)
        folder = "" if str(path.parent) == "." else f", in the folder {str(path.parent)!r} or with it in PYTHONPATH"
        raise UsageError(f"{expected}; a module goes by its name: {path.stem}:{factory or 'FACTORY'}{folder}")
    if not colon and (advice := ADVICE.get(Path(module).suffix.lower())):
        raise UsageError(f"{expected}; {advice}")
    if not (module and factory):
        parts = source.split(".")
        named = len(parts) > 1 and all(part.isidentifier() for part in parts)
        hint = f"; did you mean {'.'.join(parts[:-1])}:{parts[-1]}?" if named else ""
        raise UsageError(f"{expected}{hint}")
    return module, factory


def _find(module: ModuleType, name: str, source: str) -> Callable[[], Any]:
    """The factory; UsageError where the module has none of the name, or what it has is no factory."""
    if not hasattr(module, name):
        own = [key for key, value in vars(module).items() if getattr(value, "__module__", "") == module.__name__]
        raise UsageError(f"source {source!r}: module {module.__name__!r}: {unknown('function', name, own)}")
    found = getattr(module, name)
    write = f"write a function without arguments that returns it, `def make(): return {name}`, and name that"
    if isinstance(found, nn.Module):
        raise UsageError(f"source {source!r}: {name} is a module already, not its factory; {write}")
    if not callable(found):
        raise UsageError(f"source {source!r}: {name} is an object of type {type(found).__name__}, no factory; {write}")
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
