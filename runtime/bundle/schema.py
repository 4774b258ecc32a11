"""The JSON Schema (2020-12) of bundle.json, from the dataclasses that define it."""

import dataclasses
import inspect
import json
import types
import typing
from typing import Any

from whyport.runtime.bundle.codec import alternatives, constrained, field_types, required_keys, tagged
from whyport.runtime.bundle.sidecar import FORMAT_VERSION, Sidecar

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}


def sidecar_schema() -> str:
    """The text of models/bundle.schema.json."""
    definitions: dict[str, Any] = {}
    root = _schema(Sidecar, definitions)
    definitions["Sidecar"]["properties"]["format_version"] = {"const": FORMAT_VERSION}
    title = f"bundle.json of a whyport bundle, format version {FORMAT_VERSION}"
    document = {"$schema": DIALECT, "title": title, **root, "$defs": definitions}
    return json.dumps(document, indent=2) + "\n"


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    if len(alternatives(kind)) > 1:
        options = [_schema(option, definitions) for option in alternatives(kind)]
        return {"oneOf" if tagged(kind) else "anyOf": options}
    base, constraints = constrained(kind)
    schema = _plain(base, definitions)
    for constraint in constraints:
        schema |= constraint.schema()
    return schema


def _plain(base: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    """The schema of a type without its constraints."""
    origin, arguments = typing.get_origin(base), typing.get_args(base)
    if dataclasses.is_dataclass(base):
        return _definition(base, definitions)
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is dict:
        names, values = (_schema(argument, definitions) for argument in arguments)
        return {"type": "object", "propertyNames": names, "additionalProperties": values}
    return {"type": PLAIN[base]}


def _definition(cls: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    name = cls.__name__
    if name not in definitions:
        properties = {key: _schema(hint, definitions) for key, hint in field_types(cls).items()}
        definitions[name] = {
            "description": " ".join((inspect.getdoc(cls) or "").split()),
            "type": "object",
            "properties": properties,
            "required": required_keys(cls),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}
