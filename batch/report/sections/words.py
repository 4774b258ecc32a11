"""Phrases that several sections share."""

from whyport.batch.methods.catalogue import find_method
from whyport.batch.methods.method import SENSITIVITY_UNIT
from whyport.batch.report.gather.view import View


def unit_of(view: View, target: str) -> str:
    """The unit of a target's score."""
    return view.task.unit_of(target)


def share_unit(view: View, method: str, target: str) -> str:
    """The unit of a method's attributions of a target's score."""
    return find_method(method).unit_of(unit_of(view, target))


def with_unit(view: View, target: str) -> str:
    """The name of a quantity, with its unit where that is known."""
    units = dict(zip(view.task.targets, view.task.units or (view.task.unit,) * len(view.task.targets), strict=True))
    return target if units[target] is None else f"{target} ({units[target]})"


def of_training(view: View) -> str:
    """Whether the accuracy is that of rows that training knew, as a sentence after others; empty if it is not."""
    if view.values.gone:
        return " Whether training rows are among them cannot be told, as an input is gone or has changed."
    if view.known is None or not view.known.found:
        return ""
    return (
        f" Training rows are included, so new rows may fare worse: {view.known.found:,} of the bundle's "
        f"{view.known.total:,} reference rows have their equals among the inputs, and references are training rows "
        "unless they were given as a table of their own."
    )


def of_unit(method: str) -> str:
    """A warning where the ranking is one of unlike things."""
    if find_method(method).unit != SENSITIVITY_UNIT:
        return ""
    return " A sensitivity is per unit of its feature: features in other units do not compare."
