"""Which column of a run's output is what: the way back from names to explanations, without the bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

PREDICTION = "prediction"
PROBABILITY = "probability."


@dataclass(frozen=True)
class ExplanationColumns:
    """The columns of one method's explanation, of one class where all are explained."""

    method: str
    explained_class: str | None
    """None where the column `explained_class` says it row by row."""
    prefix: str
    """The method's name and a dot, where there are several."""
    suffix: str
    """A dot and the class's name, where all are explained."""

    @property
    def score(self) -> str:
        """The column of the explained logit, which is every method's."""
        return f"score{self.suffix}"

    @property
    def base_value(self) -> str:
        """The column of what the score is measured against."""
        return f"{self.prefix}base_value{self.suffix}"

    @property
    def completeness_error(self) -> str:
        """The column of how far the attributions are from adding up."""
        return f"{self.prefix}completeness_error{self.suffix}"

    @property
    def converged(self) -> str:
        """The column of whether that is within the method's tolerance."""
        return f"{self.prefix}converged{self.suffix}"


def kept_columns(names: Sequence[str]) -> list[str]:
    """The columns that were copied from the input, among all the columns of an output."""
    return list(names[2 : names.index(PREDICTION)])


def classes(names: Sequence[str]) -> list[str]:
    """The classes, by the columns of their probabilities."""
    after = names[names.index(PREDICTION) + 1 :]
    return [name.removeprefix(PROBABILITY) for name in takewhile(lambda name: name.startswith(PROBABILITY), after)]


def explanations(methods: Sequence[str], all_classes: Sequence[str]) -> list[ExplanationColumns]:
    """The explanations of a run in the columns' order.

    Args:
        methods: the run's methods.
        all_classes: the model's classes, where all are explained; otherwise none.
    """
    explained: list[tuple[str | None, str]] = [(name, f".{name}") for name in all_classes] or [(None, "")]
    return [
        ExplanationColumns(method, class_name, f"{method}." if len(methods) > 1 else "", suffix)
        for method in methods
        for class_name, suffix in explained
    ]
