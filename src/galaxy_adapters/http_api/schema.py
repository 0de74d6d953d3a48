"""From the attrs classes of `documents` to JSON, and to the JSON Schema that describes it.

One reading of the classes for both, so that they cannot say different things.
`Annotated[T, "..."]` carries a member's description, `field(metadata=named("from"))` a name that
Python does not allow.
"""

from __future__ import annotations

import enum
import math
import types
from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import attrs

from galaxy_core.wire.times import write_time

__all__ = ["Anything", "components", "named", "reference", "to_document"]

_NAME = "name"


class Anything:
    """The type of a member that is whatever its writer wrote."""


def named(name: str) -> dict[str, str]:
    """Metadata of a member that has another name in JSON than in Python."""
    return {_NAME: name}


def to_document(value: Any) -> Any:  # noqa: ANN401, PLR0911 - any document, a case each
    """Turn a document into what `json.dumps` takes; every member is there, null included."""
    if attrs.has(type(value)):
        return {
            _name(member): to_document(getattr(value, member.name))
            for member in attrs.fields(type(value))
        }
    match value:
        case enum.Enum():
            return value.value
        case datetime():
            return write_time(value)
        case float():
            return value if math.isfinite(value) else None
        case Mapping():
            return {str(key): to_document(item) for key, item in value.items()}
        case list() | tuple():
            return [to_document(item) for item in value]
        case _:
            return value


def reference(kind: type) -> dict[str, Any]:
    """Where the schema of a document stands."""
    return {"$ref": f"#/components/schemas/{kind.__name__}"}


def components(*kinds: type) -> dict[str, Any]:
    """The schemas of the documents, and of those that they hold."""
    found: dict[str, Any] = {}
    for kind in kinds:
        _add(kind, found)
    return dict(sorted(found.items()))


def _add(kind: type, found: dict[str, Any]) -> None:
    if kind.__name__ in found:
        return
    schema: dict[str, Any] = {"type": "object", "description": (kind.__doc__ or "").strip()}
    found[kind.__name__] = schema
    hints = get_type_hints(kind, include_extras=True)
    members = attrs.fields(kind)
    schema["properties"] = {_name(m): _schema(hints[m.name], found) for m in members}
    schema["required"] = [_name(m) for m in members]


def _schema(hint: Any, found: dict[str, Any]) -> dict[str, Any]:  # noqa: ANN401, PLR0911 - a type, a case each
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is Annotated:
        inner = _schema(arguments[0], found)
        return {**inner, "description": arguments[1]}
    if origin in {Union, types.UnionType}:
        (kind,) = (each for each in arguments if each is not types.NoneType)
        inner = _schema(kind, found)
        if isinstance(inner.get("type"), str) and "enum" not in inner:
            return {**inner, "type": [inner["type"], "null"]}
        return {"anyOf": [inner, {"type": "null"}]}
    if origin is tuple:
        return {"type": "array", "items": _schema(arguments[0], found)}
    if origin is Mapping:
        return {"type": "object", "additionalProperties": _schema(arguments[1], found)}
    if attrs.has(hint):
        _add(hint, found)
        return reference(hint)
    if issubclass(hint, enum.Enum):
        return {"type": "string", "enum": [member.value for member in hint]}
    return dict(_PLAIN[hint])


_PLAIN: Mapping[type, dict[str, Any]] = {
    str: {"type": "string"},
    bool: {"type": "boolean"},
    int: {"type": "integer"},
    float: {"type": "number"},
    datetime: {"type": "string", "format": "date-time"},
    Anything: {},
}


def _name(member: attrs.Attribute[Any]) -> str:
    return str(member.metadata.get(_NAME, member.name))
