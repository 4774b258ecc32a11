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
    base_value: str
    score: str
    attributions: dict[str, str]
    """Column by feature."""
    completeness_error: str
    converged: str


def kept_columns(names: Sequence[str]) -> list[str]:
    """The columns that were copied from the input, among all the columns of an output."""
    return list(names[2 : names.index(PREDICTION)])


def classes(names: Sequence[str]) -> list[str]:
    """The classes, by the columns of their probabilities."""
    after = names[names.index(PREDICTION) + 1 :]
    return [name.removeprefix(PROBABILITY) for name in takewhile(lambda name: name.startswith(PROBABILITY), after)]


def explanations(names: Sequence[str], methods: Sequence[str], all_classes: bool) -> list[ExplanationColumns]:
    """The explanations of a run with these columns, methods and choice of classes, in the columns' order."""
    own = names[names.index(PREDICTION) :]
    explained: list[str | None] = [*classes(names)] if all_classes else [None]
    found = []
    for method in methods:
        prefix = f"{method}." if len(methods) > 1 else ""
        # By place, not by name: where classes are called "a" and "a.b", "attribution.a.b.x" could be either's.
        columns = [name for name in own if name.startswith(f"{prefix}attribution.")]
        width = len(columns) // len(explained)
        for k, class_name in enumerate(explained):
            suffix = "" if class_name is None else f".{class_name}"
            start = f"{prefix}attribution{suffix}."
            found.append(
                ExplanationColumns(
                    method=method,
                    explained_class=class_name,
                    base_value=f"{prefix}base_value{suffix}",
                    score=f"score{suffix}",
                    attributions={name.removeprefix(start): name for name in columns[k * width : (k + 1) * width]},
                    completeness_error=f"{prefix}completeness_error{suffix}",
                    converged=f"{prefix}converged{suffix}",
                )
            )
    return found
