"""Finding the settings file, reading it, and checking that what it says fits together."""

from __future__ import annotations

import json
import stat
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from attrs import frozen

from galaxy_apps.settings.environment import CONFIG_VARIABLE, environment, overlay
from galaxy_apps.settings.machine import Machine, choose_machine
from galaxy_apps.settings.model import Settings
from galaxy_apps.settings.problems import SettingsError, nearest
from galaxy_apps.settings.schema import MEANINGLESS_KEYS, structure
from galaxy_apps.settings.secret import Secret

FILE = Path(".galaxy", "config.json")
MARK = ".sisyphus"
PLACEHOLDER = "CHANGE-ME"
SECRET_KEYS = frozenset({"telegram_token", "password", "jwt_secret"})


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

    def telegram_token(self) -> Secret:
        """The token, for those who cannot do without; raises `SettingsError`."""
        token = self.settings.telegram.token
        if token is None:
            problem = "telegram_token: it is not set; @BotFather gives one"
        elif PLACEHOLDER in token.reveal().upper():
            problem = f"telegram_token: it still says {PLACEHOLDER}; put the bot's token there"
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
        problems += [_with_origin(fault, origins) for fault in _contradictions(settings)]
    if is_strict:
        problems, warnings = problems + warnings, []
    if settings is None or problems:
        raise SettingsError(*sorted(problems), source=_name(file))
    return Configuration(
        settings=settings, path=file, folder=_folder(file, cwd), warnings=tuple(warnings)
    )


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
        warnings.append("it holds secrets and others can read it; run: chmod 600 on it")
    return warnings


def _holds_secret(value: object) -> bool:
    if isinstance(value, dict):
        return any((k in SECRET_KEYS and v) or _holds_secret(v) for k, v in value.items())
    return False


# ---- what fits together


def _with_origin(problem: str, origins: Mapping[str, str]) -> str:
    path, colon, rest = problem.partition(":")
    return f"{origins[path]}{colon}{rest}" if path in origins else problem


def _contradictions(settings: Settings) -> list[str]:
    """Values that are good by themselves and wrong together, or wrong in a way no type shows."""
    machines = settings.machines
    problems = []
    names: dict[str, str] = {}
    for name, machine in machines.machines.items():
        if not name.strip():
            problems.append("machines: a machine's name must not be empty")
        problems += [
            f"machines.{name}: {names[each]!r} has that name already"
            for each in {n.casefold() for n in (name, machine.machine_name) if n}
            if names.setdefault(each, name) != name
        ]
    if machines.machines and machines.legacy_name:
        problems.append('machine_name: it stands beside "machines"; keep only one of them')
    default = machines.default_machine
    if machines.machines and default and default.casefold() not in names:
        hint = nearest(default, machines.machines)
        problems.append(f"default_machine: there is no machine {default!r} in machines{hint}")
    url = settings.opencode.url
    if url is not None:
        problems += _url_problems(url)
    models = {"opencode.model": settings.opencode.model}
    models |= {f"projects.{name}.model": p.model for name, p in settings.projects.items()}
    problems += [
        f'{path}: "{model}" must be written as provider/model'
        for path, model in models.items()
        if model is not None and not all(model.partition("/")[::2])
    ]
    return problems


def _url_problems(url: str) -> list[str]:
    from urllib.parse import urlsplit  # costs a command that needs none several milliseconds

    try:
        parts = urlsplit(url)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return ["opencode.url: it is not an address"]
    if not is_good:
        return ["opencode.url: it must be an address like http://127.0.0.1:4096"]
    if parts.password or parts.username:
        return ["opencode.url: a password in it would be logged; use opencode.password"]
    return []
