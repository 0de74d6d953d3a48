"""The environment: the only module that reads it.

A variable that is set and not empty counts before a credential of the service, and that one before
the file.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any

import attrs

from galaxy_apps.settings.keys import VARIABLE
from galaxy_apps.settings.model import Settings
from galaxy_apps.settings.problems import SettingsError
from galaxy_apps.settings.schema import keys_of, without_none
from galaxy_apps.settings.secret import Secret
from galaxy_core.domain.order import JSONObject

CONFIG_VARIABLE = "GALAXY_CONFIG"
"""Names the settings file, as `--config` does."""
CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
"""Names the folder of a systemd service's credentials: files that hold a secret each, named after
its key (`telegram_token`, `opencode.password`)."""

_TRUTH = {"1": True, "true": True, "yes": True, "on": True} | {
    "0": False,
    "false": False,
    "no": False,
    "off": False,
}


def environment() -> Mapping[str, str]:
    """The process's environment, for those who hand it on (adapters never read it themselves)."""
    return os.environ  # noqa: TID251  the one place


def variables() -> Mapping[str, str]:
    """The variables that stand for a setting, each with the path of its key in the file."""
    return {attribute.metadata[VARIABLE]: ".".join(path) for path, attribute in _scalars()}


def overlay(raw: JSONObject, environ: Mapping[str, str]) -> tuple[dict[str, Any], dict[str, str]]:
    """The file's object with the environment's values put in.

    The second value names, for each path that was replaced, the variable that did it: a problem
    there is the variable's, not the file's.
    """
    merged: dict[str, Any] = dict(raw)
    origins: dict[str, str] = {}
    for path, attribute in _scalars():
        name, text = _given(environ, path, attribute)
        if not text:
            continue
        target = merged
        if len(path) > 1:
            inner = merged.get(path[0], {})
            if not isinstance(inner, dict):
                continue  # wrong in the file already, and reported as that
            target = merged[path[0]] = dict(inner)
        target[path[-1]] = _value(text, attribute)
        origins[".".join(path)] = name
    return merged, origins


def _given(
    environ: Mapping[str, str], path: tuple[str, ...], attribute: attrs.Attribute[Any]
) -> tuple[str, str]:
    """What the environment says instead of the file, and who says it: variable or credential."""
    name: str = attribute.metadata[VARIABLE]
    folder, key = environ.get(CREDENTIALS_VARIABLE), ".".join(path)
    is_secret = without_none(attribute.type)[0] is Secret
    if environ.get(name) or not folder or not is_secret:
        return name, environ.get(name, "")
    try:
        return f"credential {key}", Path(folder, key).read_text(encoding="utf-8").strip()
    except FileNotFoundError:
        return name, ""
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text"
        problem = f"credential {key}: it cannot be read: {reason}"
        raise SettingsError(problem, source=str(folder)) from None


def _scalars() -> list[tuple[tuple[str, ...], attrs.Attribute[Any]]]:
    """Every attribute that has a variable, with its path in the file (at most two steps)."""
    found: list[tuple[tuple[str, ...], attrs.Attribute[Any]]] = []
    for key, attribute in keys_of(Settings).items():
        if attribute.metadata[VARIABLE]:
            found.append(((key,), attribute))
        elif attribute.type is not None and attrs.has(attribute.type):
            found += [
                ((key, inner), each)
                for inner, each in keys_of(attribute.type).items()
                if each.metadata[VARIABLE]
            ]
    return found


def _value(text: str, attribute: attrs.Attribute[Any]) -> bool | int | float | str:
    """What a JSON file would hold for the variable's text; a wrong one stays text."""
    kind = without_none(attribute.type)[0]
    if kind is bool:
        return _TRUTH.get(text.strip().casefold(), text)
    for number in (int, float) if kind in {int, timedelta} else ():
        try:
            return number(text)
        except ValueError:
            continue
    return text
