"""The models that can be trained, by name, imported on use."""

import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import TYPE_CHECKING, Any

from whyport.runtime.errors import TrainingError, UsageError, unknown

if TYPE_CHECKING:
    from whyport.exporter.train.architectures.base import Architecture, Shapes
    from whyport.exporter.train.architectures.ensemble import Ensemble

# Adding one is one file and one entry here.
NETWORKS = {
    "hybrid": "whyport.exporter.train.architectures.hybrid:Hybrid",
    "lstm": "whyport.exporter.train.architectures.lstm:LSTM",
    "mlp": "whyport.exporter.train.architectures.mlp:MLP",
}
ENSEMBLES = {
    "forest": "whyport.exporter.train.architectures.forest:Forest",
    "boosting": "whyport.exporter.train.architectures.boosting:Boosting",
}
ARCHITECTURES = NETWORKS | ENSEMBLES

Setting = int | float | bool | str

LARGEST = 2**31 - 1
"""The largest number of a setting: libraries hold them in 32 bits."""

_TRUTHS = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}


def parse_settings(name: str, assignments: Iterable[str]) -> dict[str, Setting]:
    """Every setting of an architecture: its defaults, overridden by assignments such as "channels=8".

    Raises UsageError for an unknown architecture or setting, or a value of the wrong type.
    """
    if name not in ARCHITECTURES:
        raise UsageError(unknown("architecture", name, ARCHITECTURES))
    defaults = _defaults(_load(ARCHITECTURES[name]))
    settings = dict(defaults)
    for assignment in assignments:
        key, equals, text = assignment.partition("=")
        if not equals:
            raise UsageError(f"setting {assignment!r}: expected name=value")
        if key not in defaults:
            raise UsageError(unknown(f"setting of architecture {name!r}", key, defaults))
        settings[key] = _convert(key, text, type(defaults[key]))
    return settings


def create(
    name: str, features: int, targets: int, settings: dict[str, Setting], shapes: "Shapes" = ()
) -> "Architecture":
    """A network with fresh weights, from [N, features] to scores [N, targets].

    Args:
        name: the architecture.
        features: the number of cells of a row.
        targets: the number of scores.
        settings: its own settings.
        shapes: the shape of each input's row, one after the other in a row; empty for one table.

    Raises:
        UsageError: an unknown architecture. TrainingError: it cannot take so few features, or these settings.
    """
    if name not in NETWORKS:
        raise UsageError(unknown("network", name, NETWORKS))
    architecture = _load(NETWORKS[name])
    steps = [shape[0] for shape in shapes if len(shape) > 1]
    shortest, unit = (min(steps), "steps") if steps and architecture.reads_shapes else (features, "features")
    if shortest < architecture.minimum_features:
        raise TrainingError(
            f"architecture {name!r}: expected at least {architecture.minimum_features} {unit}, got {shortest}"
        )
    given = {"shapes": shapes} if architecture.reads_shapes else {}
    network: Architecture = architecture(features=features, targets=targets, **settings, **given)
    return network


def find_ensemble(name: str) -> "type[Ensemble]":
    """The class of an ensemble of trees."""
    ensemble: type[Ensemble] = _load(ENSEMBLES[name])
    return ensemble


def has_epochs(name: str) -> bool:
    """Whether it is trained step by step: a network by epochs, boosted trees by stages."""
    return name in NETWORKS or bool(find_ensemble(name).stages)


def _load(place: str) -> Any:
    module, _, attribute = place.partition(":")
    return getattr(import_module(module), attribute)


def _defaults(architecture: type[Any]) -> dict[str, Setting]:
    """The constructor's parameters with their defaults; features, targets and shapes come from the data."""
    parameters = inspect.signature(architecture).parameters.values()
    return {p.name: p.default for p in parameters if p.name not in ("features", "targets", "shapes")}


def _convert(key: str, text: str, kind: type[Setting]) -> Setting:
    try:
        value = _TRUTHS[text.lower()] if kind is bool else kind(text)
    except (ValueError, KeyError):
        raise UsageError(f"setting {key!r}: expected {kind.__name__}, got {text!r}") from None
    if kind in (int, float) and not abs(float(value)) <= LARGEST:
        raise UsageError(f"setting {key!r}: expected a number up to {LARGEST}, got {text}")
    return value
