"""What the table of methods says about a method: engines, columns, options, cost, guarantee, source."""

from collections.abc import Mapping
from dataclasses import dataclass

from whyport.runtime.errors import UsageError

TORCHSCRIPT, ONNX = ENGINES = ("torchscript", "onnx")
"""What runs the explanations: PyTorch, or ONNX Runtime alone."""

OptionValue = int | float | bool | None

SCORE_UNIT = "{unit}"
"""The unit of attributions that add up to a score, where `{unit}` is the score's own."""
SENSITIVITY_UNIT = "{unit} per unit of the feature"


@dataclass(frozen=True)
class Implementation:
    """A method on one engine."""

    explainer: str
    """module:class, imported on use."""
    capability: str | None
    """What the bundle must be capable of; None for what every bundle can."""


@dataclass(frozen=True)
class Extra:
    """Columns that a method writes beside its attributions."""

    name: str
    """The column's name; where each feature has a value, it stands before the feature's name."""
    per_feature: bool = False
    """One value per feature, in the layout of the attributions; otherwise one array."""
    per_target: bool = True
    """Whether it differs between the explained targets."""
    is_error_bar: bool = False
    """Whether it is the standard error of each attribution, shown beside it."""
    output: str | None = None
    """The model's output whose shape the array has; None for a list, whose length is the model's own matter."""
    axes: tuple[str, ...] | None = None
    """Names of the array's axes."""
    option: str | None = None
    """The option that asks for it; None where it is always there."""


@dataclass(frozen=True)
class Option:
    """A setting of one or several methods, with this method's default."""

    name: str
    """A keyword; with dashes the option of the command line."""
    kind: type[int] | type[float] | type[bool]
    help: str
    default: OptionValue = None
    minimum: float | None = None
    above: float | None = None
    """What a value must exceed."""
    reason: str = ""
    """Why there is a minimum, for the message."""

    def check(self, value: OptionValue) -> None:
        """Raise UsageError for a value that is out of range."""
        if value is None:
            return
        if self.minimum is not None and not value >= self.minimum:
            because = f", {self.reason}," if self.reason else ","
            raise UsageError(f"{self.name}: expected at least {self.minimum:g}{because} got {value}")
        if self.above is not None and not self.above < value < float("inf"):
            raise UsageError(f"{self.name}: expected a number above {self.above:g}, got {value}")


@dataclass(frozen=True)
class Method:
    """One entry of the table."""

    engines: Mapping[str, Implementation]
    """By engine; the first is the default where another engine is asked for that cannot."""
    unit: str
    """What attributions are measured in; `{unit}` is the score's."""
    cost: str
    guarantee: str
    source: str
    extras: tuple[Extra, ...] = ()
    options: tuple[Option, ...] = ()

    def unit_of(self, score_unit: str) -> str:
        """What attributions are measured in, where a score is measured in `score_unit`."""
        return self.unit.format(unit=score_unit)
