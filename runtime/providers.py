"""The installed ONNX Runtime, and the execution provider that runs a model."""

import importlib.metadata
import math
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

from whyport.runtime.errors import BundleError, ProviderError, UsageError, message_line, unknown
from whyport.runtime.quota import core_quota

DEVICES = ("auto", "cpu", "cuda")
DISTRIBUTIONS = {"onnxruntime": "cpu", "onnxruntime-gpu": "gpu"}


@dataclass(frozen=True)
class Provider:
    """An execution provider with the options that whyport gives it."""

    device: str
    name: str
    options: dict[str, str] = field(default_factory=dict)


CPU = Provider("cpu", "CPUExecutionProvider")
# TF32 keeps 10 bits of mantissa: parity with the CPU needs it off.
CUDA = Provider("cuda", "CUDAExecutionProvider", {"use_tf32": "0"})


def available_cores() -> int:
    """The number of cores that this process may use, at least 1: within its affinity mask and its container's quota.

    A part of a core counts as a whole one.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return max(1, math.ceil(min(cores, core_quota())))


def check_distributions(installed: Iterable[str]) -> str:
    """The one ONNX Runtime distribution among the installed ones; raises ProviderError for none or both."""
    names = set(installed)
    found = [name for name in DISTRIBUTIONS if name in names]
    if len(found) == 1:
        return found[0]
    if not found:
        raise ProviderError(
            "ONNX Runtime is not installed: choose pip install 'whyport[cpu]', or 'whyport[gpu]' for a CUDA card"
        )
    raise ProviderError(
        "onnxruntime and onnxruntime-gpu are both installed and overwrite each other: choose one: pip uninstall "
        "onnxruntime onnxruntime-gpu, then pip install 'whyport[cpu]', or 'whyport[gpu]' for a CUDA card"
    )


def load_onnxruntime() -> ModuleType:
    """The module onnxruntime; checks first that exactly one distribution provides it."""
    check_distributions(filter(_is_installed, DISTRIBUTIONS))
    import onnxruntime

    module: ModuleType = onnxruntime
    return module


def candidates(device: str, offered: Sequence[str]) -> tuple[Provider, ...]:
    """The providers to try for a device, in order, among the ones that this ONNX Runtime offers.

    Raises UsageError for an unknown device, ProviderError if CUDA is asked for and not offered.
    """
    if device not in DEVICES:
        raise UsageError(unknown("device", device, DEVICES))
    if device == "cpu":
        return (CPU,)
    if CUDA.name in offered:
        return (CUDA,) if device == "cuda" else (CUDA, CPU)
    if device == "cuda":
        raise ProviderError(
            f"device 'cuda': this ONNX Runtime offers {', '.join(offered)}, not {CUDA.name}: pip uninstall "
            f"onnxruntime, then pip install 'whyport[gpu]'"
        )
    return (CPU,)


def open_session(model: bytes, device: str, options: Any, onnxruntime: Any) -> tuple[Any, Provider]:
    """Open an InferenceSession; returns it with its actual provider, which for `auto` is the first that works.

    ONNX Runtime falls back to the CPU without an error, so the actual provider is compared with the requested one.

    Raises ProviderError if no provider can be had, and BundleError if the content is no graph that ONNX Runtime runs.
    """
    tried = candidates(device, onnxruntime.get_available_providers())
    for provider in tried:
        if provider is CUDA and hasattr(onnxruntime, "preload_dlls"):
            onnxruntime.preload_dlls()  # finds the CUDA libraries of the extra `gpu`
        try:
            session = onnxruntime.InferenceSession(model, options, providers=[(provider.name, provider.options)])
        except Exception as error:  # ONNX Runtime's own errors have no common class
            raise BundleError(f"ONNX Runtime cannot open it: {message_line(error)}") from None
        got = session.get_providers()
        if got and got[0] == provider.name:
            return session, provider
    raise ProviderError(
        f"device {device!r}: asked for {tried[-1].name}, got {', '.join(got) or 'none'}: the card, its driver (see "
        f"nvidia-smi) or the CUDA and cuDNN libraries of 'whyport[gpu]' cannot be used; ONNX Runtime's own message "
        f"is above"
    )


def _is_installed(distribution: str) -> bool:
    try:
        importlib.metadata.distribution(distribution)
    except importlib.metadata.PackageNotFoundError:
        return False
    return True
