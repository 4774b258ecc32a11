"""The networks that can be trained, by name, imported on use."""

import inspect
from collections.abc import Iterable
from importlib import import_module

from whyport.exporter.train.architectures.base import Architecture
from whyport.runtime.errors import TrainingError, UsageError, unknown

# Adding one is one file and one entry here.
ARCHITECTURES = {
    "hybrid": "whyport.exporter.train.architectures.hybrid:Hybrid",
    "mlp": "whyport.exporter.train.architectures.mlp:MLP",
}

Setting = int | float | bool | str

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_settings(name: str, assignments: Iterable[str]) -> dict[str, Setting]:
    """Every setting of an architecture: its defaults, overridden by assignments such as "channels=8".

    Raises UsageError for an unknown architecture or setting, or a value of the wrong type.
    """
    defaults = _defaults(_find(name))
    settings = dict(defaults)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"setting {assignment!r}: expected name=value")
        if key not in defaults:
            raise UsageError(unknown(f"setting of architecture {name!r}", key, defaults))
        settings[key] = _convert(key, text, type(defaults[key]))
    return settings


def create(name: str, features: int, targets: int, settings: dict[str, Setting]) -> Architecture:
    """A network with fresh weights, from [N, features] to scores [N, targets].

    Raises UsageError for an unknown architecture, TrainingError if it cannot take so few features or these settings.
    """
    architecture = _find(name)
    if features < architecture.minimum_features:
        raise TrainingError(
            f"architecture {name!r}: expected at least {architecture.minimum_features} features, got {features}"
        )
    return architecture(features=features, targets=targets, **settings)


def _find(name: str) -> type[Architecture]:
    if name not in ARCHITECTURES:
        raise UsageError(unknown("architecture", name, ARCHITECTURES))
    module, _, attribute = ARCHITECTURES[name].partition(":")
    architecture: type[Architecture] = getattr(import_module(module), attribute)
    return architecture


def _defaults(architecture: type[Architecture]) -> dict[str, Setting]:
    """The constructor's parameters with their defaults; features and targets come from the data."""
    parameters = inspect.signature(architecture).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("features", "targets")}


def _convert(key: str, text: str, kind: type[Setting]) -> Setting:
    try:
        return _TRUTHS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise UsageError(f"setting {key!r}: expected {kind.__name__}, got {text!r}") from None
