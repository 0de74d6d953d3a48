"""Looking into JSON that may hold anything: what is not as expected counts as absent."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from types import MappingProxyType

Object = Mapping[str, object]

_NOTHING: Object = MappingProxyType({})


def an_object(value: object) -> Object:
    """The value if it is an object, else an empty one."""
    return value if isinstance(value, dict) else _NOTHING


def objects(value: object) -> Sequence[Object]:
    """The objects in a list."""
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def text(value: object) -> str:
    """The value if it is a string; halves of surrogate pairs become question marks."""
    if not isinstance(value, str):
        return ""
    return value.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def number(value: object) -> int | None:
    """The value if it is a whole number of 64 bits."""
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if abs(value) < 1 << 63 else None
