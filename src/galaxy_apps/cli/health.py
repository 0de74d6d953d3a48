"""`galaxy health`: one look at everything, as of old.  `galaxy doctor`: what to type about it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from galaxy_apps.cli.output import DIM, GREEN, RED, YELLOW, flush, print_json, styled, warn, write
from galaxy_apps.cli.place import plural, run
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.health import Examination
from galaxy_apps.home import Home
from galaxy_apps.settings import OPEN_TO_OTHERS, Configuration, load
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.health import Check
from galaxy_core.domain.insight import Level

TITLE = "=== Galaxy Protocol Health Check ==="
MARKS = {Level.WELL: "✓", Level.DOUBTFUL: "⚠", Level.UNWELL: "✗"}
STYLES = {Level.WELL: GREEN, Level.DOUBTFUL: YELLOW, Level.UNWELL: RED}
WORST_FIRST = (Level.UNWELL, Level.DOUBTFUL, Level.WELL)


def health(*, config: Path | None, is_json: bool) -> ExitCode:
    """Look at everything once; 0 when nothing is broken.  It goes into the health log."""
    configuration = load(config)

    def tell(checks: Sequence[Check]) -> None:
        lines = _lines(checks)
        if is_json:
            print_json(_document(checks))
        else:
            for check, line in zip((None, *checks, None), lines, strict=True):
                write(styled(line, STYLES[check.level]) if check else line)
        _log(configuration, lines)

    return _examine(configuration, tell, is_patient=False)


def doctor(*, config: Path | None, is_json: bool) -> ExitCode:
    """Look at everything, and say what to do about what is wrong, the worst first."""
    configuration = load(config)

    def tell(checks: Sequence[Check]) -> None:
        told = {OPEN_TO_OTHERS} if _tells_open(checks) else set()
        doubts = [warning for warning in configuration.warnings if warning not in told]
        every = [*map(_settings_check, doubts), *checks]
        if is_json:
            print_json(_document(every))
        else:
            _print_advice(every)

    return _examine(configuration, tell, is_patient=True)


def _examine(configuration: Configuration, tell: Any, *, is_patient: bool) -> ExitCode:  # noqa: ANN401
    examination = Examination(Home(configuration), is_patient=is_patient)
    code = ExitCode.OK

    def heard(checks: Sequence[Check]) -> None:
        nonlocal code
        tell(checks)
        code = ExitCode.FAILURE if _has_failed(checks) else ExitCode.OK
        if not examination.is_complete:
            # A thread that waits for a disk that hangs would keep this process for ever.
            flush()
            os._exit(code)

    run(lambda: examination.run(heard))
    return code


def _has_failed(checks: Sequence[Check]) -> bool:
    return any(check.level is Level.UNWELL for check in checks)


def _lines(checks: Sequence[Check]) -> list[str]:
    stamp = f"[{datetime.now().astimezone():%Y-%m-%d %H:%M:%S}]"
    result = "FAILED" if _has_failed(checks) else "PASSED"
    found = [f"{MARKS[check.level]} {check.text}" for check in checks]
    return [f"{stamp} {line}" for line in (TITLE, *found, f"=== Health Check {result} ===")]


def _log(configuration: Configuration, lines: Sequence[str]) -> None:
    from galaxy_adapters.folder_filesystem import append_to_health_log

    try:
        append_to_health_log(Home(configuration).layout.health_log, lines)
    except StorageUnavailable as error:
        warn(f"galaxy: {error}")


def _document(checks: Sequence[Check]) -> dict[str, Any]:
    return {
        "is_healthy": not _has_failed(checks),
        "checks": [
            {
                "key": check.key,
                "level": check.level.value,
                "text": check.text,
                "remedy": check.remedy or None,
                "machine": check.machine,
            }
            for check in checks
        ],
    }


def _settings_check(warning: str) -> Check:
    return Check(
        key="settings",
        level=Level.DOUBTFUL,
        text=f"Settings: {warning}",
        remedy="Change it in the settings, then run: galaxy config check.",
    )


def _tells_open(checks: Sequence[Check]) -> bool:
    """Whether it is said, with the command that mends it, that others can read secrets."""
    return any(check.key == "secrets" and not check.is_well for check in checks)


def _print_advice(checks: Sequence[Check]) -> None:
    found = sorted(
        (check for check in checks if not check.is_well),
        key=lambda check: WORST_FIRST.index(check.level),
    )
    well = len(checks) - len(found)
    for number, check in enumerate(found, start=1):
        write(styled(f"{number}. {MARKS[check.level]} {check.text}.", STYLES[check.level]))
        if check.remedy:
            write(f"   {check.remedy}")
    if found:
        write()
    rest = f"{plural(well, 'check')} found nothing wrong."
    write(styled(rest, DIM) if found else f"✓ {rest}")
