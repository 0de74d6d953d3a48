"""Finding the settings file, reading it, and checking that what it says fits together."""

from __future__ import annotations

import json
import re
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import evolve, frozen

from galaxy_apps.settings.consistency import contradictions, doubts
from galaxy_apps.settings.environment import CONFIG_VARIABLE, environment, overlay
from galaxy_apps.settings.machine import Machine, choose_machine, local_machines, names_elsewhere
from galaxy_apps.settings.model import Settings
from galaxy_apps.settings.problems import SettingsError
from galaxy_apps.settings.schema import MEANINGLESS_KEYS, structure
from galaxy_apps.settings.secret import Secret

FILE = Path(".galaxy", "config.json")
MARK = ".sisyphus"
PLACEHOLDER = "CHANGE-ME"
OPEN_TO_OTHERS = "it holds secrets and others can read it; run: chmod 600 on it"
"""A warning."""
_TOKEN = re.compile(r"[0-9]{1,20}:[A-Za-z0-9_-]+")
SECRET_KEYS = frozenset({"telegram_token", "password", "jwt_secret", "secret", "api_key", "token"})


@frozen(kw_only=True)
class Configuration:
    """Settings, and where they came from."""

    settings: Settings
    path: Path | None
    """The file; None when there is none and the defaults hold."""
    folder: Path
    """The project's folder, where relative paths begin."""
    warnings: tuple[str, ...] = ()
    """What deserves a look but stops nothing, one sentence each."""

    def machine(self, wanted: str | None = None) -> Machine:
        """The machine that is meant; see `choose_machine`."""
        try:
            return choose_machine(self.settings.machines, self.folder, wanted=wanted)
        except SettingsError as error:
            raise SettingsError(*error.problems, source=_name(self.path)) from None

    def machines(self) -> tuple[Machine, ...]:
        """The machines that are served on this host; see `local_machines`."""
        try:
            return local_machines(self.settings.machines, self.folder)
        except SettingsError as error:
            raise SettingsError(*error.problems, source=_name(self.path)) from None

    def machines_elsewhere(self) -> tuple[str, ...]:
        """Names of the machines that other hosts serve."""
        return names_elsewhere(self.settings.machines)

    def telegram_token(self) -> Secret:
        """The token, for those who cannot do without; raises `SettingsError`."""
        token = self.settings.telegram.token
        if token is None:
            problem = "telegram_token: it is not set; @BotFather gives one"
        elif PLACEHOLDER in token.reveal().upper():
            problem = f"telegram_token: it still says {PLACEHOLDER}; put the bot's token there"
        elif not _TOKEN.fullmatch(token.reveal()):
            problem = "telegram_token: it is none; @BotFather gives them in the form 123456:letters"
        else:
            return token
        raise SettingsError(problem, source=_name(self.path))


def load(
    path: Path | None = None,
    *,
    environ: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    is_strict: bool = False,
) -> Configuration:
    """Read the settings: `path`, else the variable's file, else the nearest one upwards.

    Without any file the defaults hold, for the nearest folder upwards that has a `.sisyphus`, or
    the current one.  With `is_strict` every warning is an error.  Raises `SettingsError`.
    """
    environ = environment() if environ is None else environ
    cwd = Path.cwd() if cwd is None else cwd
    named = path or (Path(environ[CONFIG_VARIABLE]) if environ.get(CONFIG_VARIABLE) else None)
    file = (cwd / named.expanduser()) if named else _upwards(cwd, FILE)
    raw, problems, warnings = _read(file) if file else ({}, [], [])
    merged, origins = overlay(raw, environ)
    settings, faults = structure(merged)
    problems += [_with_origin(fault, origins) for fault in faults]
    if settings is not None:
        problems += [_with_origin(fault, origins) for fault in contradictions(settings)]
        warnings += [_with_origin(doubt, origins) for doubt in doubts(settings)]
    if is_strict:
        problems, warnings = problems + warnings, []
    if settings is None or problems:
        raise SettingsError(*sorted(problems), source=_name(file))
    folder = _folder(file, cwd)
    return Configuration(
        settings=_with_absolute_paths(settings, folder),
        path=file,
        folder=folder,
        warnings=tuple(warnings),
    )


def _with_absolute_paths(settings: Settings, folder: Path) -> Settings:
    """Paths that several programs need, whichever folder each of them works in."""
    file = settings.audit.anchor_file
    if file is None:
        return settings
    audit = evolve(settings.audit, anchor_file=folder.resolve() / file.expanduser())
    return evolve(settings, audit=audit)


def _upwards(start: Path, name: Path) -> Path | None:
    for folder in (start, *start.parents):
        if (folder / name).is_file():
            return folder / name
    return None


def _folder(file: Path | None, cwd: Path) -> Path:
    if file is not None:
        parent = file.absolute().parent
        return parent.parent if parent.name == FILE.parent.name else parent
    for folder in (cwd, *cwd.parents):
        if (folder / MARK).is_dir():
            return folder
    return cwd


def _name(file: Path | None) -> str | None:
    return None if file is None else str(file)


# ---- the file


def _read(file: Path) -> tuple[dict[str, Any], list[str], list[str]]:
    """The file's object, the problems and the warnings; raises where there is nothing to go on."""
    try:
        with file.open("rb") as stream:
            mode = stat.S_IMODE(file.stat().st_mode)
            data = stream.read()
    except FileNotFoundError:
        raise SettingsError(
            "there is no such file; `galaxy init` writes one", source=str(file)
        ) from None
    except OSError as error:
        reason = error.strerror or type(error).__name__
        raise SettingsError(f"it cannot be read: {reason}", source=str(file)) from None
    repeated: list[str] = []

    def one_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made = dict(pairs)
        if len(made) < len(pairs):
            names = [key for key, _ in pairs]
            repeated.extend(sorted({key for key in names if names.count(key) > 1}))
        return made

    try:
        raw = json.loads(data.decode("utf-8-sig"), object_pairs_hook=one_object)
    except json.JSONDecodeError as error:
        problem = f"line {error.lineno}, column {error.colno}: not JSON ({error.msg})"
        raise SettingsError(problem, source=str(file)) from None
    except (UnicodeDecodeError, RecursionError):
        raise SettingsError("it is not JSON in UTF-8", source=str(file)) from None
    if not isinstance(raw, dict):
        raise SettingsError("it must hold one JSON object", source=str(file))
    problems = [f"{key}: it is given twice; keep one of them" for key in repeated]
    return raw, problems, _warnings(raw, mode)


def _warnings(raw: Mapping[str, Any], mode: int) -> list[str]:
    warnings = []
    old = sorted(MEANINGLESS_KEYS & set(raw))
    if old:
        warnings.append(f"settings of the original that mean nothing here: {', '.join(old)}")
    if mode & 0o077 and _holds_secret(raw):
        warnings.append(OPEN_TO_OTHERS)
    return warnings


def _holds_secret(value: object) -> bool:
    if isinstance(value, dict):
        return any((k in SECRET_KEYS and v) or _holds_secret(v) for k, v in value.items())
    return False


def _with_origin(problem: str, origins: Mapping[str, str]) -> str:
    path, colon, rest = problem.partition(":")
    return f"{origins[path]}{colon}{rest}" if path in origins else problem
