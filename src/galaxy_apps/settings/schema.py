"""JSON values -> `Settings`: types, bounds and unknown keys, every problem with its path.

Strict, since people write the file by hand: `"5"` is no number and `1` is no truth value.

By hand and not by cattrs: its converter costs every start of `galaxy` thirty milliseconds, and its
tree of errors would have to be walked for the paths (docs/adr/0005-command-line.md).
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import attrs

from galaxy_apps.settings.channels import UserName
from galaxy_apps.settings.keys import KEY, MAXIMUM, MINIMUM
from galaxy_apps.settings.model import Settings
from galaxy_apps.settings.problems import nearest
from galaxy_apps.settings.secret import Secret
from galaxy_core.domain.order import JSONObject

MEANINGLESS_KEYS = frozenset(
    {
        *("ntfy_topic", "ntfy_server", "ntfy_fallback", "executor_poll_interval"),
        *("auth", "features", "deepwiki", "voice", "digest_push"),
    }
)
"""Top-level keys of the original system that have no counterpart here."""

NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}

_T = TypeVar("_T")


def keys_of(cls: type) -> Mapping[str, attrs.Attribute[Any]]:
    """The keys of one object in the file, with the attributes they belong to.

    Attributes without a key are groups, whose keys stand in the same object.
    """
    found: dict[str, attrs.Attribute[Any]] = {}
    for attribute in attrs.fields(attrs.resolve_types(cls)):
        if KEY in attribute.metadata:
            found[attribute.metadata[KEY]] = attribute
        elif attribute.type is not None:
            found |= keys_of(attribute.type)
    return found


def structure(raw: JSONObject) -> tuple[Settings | None, list[str]]:
    """Make `Settings` of the file's object; None and the problems where it cannot be."""
    reader = _Reader()
    known = {key: value for key, value in raw.items() if key not in MEANINGLESS_KEYS}
    settings: Settings = reader.read_object(known, Settings, "")
    return (None if reader.problems else settings), reader.problems


class _Reader:
    """Reads one file, and goes on after a problem."""

    def __init__(self) -> None:
        self.problems: list[str] = []

    def read_object(self, raw: Mapping[str, object], cls: type, path: str) -> Any:  # noqa: ANN401
        """An attrs class of a JSON object, under the keys that the file uses."""
        known = keys_of(cls)
        self.problems += [
            f"{_below(path, key)}: there is no such setting{nearest(key, known)}"
            for key in raw
            if key not in known and not _is_comment(key)
        ]
        return self._members(raw, cls, path)

    def _members(self, raw: Mapping[str, object], cls: type, path: str) -> Any:  # noqa: ANN401
        values: dict[str, object] = {}
        for attribute in attrs.fields(attrs.resolve_types(cls)):
            key = attribute.metadata.get(KEY)
            if key is None and attribute.type is not None:
                values[attribute.name] = self._members(raw, attribute.type, path)
            elif key in raw:
                value = raw[key]
                values[attribute.name] = self._attempt(value, attribute.type, _below(path, key))
                self._check_bounds(value, attribute.metadata, _below(path, key))
        return cls(**values)

    def _attempt(self, value: object, kind: object, path: str) -> object:
        """The value in its type; None, and a problem more, where it has another."""
        try:
            return self._read(value, kind, path)
        except ValueError as error:
            self.problems.append(f"{path}: {error}")
            return None

    def _read(self, value: object, kind: object, path: str) -> object:
        kind, is_optional = without_none(kind)
        if is_optional and (value is None or value == ""):
            return None
        origin = typing.get_origin(kind)
        if origin is tuple:
            inner = typing.get_args(kind)[0]
            items = enumerate(expect(value, list))
            return tuple(self._attempt(each, inner, f"{path}[{n}]") for n, each in items)
        if origin is Mapping:
            inner = typing.get_args(kind)[1]
            members = expect(value, dict).items()
            return {name: self._attempt(each, inner, _below(path, name)) for name, each in members}
        if isinstance(kind, type) and attrs.has(kind):
            return self.read_object(expect(value, dict), kind, path)
        if isinstance(kind, type) and issubclass(kind, enum.StrEnum):
            return _word(value, kind)
        return _SCALARS[kind](value)

    def _check_bounds(self, value: object, bounds: Mapping[Any, Any], path: str) -> None:
        if isinstance(value, bool) or not isinstance(value, int | float):
            return
        low, high = bounds[MINIMUM], bounds[MAXIMUM]
        if low is not None and value < low:
            self.problems.append(f"{path}: must be at least {low}, not {value}")
        if high is not None and value > high:
            self.problems.append(f"{path}: must be at most {high}, not {value}")


def without_none(kind: object) -> tuple[object, bool]:
    """Split `X | None` into X and True."""
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        (inner,) = (each for each in typing.get_args(kind) if each is not type(None))
        return inner, True
    return kind, False


def _below(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key


def _is_comment(key: str) -> bool:
    """JSON has no comments, so people write keys such as `_comment`."""
    return key.startswith(("_", "//"))


# ---- values


def expect(value: object, kind: type[_T]) -> _T:
    """The value, when it is of the kind; else a `ValueError` that names both kinds."""
    # A truth value is an int to Python, never to a person.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"must be {NAMES[kind]}, not {NAMES[type(value)]}")
    return value


def _text(value: object) -> str:
    text = expect(value, str)
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


def _user_name(value: object) -> UserName:
    return UserName(str(value) if type(value) is int else _text(value))


def _whole_number(value: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return expect(value, int)


def _seconds(value: object) -> timedelta:
    number = value if type(value) is int else expect(value, float)
    try:
        return timedelta(seconds=float(number))
    except (OverflowError, ValueError):
        raise ValueError("must be a number of seconds, and not so large a one") from None


def _word(value: object, cls: type[enum.StrEnum]) -> enum.StrEnum:
    word = expect(value, str)
    words = [each.value for each in cls]
    if word not in words:
        listed = ", ".join(f'"{each}"' for each in words)
        raise ValueError(f'must be one of {listed}, not "{word}"{nearest(word, words)}')
    return cls(word)


_SCALARS: Mapping[object, Callable[[object], object]] = {
    str: _text,
    UserName: _user_name,
    bool: lambda value: expect(value, bool),
    int: _whole_number,
    timedelta: _seconds,
    Path: lambda value: Path(_text(value)),
    Secret: lambda value: Secret(_text(value)),
}
