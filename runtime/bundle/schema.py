"""The JSON Schema (2020-12) of bundle.json, from the dataclasses that define it."""

import dataclasses
import inspect
import json
import types
import typing
from typing import Any

from whyport.runtime.bundle.sidecar import FORMAT_VERSION, Sidecar

DIALECT = "https://json-schema.org/draft/2020-12/schema"
PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean", types.NoneType: "null"}


def sidecar_schema() -> str:
    """The text of models/bundle.schema.json."""
    definitions: dict[str, Any] = {}
    root = _schema(Sidecar, definitions)
    definitions["Sidecar"]["properties"]["format_version"] = {"const": FORMAT_VERSION}
    digest = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
    definitions["Sidecar"]["properties"]["files"]["additionalProperties"] = digest
    title = f"bundle.json of a whyport bundle, format version {FORMAT_VERSION}"
    document = {"$schema": DIALECT, "title": title, **root, "$defs": definitions}
    return json.dumps(document, indent=2) + "\n"


def _schema(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if dataclasses.is_dataclass(kind):
        return _definition(kind, definitions)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_schema(option, definitions) for option in arguments]}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], definitions)}
    if origin is dict:
        return {"type": "object", "additionalProperties": _schema(arguments[1], definitions)}
    return {"type": PLAIN[kind]}


def _definition(kind: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    name = kind.__name__
    if name not in definitions:
        properties = {key: _schema(hint, definitions) for key, hint in typing.get_type_hints(kind).items()}
        definitions[name] = {
            "description": " ".join((inspect.getdoc(kind) or "").split()),
            "type": "object",
            "properties": properties,
            "required": list(properties),
            "additionalProperties": False,
        }
    return {"$ref": f"#/$defs/{name}"}
