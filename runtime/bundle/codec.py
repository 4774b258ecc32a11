"""Dataclasses to JSON and back, strictly: an unknown key, a missing key or a wrong type is an error with its path."""

import dataclasses
import json
import types
import typing
from typing import Any, TypeVar

from whyport.runtime.errors import BundleFormatError

T = TypeVar("T")


def encode(value: object) -> str:
    """JSON text of a dataclass, keys in the order of the fields; the same value always gives the same bytes."""
    assert dataclasses.is_dataclass(value)
    assert not isinstance(value, type)
    return json.dumps(dataclasses.asdict(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def load(text: str) -> object:
    """The value of JSON text; raises BundleFormatError for other text, a repeated key, a number that is not finite."""
    try:
        return json.loads(text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant)
    except (json.JSONDecodeError, RecursionError) as error:
        raise BundleFormatError(f"expected JSON, got text that is not ({error})") from None


def decode(cls: type[T], text: str) -> T:
    """A dataclass from JSON text; raises BundleFormatError naming the path of the first mismatch."""
    return build(cls, load(text))


def build(cls: type[T], document: object) -> T:
    """A dataclass from the value that `load` gave; raises as `decode` does."""
    value: T = _decode(cls, document, "$")
    return value


def _decode(kind: Any, value: Any, path: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _decode_dataclass(kind, value, path)
    if origin in (typing.Union, types.UnionType):
        for option in arguments:
            try:
                return _decode(option, value, path)
            except BundleFormatError as error:
                failure = error
        raise failure if len(arguments) == 2 and types.NoneType in arguments else _mismatch(kind, value, path)
    if origin is tuple and isinstance(value, list):
        return tuple(_decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin is dict and isinstance(value, dict):
        return {key: _decode(arguments[1], item, f"{path}.{key}") for key, item in value.items()}
    if kind is types.NoneType and value is None:
        return None
    if kind is float and isinstance(value, int | float) and not isinstance(value, bool):
        return float(value)
    if isinstance(kind, type) and type(value) is kind:  # so that True is not an int
        return value
    raise _mismatch(kind, value, path)


def _decode_dataclass(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, dict):
        raise _mismatch(dict, value, path)
    hints = typing.get_type_hints(kind)
    unknown = [key for key in value if key not in hints]
    if unknown:
        raise BundleFormatError(f"{path}: unknown key {unknown[0]!r}; known: {', '.join(hints)}")
    missing = [key for key in hints if key not in value]
    if missing:
        raise BundleFormatError(f"{path}: missing key {missing[0]!r}")
    return kind(**{key: _decode(hint, value[key], f"{path}.{key}") for key, hint in hints.items()})


def _mismatch(kind: Any, value: Any, path: str) -> BundleFormatError:
    expected = kind.__name__ if isinstance(kind, type) else str(kind)
    return BundleFormatError(f"{path}: expected {expected}, got {json.dumps(value)[:60]}")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = [key for key, _ in pairs]
    for key in keys:
        if keys.count(key) > 1:
            raise BundleFormatError(f"key {key!r} appears twice")
    return dict(pairs)


def _refuse_constant(name: str) -> None:
    raise BundleFormatError(f"expected finite numbers, got {name}")
