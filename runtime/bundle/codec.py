"""Dataclasses to JSON and back, strictly: whatever does not fit, key, type or value, is an error with its path.

A field's type may carry `Constraint`s: `Annotated[float, Within(0, 1)]`.
"""

import dataclasses
import functools
import json
import types
import typing
from typing import Annotated, Any, TypeVar

from whyport.runtime.bundle.constraints import NEWER, Constraint, OneOf
from whyport.runtime.errors import BundleFormatError

T = TypeVar("T")

TAG = "kind"
"""The key that says which of several objects an object is."""

MAY_LACK = "may_lack"
"""In the metadata of a field: the key is missing where the field has its default."""

LONGEST_INTEGER = 300
"""Digits of the longest integer that is read as one: every such integer is a finite float64."""


def encode(value: object) -> str:
    """JSON text of a dataclass, keys in the order of the fields; the same value always gives the same bytes.

    Raises BundleFormatError for a number that is not finite.
    """
    assert dataclasses.is_dataclass(value)
    assert not isinstance(value, type)
    try:
        return json.dumps(_document(value), indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    except ValueError:
        raise BundleFormatError(f"expected finite numbers, got others in {value}") from None


def _document(value: Any) -> Any:
    """A dataclass as JSON values, without the keys that may be missing and are."""
    if dataclasses.is_dataclass(value):
        found = {each.name: getattr(value, each.name) for each in dataclasses.fields(value)}
        lacking = {
            each.name
            for each in dataclasses.fields(value)
            if MAY_LACK in each.metadata and found[each.name] == each.default
        }
        return {name: _document(each) for name, each in found.items() if name not in lacking}
    if isinstance(value, tuple | list):
        return [_document(each) for each in value]
    return {key: _document(each) for key, each in value.items()} if isinstance(value, dict) else value


def load(text: str) -> object:
    """The value of JSON text; raises BundleFormatError for other text, a repeated key, NaN or Infinity.

    A number beyond float64, such as 1e999, becomes infinite here, and is refused where its path is known.
    """
    try:
        return json.loads(
            text, object_pairs_hook=_unique_keys, parse_constant=_refuse_constant, parse_int=_read_integer
        )
    except (json.JSONDecodeError, RecursionError) as error:
        raise BundleFormatError(f"expected JSON, got text that is not ({error})") from None


def decode(cls: type[T], text: str) -> T:
    """A dataclass from JSON text; raises BundleFormatError naming the path of the first mismatch."""
    return build(cls, load(text))


def build(cls: type[T], document: object) -> T:
    """A dataclass from the value that `load` gave; raises as `decode` does."""
    value: T = _decode(cls, document, "$")
    return value


def shown(value: object) -> str:
    """The start of a JSON value, as a message shows it."""
    if isinstance(value, dict | list):
        kind = "an object" if isinstance(value, dict) else "a list"
        return f"{kind} of {len(value)}" if value else f"an empty {kind.split()[-1]}"
    return json.dumps(value[:60] if isinstance(value, str) else value)[:60]


def alternatives(kind: Any) -> tuple[Any, ...]:
    """The members of a union; any other type alone."""
    return typing.get_args(kind) if typing.get_origin(kind) in (typing.Union, types.UnionType) else (kind,)


def constrained(kind: Any) -> tuple[Any, tuple[Constraint, ...]]:
    """A type, and the constraints that are annotated beside it."""
    if typing.get_origin(kind) is not Annotated:
        return kind, ()
    base, *beside = typing.get_args(kind)
    return base, tuple(entry for entry in beside if isinstance(entry, Constraint))


@functools.cache
def field_types(cls: type) -> dict[str, Any]:
    """The types of a dataclass's fields, with their constraints."""
    return typing.get_type_hints(cls, include_extras=True)


@functools.cache
def required_keys(cls: type) -> list[str]:
    """The keys of a dataclass that no object lacks, in order."""
    return [field.name for field in dataclasses.fields(cls) if MAY_LACK not in field.metadata]


def _decode(kind: Any, value: Any, path: str) -> Any:
    """The value of the first alternative that has its type."""
    for option in alternatives(kind):
        base, constraints = constrained(option)
        if _has_type(base, value) and _has_tag(kind, base, value, path):
            return _check(constraints, _convert(base, value, path), path)
    raise BundleFormatError(f"{path}: expected {_name(kind)}, got {shown(value)}")


def _has_type(base: Any, value: Any) -> bool:
    if base is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if dataclasses.is_dataclass(base):
        return isinstance(value, dict)
    written = {tuple: list}.get(typing.get_origin(base), typing.get_origin(base) or base)
    return type(value) is written  # so that True is not an int


def _has_tag(kind: Any, base: Any, value: Any, path: str) -> bool:
    """Whether an object is the alternative that its tag names; always, where there is one object alone.

    Raises BundleFormatError for a tag that no alternative has.
    """
    tags = tagged(kind)
    if not tags or not dataclasses.is_dataclass(base):
        return True
    tag = value.get(TAG)
    if not isinstance(tag, str) or tag not in tags:
        raise BundleFormatError(f"{path}.{TAG}: expected {' or '.join(tags)}, got {shown(tag)}: {NEWER}")
    return tags[tag] is base


def tagged(kind: Any) -> dict[str, Any]:
    """The objects among the alternatives of a type, by tag; empty unless there are several."""
    objects = [option for option in alternatives(kind) if dataclasses.is_dataclass(option)]
    if len(objects) < 2:
        return {}
    return {constrained(field_types(option)[TAG])[1][0].known[0]: option for option in objects}  # type: ignore[attr-defined,arg-type]


def _convert(base: Any, value: Any, path: str) -> Any:
    arguments = typing.get_args(base)
    if dataclasses.is_dataclass(base):
        return _convert_dataclass(base, value, path)
    if isinstance(value, list):
        return tuple(_decode(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if isinstance(value, dict):
        return {
            _decode(arguments[0], key, f"{path}, key {shown(key)}"): _decode(arguments[1], item, f"{path}.{_step(key)}")
            for key, item in value.items()
        }
    return float(value) if base is float else value


def _convert_dataclass(cls: Any, value: dict[str, Any], path: str) -> Any:
    hints = field_types(cls)
    for key in value:
        if key not in hints:
            raise BundleFormatError(f"{path}: unknown key {_step(key, quoted=True)}; known: {', '.join(hints)}")
    for key in required_keys(cls):
        if key not in value:
            raise BundleFormatError(f"{path}: missing key {key!r}")
    return cls(**{key: _decode(hint, value[key], f"{path}.{key}") for key, hint in hints.items() if key in value})


def _check(constraints: tuple[Constraint, ...], value: Any, path: str) -> Any:
    for constraint in constraints:
        if not constraint.holds(value):
            got = value if not isinstance(value, tuple) else list(value)
            end = f": {NEWER}" if isinstance(constraint, OneOf) else ""
            raise BundleFormatError(f"{path}: expected {constraint.expected}, got {shown(got)}{end}")
    return value


def _name(kind: Any) -> str:
    """A type as messages name it."""
    if len(alternatives(kind)) > 1:
        return " | ".join(map(_name, alternatives(kind)))
    base, _ = constrained(kind)
    if dataclasses.is_dataclass(base):
        return "dict"
    if typing.get_origin(base) is tuple:
        return "list"
    name: str = (typing.get_origin(base) or base).__name__
    return name


def _step(key: str, *, quoted: bool = False) -> str:
    """A key within a path: short, and as ASCII where it cannot be printed."""
    plain = key.isprintable() and len(key) <= 60 and not quoted
    return key if plain else shown(key).replace('"', "'")


def _unique_keys(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    keys = dict(pairs)
    if len(keys) < len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise BundleFormatError(f"key {_step(key, quoted=True)} appears twice")
            seen.add(key)
    return keys


def _read_integer(text: str) -> int | float:
    return int(text) if len(text) <= LONGEST_INTEGER else float(text)


def _refuse_constant(name: str) -> None:
    raise BundleFormatError(f"expected finite numbers, got {name}")
