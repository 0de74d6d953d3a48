"""Writing a value over the object that it was read from, so that nothing else in there changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias, TypeVar

from galaxy_core.domain.order import JSONValue
from galaxy_core.wire.times import write_time

__all__ = ["Table", "all_members", "put_changes", "time_writer"]

T = TypeVar("T")

# Any: the parameter's type is the table's value type, which an alias cannot bind in Python 3.11.
Table: TypeAlias = Mapping[str, tuple[str, Callable[[Any], JSONValue]]]
"""The member's name in files; the value's attribute, and how it is written (None: left out)."""


def all_members(table: Table, value: object) -> dict[str, JSONValue]:
    """Write a value that was not read from anywhere."""
    written = ((key, write(value)) for key, (_, write) in table.items())
    return {key: member for key, member in written if member is not None}


def put_changes(
    members: dict[str, JSONValue],
    table: Table,
    *,
    read: T,
    value: T,
    older_names: Mapping[str, str] | None = None,
) -> None:
    """Change those `members` in which `value` differs from `read`, what they say now.

    `older_names` are asked where the newer one is absent, so they go when it is changed.
    """
    for key, (attribute, write) in table.items():
        if getattr(read, attribute) != getattr(value, attribute):
            members[key] = write(value)
            if older_names and key in older_names:
                members.pop(older_names[key], None)


def time_writer(attribute: str) -> tuple[str, Callable[[Any], JSONValue]]:
    """Make the entry of a table for a point in time."""

    def write(value: object) -> JSONValue:
        time: datetime | None = getattr(value, attribute)
        return None if time is None else write_time(time)

    return attribute, write
