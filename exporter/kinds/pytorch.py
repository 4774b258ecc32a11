"""Loads a user's network: a factory by name, and its weights."""

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import nn

from whyport.runtime.errors import ExportError, UsageError, first_line


def make_network(source: str, seed: int) -> nn.Module:
    """Call the factory of "MODULE:FACTORY"; the module may lie in the current folder.

    Raises UsageError where there is no such factory, ExportError where it fails or gives no nn.Module.
    """
    module_name, colon, factory_name = source.partition(":")
    if not (module_name and colon and factory_name):
        raise UsageError(f"source {source!r}: expected MODULE:FACTORY, or a file named *.onnx")
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
                network = factory()
            except Exception as error:
                raise ExportError(f"source {source!r}: {factory_name}() fails: {first_line(error)}") from error
    if not isinstance(network, nn.Module):
        raise ExportError(f"source {source!r}: expected a torch.nn.Module, got {type(network).__name__}")
    return network


def load_weights(network: nn.Module, file: Path) -> None:
    """Load a state dict without running any code of the file.

    Raises UsageError where there is no such file, ExportError where it is no state dict or not this network's.
    """
    if not file.is_file():
        raise UsageError(f"weights: there is no file {str(file)!r}")
    state = _read_safetensors(file) if file.suffix == ".safetensors" else _read_torch(file)
    if not isinstance(state, dict) or not all(isinstance(value, torch.Tensor) for value in state.values()):
        raise ExportError(f"weights {file.name}: expected a state dict, tensors by name, got {type(state).__name__}")
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        message = " ".join(str(error).split())
        raise ExportError(f"weights {file.name} do not fit the network: {message}") from error


def _read_torch(file: Path) -> Any:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged file fails in any way
        raise ExportError(
            f"weights {file.name}: expected tensors only, as torch.save(network.state_dict(), file) writes them: "
            f"{first_line(error)}"
        ) from error


def _read_safetensors(file: Path) -> Any:
    try:
        safetensors = importlib.import_module("safetensors.torch")
    except ModuleNotFoundError:
        raise UsageError(f"weights {file.name}: this needs the package: pip install safetensors") from None
    return safetensors.load_file(file)


@contextmanager
def _current_folder_importable() -> Iterator[None]:
    folder = os.getcwd()
    sys.path.insert(0, folder)
    try:
        yield
    finally:
        sys.path.remove(folder)
