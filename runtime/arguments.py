"""Types of arguments: a value of another type is refused before anything is done, instead of in the middle of it."""

import functools
import inspect
from collections.abc import Callable, Collection
from numbers import Integral, Real
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, ParamSpec, TypeVar, get_args

import numpy as np

from whyport.runtime.errors import UsageError
from whyport.runtime.paths import check_path, check_place
from whyport.runtime.store.path import StorePath

SIMPLE_TYPES: dict[Any, tuple[str, tuple[type, ...]]] = {
    bool: ("True or False", (bool, np.bool_)),
    int: ("a whole number", (Integral,)),
    float: ("a number", (Real,)),
    str: ("a text", (str,)),
    NoneType: ("None", (NoneType,)),
}
"""By type: its name in messages, and the classes that count as it. numpy's numbers are numbers, and a flag is none."""

P = ParamSpec("P")
R = TypeVar("R")


def as_type(name: str, value: Any, types: Collection[Any]) -> Any:
    """The value as the first of some types of `SIMPLE_TYPES` that it fits; raises UsageError naming the argument."""
    for each, (_, taken) in SIMPLE_TYPES.items():
        if each in types and isinstance(value, taken) and (each is bool or not isinstance(value, bool | np.bool_)):
            return None if value is None else each(value)
    expected = " or ".join(text for each, (text, _) in SIMPLE_TYPES.items() if each in types)
    raise UsageError(f"{name}: expected {expected}, got {value!r}")


def checked_arguments(function: Callable[..., Any], *args: Any, **kwargs: Any) -> inspect.BoundArguments:
    """The arguments of a call, those of simple types checked by `as_type`, and paths by `check_path` or `check_place`.

    Raises TypeError as the call would.
    """
    signature = inspect.signature(function)
    bound = signature.bind(*args, **kwargs)
    for name, value in bound.arguments.items():
        annotation = signature.parameters[name].annotation
        types = get_args(annotation) if isinstance(annotation, UnionType) else (annotation,)
        if Path in types and isinstance(value, str | Path | StorePath):
            if StorePath in types:
                check_place(name, value)
            else:
                check_path(name, str(value))
        if signature.parameters[name].kind is not inspect.Parameter.VAR_KEYWORD and set(types) <= set(SIMPLE_TYPES):
            bound.arguments[name] = as_type(name, value, types)
    return bound


def typed(function: Callable[P, R]) -> Callable[P, R]:
    """Decorate a function whose arguments of simple types are checked when it is called."""

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        bound = checked_arguments(function, *args, **kwargs)
        return function(*bound.args, **bound.kwargs)

    return call


def at_least(name: str, value: int, minimum: int) -> None:
    """Raise UsageError for a number below the minimum."""
    if value < minimum:
        raise UsageError(f"{name}: expected at least {minimum}, got {value}")
