"""Our own records as JSON, through cattrs: what only we write and read.

Files that other people and programs write are read by hand elsewhere (`FieldReader`): they need
sentences for people, older names, and speed.  Members nobody knows are ignored here, and those
with their default value are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any, TypeVar, cast, get_origin

from attrs import resolve_types
from cattrs import Converter
from cattrs.strategies import configure_tagged_union

from galaxy_core.domain import run
from galaxy_core.domain.ask import Ask
from galaxy_core.domain.delivery import Ticket
from galaxy_core.domain.errors import UnreadableFile
from galaxy_core.domain.operations import AnswerGiven, ControlCommand, ProgressItem
from galaxy_core.domain.order import JSONObject, JSONValue
from galaxy_core.domain.run import Answer, RunEvent
from galaxy_core.wire.times import read_time, write_time

__all__ = ["from_json", "to_json"]

T = TypeVar("T")


def to_json(value: object, kind: object = None) -> dict[str, JSONValue]:
    """Turn a value into a JSON object; `kind` is the union that it is one of, if it is."""
    return cast("dict[str, JSONValue]", _converter().unstructure(value, kind or type(value)))


def from_json(members: JSONObject, kind: type[T], *, name: str) -> T:
    """Turn a JSON object into a value of `kind`.

    Raises `UnreadableFile` when it is none.
    """
    try:
        return _converter().structure(members, kind)
    except (KeyError, TypeError, ValueError, AttributeError, ArithmeticError) as error:
        raise UnreadableFile(f"{name} is none: {type(error).__name__}.") from error


@cache
def _converter() -> Converter:
    converter = Converter(omit_if_default=True, detailed_validation=False)
    converter.register_unstructure_hook(datetime, write_time)
    converter.register_structure_hook(datetime, _time)
    converter.register_unstructure_hook(timedelta, timedelta.total_seconds)
    converter.register_structure_hook(timedelta, lambda seconds, _: timedelta(seconds=seconds))
    # JSONValue names itself, which cannot be resolved from the module of a class that only uses
    # it.  It need not be: what is in a mapping is JSON already.
    for holder in (Ticket, Ask):
        resolve_types(holder, localns={"JSONValue": Any})
    # Their module does without the events of a run, as long as nobody asks for one.
    for kind in (AnswerGiven, ProgressItem):
        resolve_types(kind, localns=vars(run))
    converter.register_unstructure_hook_func(_is_mapping, dict)
    converter.register_structure_hook_func(_is_mapping, _object)
    # The unions in the order in which they hold each other.
    for union in (Answer, RunEvent, ControlCommand):
        configure_tagged_union(union, converter, tag_generator=_tag, tag_name="type")
    return converter


def _is_mapping(kind: object) -> bool:
    return get_origin(kind) is Mapping


def _object(value: object, _: object) -> dict[str, JSONValue]:
    if not isinstance(value, dict):
        raise TypeError("not an object")
    return value


def _time(value: JSONValue, _: object) -> datetime:
    time = read_time(value)
    if time is None:
        raise ValueError("no time")
    return time


def _tag(kind: type[Any]) -> str:
    """`TextAppended` -> `text_appended`."""
    name = kind.__name__
    return "".join(f"_{c.lower()}" if c.isupper() and i else c.lower() for i, c in enumerate(name))
