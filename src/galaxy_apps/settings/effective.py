"""`Settings` -> the JSON form of the file, with nothing left out and secrets masked."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from galaxy_apps.settings.keys import KEY
from galaxy_apps.settings.model import Settings
from galaxy_apps.settings.secret import MASK, Secret


def effective(settings: Settings) -> dict[str, Any]:
    """Every setting under its key in the file."""
    return _members(settings)


def _members(instance: attrs.AttrsInstance) -> dict[str, Any]:
    members: dict[str, Any] = {}
    for attribute in attrs.fields(type(instance)):
        value = getattr(instance, attribute.name)
        if KEY in attribute.metadata:
            members[attribute.metadata[KEY]] = _plain(value)
        else:
            members |= _members(value)
    return members


def _plain(value: object) -> object:
    match value:
        case Secret():
            return MASK
        case enum.Enum() | Path():
            return str(value)
        case timedelta():
            seconds = value.total_seconds()
            return int(seconds) if seconds.is_integer() else seconds
        case Mapping():
            return {name: _plain(each) for name, each in value.items()}
        case tuple():
            return [_plain(each) for each in value]
    return _members(value) if attrs.has(type(value)) else value  # type: ignore[arg-type]
