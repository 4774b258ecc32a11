"""A trained model on the rows kept back from training, as its bundle's training/metrics.json has it."""

import dataclasses
from dataclasses import dataclass
from typing import Self

from whyport.runtime.bundle.codec import build, load

RULE = "rule"
"""The key of the baseline's rule in words."""


@dataclass(frozen=True)
class ClassFigures:
    """One class against all others."""

    name: str
    rows: int
    precision: float
    recall: float
    f1: float
    auc: float | None
    average_precision: float | None


@dataclass(frozen=True)
class Calibration:
    """Predicted and observed shares of one class, by bin of the probability."""

    target: str
    predicted: tuple[float, ...]
    observed: tuple[float, ...]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class MeasuredValues:
    """Measured and predicted values of one target, row by row."""

    target: str
    measured: tuple[float, ...]
    predicted: tuple[float, ...]


@dataclass(frozen=True)
class Suspect:
    """A feature column that looks like a mistake."""

    column: str
    kind: str
    """Its likeness: an identifier, a constant or a leak of the target."""
    text: str


@dataclass(frozen=True)
class Evaluation:
    """The figures of a model on its test rows, beside those of a guess that knows no feature."""

    task: str
    targets: tuple[str, ...]
    units: tuple[str | None, ...]
    rows: dict[str, int]
    """The number of rows that trained, validated and tested."""
    metrics: dict[str, float]
    baseline: dict[str, str | float]
    """The same metrics of the guess, and its `rule` in words."""
    per_class: tuple[ClassFigures, ...] | None
    calibration: tuple[Calibration, ...] | None
    residuals: tuple[MeasuredValues, ...] | None
    warnings: tuple[Suspect, ...]

    @classmethod
    def read(cls, text: str) -> Self:
        """An evaluation from JSON; keys that are not known are passed over. Raises BundleFormatError for other text."""
        document = load(text)
        names = {field.name for field in dataclasses.fields(cls)}
        known = {k: v for k, v in document.items() if k in names} if isinstance(document, dict) else document
        return build(cls, known)

    @property
    def rule(self) -> str:
        """The guess in words, such as "always the mean"."""
        return str(self.baseline.get(RULE, "a guess"))

    def unit(self, target: str) -> str | None:
        """The unit of a target; None where it is not known."""
        return dict(zip(self.targets, self.units, strict=False)).get(target)
