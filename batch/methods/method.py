"""An entry of the table of methods: engines, columns, options, cost, guarantee, source."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import NoneType

from whyport.runtime.arguments import as_type
from whyport.runtime.errors import UsageError

TORCHSCRIPT, ONNX = ENGINES = ("torchscript", "onnx")
"""The engines that run explanations: PyTorch, or only ONNX Runtime."""
AUTO_ENGINE = "auto"
"""The option's value for the engine that a run has where none is chosen."""

OptionValue = int | float | bool | str | None

GRADIENTS = "gradients"
"""The capability of a bundle whose network has gradients."""

SCORE_UNIT = "{unit}"
"""The unit of attributions that add up to a score, where `{unit}` is the score's own."""
SENSITIVITY_UNIT = "{unit} per unit of the feature"
PRESENCE_UNIT = "{unit} by presence"
"""The unit of coefficients of a model in which players are there or not."""

REAL, COUNT = "float32", "int32"


@dataclass(frozen=True)
class Implementation:
    """A method on one engine."""

    explainer: str
    """module:class, imported on use."""
    capability: str | None
    """The capability that the bundle must have; None if every bundle will do."""


@dataclass(frozen=True)
class Extra:
    """Columns that a method writes beside its attributions."""

    name: str
    """The column's name; in front of the feature's name where each feature has a value."""
    per_feature: bool = False
    """One value per feature, in the layout of the attributions; otherwise one array."""
    per_target: bool = True
    """Whether the values differ between the explained targets."""
    is_error_bar: bool = False
    """Whether the values are the standard errors of the attributions, shown beside them."""
    number: str | None = None
    """The Arrow type of the values where each explanation has one number, REAL or COUNT; None for arrays."""
    output: str | None = None
    """The model's output whose shape the array has; None for maps: over y and x a tensor, otherwise a list."""
    axes: tuple[str, ...] | None = None
    """Names of the array's axes."""
    option: str | None = None
    """The option that asks for the columns; None where they are always written."""
    names: str | None = None
    """The option whose names, all but the last, have a column each, `<name>.<one of them>`; None for one column."""


@dataclass(frozen=True)
class Option:
    """A setting of one or several methods, with this method's default."""

    name: str
    """A Python keyword; with dashes, the command-line option."""
    kind: type[int] | type[float] | type[bool] | type[str]
    help: str
    default: OptionValue = None
    minimum: float | None = None
    above: float | None = None
    """The bound that a value must exceed."""
    reason: str = ""
    """The reason for the minimum, for the message."""

    def read(self, value: OptionValue) -> OptionValue:
        """The value as the option's kind; raises UsageError for another kind, or a value that is out of range."""
        value = as_type(self.name, value, (self.kind, NoneType))
        if value is None:
            return None
        if isinstance(value, str):
            return value
        if self.minimum is not None and not value >= self.minimum:
            because = f", {self.reason}," if self.reason else ","
            raise UsageError(f"{self.name}: expected at least {self.minimum:g}{because} got {value}")
        if self.above is not None and not self.above < value < float("inf"):
            raise UsageError(f"{self.name}: expected a number above {self.above:g}, got {value}")
        return value


@dataclass(frozen=True)
class Method:
    """One entry of the table."""

    engines: Mapping[str, Implementation]
    """The implementation per engine; the first one is the default if the chosen engine has none."""
    unit: str
    """The unit of the attributions; `{unit}` is the score's unit."""
    cost: str
    guarantee: str
    source: str
    extras: tuple[Extra, ...] = ()
    options: tuple[Option, ...] = ()
    grid: str | None = None
    """module:function that gives the lengths of y and x of the method's maps over a picture, from the sidecar and the
    options by name; None for a method without maps, whose grid is the run's choice."""
    of_steps: bool = False
    """Whether every feature of a step of a sequence has the step's own value."""

    @property
    def adds_up(self) -> bool:
        """Whether the attributions are shares of the score, so that a row can fail to converge."""
        return self.unit == SCORE_UNIT

    @property
    def by_gradients(self) -> bool:
        """Whether it takes gradients in a row's cells, which rounding decides at a bend of the score."""
        return any(each.capability == GRADIENTS for each in self.engines.values())

    def unit_of(self, score_unit: str) -> str:
        """The unit of the attributions, where a score is measured in `score_unit`."""
        return self.unit.format(unit=score_unit)
