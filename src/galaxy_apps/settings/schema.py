"""JSON values -> `Settings`: types, bounds and unknown keys, every problem with its path.

Strict where cattrs is generous: `"5"` is no number and `1` is no truth value, since in a file
that people write by hand those are mistakes.
"""

from __future__ import annotations

import enum
import types
import typing
from collections.abc import Callable, Mapping
from datetime import timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import attrs
from cattrs import Converter
from cattrs.errors import (
    AttributeValidationNote,
    BaseValidationError,
    ClassValidationError,
    ForbiddenExtraKeysError,
    IterableValidationNote,
)
from cattrs.gen import make_dict_structure_fn, override

from galaxy_apps.settings.model import KEY, MAXIMUM, MINIMUM, Settings, UserName
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

_T = TypeVar("_T")
Hook: TypeAlias = Callable[[object, object], object]

NAMES: Mapping[type, str] = {
    dict: "an object",
    list: "a list",
    str: "text",
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    type(None): "null",
}


CONTAINERS: Mapping[object, type] = {tuple: list, Mapping: dict}


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
    known = keys_of(Settings)
    problems = [
        f"{key}: there is no such setting{nearest(key, known)}"
        for key in raw
        if key not in known and key not in MEANINGLESS_KEYS and not _is_comment(key)
    ]
    values: dict[str, Any] = {}
    for attribute in attrs.fields(attrs.resolve_types(Settings)):
        key = attribute.metadata.get(KEY)
        try:
            if key is None:
                values[attribute.name] = _converter().structure(
                    raw, without_none(attribute.type)[0]
                )
            elif key in raw:
                values[attribute.name] = _value_hook(attribute)(raw[key], attribute.type)
        except (ValueError, BaseValidationError) as error:
            problems += _sentences(error, key or "")
    return (None if problems else Settings(**values)), problems


@lru_cache(maxsize=1)
def _converter() -> Converter:
    converter = Converter(detailed_validation=True)
    converter.register_structure_hook(str, _text)
    converter.register_structure_hook(UserName, _user_name)
    converter.register_structure_hook(bool, _truth)
    converter.register_structure_hook(int, _whole_number)
    converter.register_structure_hook(timedelta, _seconds)
    converter.register_structure_hook(Path, lambda value, _: Path(_text(value, Path)))
    converter.register_structure_hook(Secret, lambda value, _: Secret(_text(value, Secret)))
    converter.register_structure_hook_factory(attrs.has, _object_hook)
    return converter


def _object_hook(cls: type) -> Hook:
    """How an attrs class is made of a JSON object, under the keys that the file uses."""
    attributes = keys_of(cls)
    # Groups share the file's outermost object, whose unknown keys are found in `structure`.
    is_group = cls in {a.type for a in attrs.fields(Settings) if KEY not in a.metadata}
    renamed: dict[str, Any] = {
        attribute.name: override(rename=key, struct_hook=_value_hook(attribute))
        for key, attribute in attributes.items()
    }
    inner: Callable[[Mapping[str, object], object], object] = make_dict_structure_fn(
        cls, _converter(), **renamed
    )

    def hook(value: object, _: object) -> object:
        members = _expect(value, dict)
        extra = {key for key in members if key not in attributes and not _is_comment(key)}
        if not extra or is_group:
            return inner(members, cls)
        faults: list[Exception] = [ForbiddenExtraKeysError(None, cls, extra)]
        try:
            inner(members, cls)
        except ClassValidationError as error:
            faults += error.exceptions
        raise ClassValidationError("wrong settings", faults, cls)

    return hook


def _value_hook(attribute: attrs.Attribute[Any]) -> Hook:
    """How one attribute's value is read: its kind, then its type, then its bounds."""
    kind, is_optional = without_none(attribute.type)
    container = CONTAINERS.get(typing.get_origin(kind))
    low, high = attribute.metadata[MINIMUM], attribute.metadata[MAXIMUM]

    def hook(value: object, _: object) -> object:
        if is_optional and (value is None or value == ""):
            return None
        if container is not None:
            _expect(value, container)
        # Not through the converter: to it a StrEnum is a str before it is anything else.
        is_word = isinstance(kind, type) and issubclass(kind, enum.StrEnum)
        made = _word(value, kind) if is_word else _converter().structure(value, kind)
        if isinstance(value, int | float) and low is not None and value < low:
            raise ValueError(f"must be at least {low}, not {value}")
        if isinstance(value, int | float) and high is not None and value > high:
            raise ValueError(f"must be at most {high}, not {value}")
        return made

    return hook


def without_none(kind: type | None) -> tuple[Any, bool]:
    """Split `X | None` into X and True."""
    if typing.get_origin(kind) in {typing.Union, types.UnionType}:
        (inner,) = (each for each in typing.get_args(kind) if each is not type(None))
        return inner, True
    return kind, False


# ---- values


def _expect(value: object, kind: type[_T]) -> _T:
    # A truth value is an int to Python, never to a person.
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ValueError(f"must be {NAMES[kind]}, not {NAMES[type(value)]}")
    return value


def _text(value: object, _: object) -> str:
    text = _expect(value, str)
    if "\0" in text:
        raise ValueError("must not hold a NUL character")
    return text


def _user_name(value: object, _: object) -> UserName:
    return UserName(str(value) if type(value) is int else _text(value, str))


def _truth(value: object, _: object) -> bool:
    return _expect(value, bool)


def _whole_number(value: object, _: object) -> int:
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return _expect(value, int)


def _seconds(value: object, _: object) -> timedelta:
    seconds = float(value) if type(value) is int else _expect(value, float)
    try:
        return timedelta(seconds=seconds)
    except (OverflowError, ValueError):
        raise ValueError(f"must be a number of seconds, not {value}") from None


def _word(value: object, cls: type[enum.StrEnum]) -> enum.StrEnum:
    word = _expect(value, str)
    words = [each.value for each in cls]
    if word not in words:
        listed = ", ".join(f'"{each}"' for each in words)
        raise ValueError(f'must be one of {listed}, not "{word}"{nearest(word, words)}')
    return cls(word)


# ---- from cattrs' tree of errors to sentences


def _sentences(error: BaseException, path: str) -> list[str]:
    if isinstance(error, BaseValidationError):
        return [
            sentence
            for inner in error.exceptions
            for sentence in _sentences(inner, path + _step(inner, error.cl))
        ]
    if isinstance(error, ForbiddenExtraKeysError):
        known = keys_of(error.cl)
        return [
            f"{_joined(path, key)}: there is no such setting{nearest(key, known)}"
            for key in sorted(error.extra_fields)
        ]
    return [f"{path.removeprefix('.')}: {error}"]


def _step(error: BaseException, cls: type) -> str:
    """Where below its parent an error belongs, as the file names it."""
    for note in getattr(error, "__notes__", ()):
        if isinstance(note, AttributeValidationNote):
            names = {a.name: key for key, a in keys_of(cls).items()}
            return f".{names[note.name]}"
        if isinstance(note, IterableValidationNote):
            return f"[{note.index}]" if isinstance(note.index, int) else f".{note.index}"
    return ""


def _joined(path: str, key: str) -> str:
    return f"{path}.{key}".removeprefix(".")


def _is_comment(key: str) -> bool:
    """JSON has no comments, so people write keys such as `_comment`."""
    return key.startswith(("_", "//"))
