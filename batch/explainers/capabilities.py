"""Whether a bundle can serve the explanations that are asked for."""

from collections.abc import Mapping

from batch.explainers import EXPLAINERS
from runtime.bundle import Sidecar
from runtime.errors import BundleError


def check_capabilities(sidecar: Sidecar, engines: Mapping[str, str]) -> None:
    """Raise BundleError with the reason where a bundle cannot serve a method on its engine.

    Args:
        sidecar: the bundle's.
        engines: the engine by method.
    """
    for name, engine in engines.items():
        needed = EXPLAINERS[name].homes[engine].capability
        if needed is None:
            continue
        capability = sidecar.capabilities.get(needed)
        if capability is None or not capability.available:
            reason = capability.reason if capability else f"it has no {needed!r}"
            raise BundleError(f"bundle {sidecar.name!r} cannot serve {name!r}: {reason}")
