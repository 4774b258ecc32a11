"""The findings of a training, in a few lines for a terminal."""

import json
from collections.abc import Iterator
from typing import Any

from whyport.exporter.train.evaluation import RULE
from whyport.exporter.train.folder import METRICS
from whyport.runtime.bundle.folder import Bundle

SHOWN_CLASSES = 10

UNITLESS = ("r2",)
"""Metrics of quantities that have no unit; the others have the target's."""


def training_lines(bundle: Bundle) -> Iterator[str]:
    """The metrics on the test rows beside those of the guess, each class's recall, and what looks like a mistake."""
    found = json.loads(bundle.read_bytes(f"training/{METRICS}"))
    rows = found["rows"]
    validated = f", {rows['validation']} to validate" if rows["validation"] else ""
    yield f"{'rows':23} {rows['train']} to train{validated}, {rows['test']} to test"
    yield f"{'':23} {'model':>10}  {found['baseline'][RULE]}"
    units = dict(zip(found["targets"], found["units"], strict=True))
    for name, value in found["metrics"].items():
        guessed = found["baseline"].get(name)
        unit = _unit(name, units)
        yield f"{f'test_{name}':23} {value:10.4g}  {'' if guessed is None else f'{guessed:.4g}'}{unit}"
    if found["per_class"]:
        yield f"{'recall':23} {', '.join(_recalls(found['per_class']))}"
    for warning in found["warnings"]:
        yield f"{'warning':23} {warning['text']}"


def _recalls(classes: list[dict[str, Any]]) -> Iterator[str]:
    """The recall of each class, or of the worst ones."""
    shown = classes if len(classes) <= SHOWN_CLASSES else sorted(classes, key=lambda one: one["recall"])[:SHOWN_CLASSES]
    for one in shown:
        yield f"{one['name']} {one['recall']:.4g} of {one['rows']}"
    if len(classes) > len(shown):
        yield f"better for {len(classes) - len(shown)} others"


def _unit(metric: str, units: dict[str, str | None]) -> str:
    """The unit behind a metric's values; empty where there is none."""
    name, _, target = metric.partition(".")
    if name in UNITLESS:
        return ""
    unit = units.get(target) if target else next(iter(units.values()))
    return f" {unit}" if unit else ""
