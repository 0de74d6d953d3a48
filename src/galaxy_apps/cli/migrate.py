"""`galaxy migrate` and `galaxy upgrade-check`: from the original system, and to a newer version."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

from galaxy_adapters._files import create_durably, write_durably
from galaxy_adapters.old_filesystem.survey import schema_version, survey
from galaxy_apps.cli.output import print_json, warn, write
from galaxy_apps.cli.place import plural
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.settings import load
from galaxy_apps.settings.schema import MEANINGLESS_KEYS
from galaxy_apps.wiring import Place, require_agent
from galaxy_core.domain.errors import DispatcherUnavailable

_PYTHON = (3, 11)
_PATIENCE_S = 20.0


def migrate(
    *, config: Path | None, machine: str | None, is_applied: bool, is_json: bool
) -> ExitCode:
    """Say what is left of the original system; take out the settings that mean nothing."""
    configuration = load(config)
    layout = Place(configuration.settings, configuration.machine(machine)).layout
    old = survey(layout)
    read_anyway = [
        *([f"{plural(old.old_orders, 'order')} of an older shape"] if old.old_orders else []),
        *(
            [f"{plural(len(old.orphans), 'order')} that a crash left claimed"]
            if old.orphans
            else []
        ),
        *([f"{plural(old.sent_letters, 'letter')} marked as sent"] if old.sent_letters else []),
        *(["the session that everybody shared"] if old.has_old_session else []),
    ]
    keys = _meaningless(configuration.path)
    kept = _take_out(configuration.path, keys) if is_applied and configuration.path else None
    if is_json:
        document = {"read_anyway": read_anyway, "unused_files": old.unused}
        print_json({**document, "meaningless_keys": keys, "is_applied": is_applied, "kept": kept})
        return ExitCode.OK
    for each in read_anyway:
        write(f"Read as it is: {each}.")
    for name in old.unused:
        write(f"Read by nothing any more: .galaxy/{name}; you may delete it.")
    if keys:
        done = f"taken out; the file as it was is {kept}" if kept else "--apply takes them out"
        write(f"Settings that mean nothing here: {', '.join(keys)} ({done}).")
    if not (read_anyway or old.unused or keys):
        write("There is nothing to migrate.")
    return ExitCode.OK


def _meaningless(path: Path | None) -> list[str]:
    if path is None:
        return []
    return sorted(MEANINGLESS_KEYS & set(json.loads(path.read_text("utf-8-sig"))))


def _take_out(path: Path, keys: list[str]) -> str | None:
    """Write the settings without them, after keeping the file as it was; its name."""
    if not keys:
        return None
    data = path.read_bytes()
    mode = stat.S_IMODE(path.stat().st_mode)
    kept = path.with_name(f"{path.name}.before-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}")
    create_durably(kept, data, mode=mode)
    members = json.loads(data.decode("utf-8-sig"))
    left = {key: value for key, value in members.items() if key not in keys}
    text = json.dumps(left, ensure_ascii=False, indent=2) + "\n"
    write_durably(path, text.encode(), mode=mode)
    return kept.name


def upgrade_check(*, config: Path | None, machine: str | None, is_json: bool) -> ExitCode:
    """Compare what lies in the folder, Python and opencode with what this version knows."""
    from galaxy_adapters import channel_web, index_sqlite, notes_sqlite

    configuration = load(config)
    place = Place(configuration.settings, configuration.machine(machine))
    layout = place.layout
    good: list[str] = []
    problems: list[str] = []
    for name, path, known in (
        ("the gateway's notes", layout.gateway_notes, notes_sqlite.SCHEMA_VERSION),
        ("the page's chat", layout.web_channel / channel_web.HISTORY, channel_web.SCHEMA_VERSION),
    ):
        found = schema_version(path)
        if found is not None and found > known:
            problems.append(
                f"{name} have version {found}, this program knows {known}: install the newer one"
            )
        else:
            good.append(f"{name}: {'none yet' if found is None else f'version {found}'}")
    found = schema_version(layout.trail_index)
    word = "none yet" if found is None else f"version {found}"
    is_known = found in (None, index_sqlite.SCHEMA_VERSION)
    good.append(f"the trail's index: {word}{'' if is_known else '; made anew'}")
    running = ".".join(map(str, sys.version_info[:3]))
    (good if sys.version_info >= _PYTHON else problems).append(f"Python {running}")
    _check_opencode(place, good, problems)
    if is_json:
        print_json({"is_good": not problems, "good": good, "problems": problems})
    else:
        for line in good:
            write(f"✓ {line}")
        for line in problems:
            warn(f"✗ {line}")
    return ExitCode.FAILURE if problems else ExitCode.OK


def _check_opencode(place: Place, good: list[str], problems: list[str]) -> None:
    from galaxy_adapters.dispatch_opencode_server import KNOWN_MAJOR

    try:
        binary = require_agent(place.settings, place.environ)
        if binary is None:
            return
        done = subprocess.run(
            [os.fspath(binary), "--version"],
            env=dict(place.environ),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_PATIENCE_S,
            check=True,
        )
    except (DispatcherUnavailable, OSError, subprocess.SubprocessError) as error:
        problems.append(f"opencode: {error}")
        return
    version = done.stdout.strip()
    if version.startswith(KNOWN_MAJOR):
        good.append(f"opencode {version}")
    else:
        problems.append(f"opencode {version} is not known ({KNOWN_MAJOR}x is): try an order first")
