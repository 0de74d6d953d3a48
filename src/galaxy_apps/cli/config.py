"""`galaxy config check|show`."""

from __future__ import annotations

import json
from pathlib import Path

from galaxy_apps.cli.output import print_fields, print_json, warn, write
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.settings import SettingsError, effective, load


def check(*, config: Path | None, machine: str | None, is_strict: bool, is_json: bool) -> ExitCode:
    """Say all that is wrong with the settings, and which machine this is."""
    problems: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    source: str | None = None
    name = repo_path = None
    try:
        configuration = load(config, is_strict=is_strict)
        warnings, path = configuration.warnings, configuration.path
        source = str(path) if path else None
        this = configuration.machine(machine)
        name, repo_path = this.name, str(this.repo_path)
    except SettingsError as error:
        problems, source = error.problems, error.source
    if is_json:
        print_json(
            {
                "path": source,
                "is_good": not problems,
                "problems": problems,
                "warnings": warnings,
                "machine": name,
                "repo_path": repo_path,
            }
        )
    else:
        _print_check(source, problems, warnings, f"{name} in {repo_path}")
    return ExitCode.SETTINGS if problems else ExitCode.OK


def _print_check(
    source: str | None, problems: tuple[str, ...], warnings: tuple[str, ...], machine: str
) -> None:
    where = source or "no settings file; the defaults"
    for problem in problems:
        warn(f"error: {problem}")
    for warning in warnings:
        warn(f"warning: {warning}")
    if problems:
        warn(f"galaxy: {where}: see above.")
    else:
        write(f"{where}: good. This machine is {machine}.")


def show(*, config: Path | None, machine: str | None, is_json: bool) -> ExitCode:
    """Print the settings that hold, file, environment and defaults together, secrets masked."""
    configuration = load(config)
    this = configuration.machine(machine)
    values = effective(configuration.settings)
    if is_json:
        print_json(
            {
                "path": str(configuration.path) if configuration.path else None,
                "machine": this.name,
                "repo_path": str(this.repo_path),
                "settings": values,
            }
        )
        return ExitCode.OK
    write(f"# {configuration.path or 'no settings file; the defaults'}")
    write(f"# machine {this.name} in {this.repo_path}")
    lines: dict[str, str] = {}
    for key, value in values.items():
        if isinstance(value, dict) and key not in {"machines", "projects"}:
            lines |= {f"{key}.{inner}": json.dumps(each) for inner, each in value.items()}
        else:
            lines[key] = json.dumps(value, ensure_ascii=False)
    print_fields(lines)
    return ExitCode.OK
