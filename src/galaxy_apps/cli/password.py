"""`galaxy config password`: the page's password, kept as a hash in the settings file.

Killed in the middle it leaves the old file or the new one.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from galaxy_apps.cli.errors import UsageError
from galaxy_apps.cli.output import is_terminal, print_json, warn, write
from galaxy_apps.exit_codes import ExitCode
from galaxy_apps.private_file import replace_private
from galaxy_apps.settings import SettingsError, load

SHORTEST = 8


def password(*, config: Path | None, is_json: bool) -> ExitCode:
    """Ask for the password twice, or read one line that is piped in, and store its hash."""
    file = load(config).path
    if file is None:
        raise SettingsError("there is no settings file to keep it in; `galaxy init` writes one")
    chosen = _ask() if is_terminal(sys.stdin) else sys.stdin.readline().rstrip("\r\n")
    if len(chosen) < SHORTEST:
        raise UsageError(f"the password must have at least {SHORTEST} characters")
    _store(file, _hashed(chosen))
    if is_json:
        print_json({"path": str(file), "is_set": True})
    else:
        write(f"{file} holds the password's hash now. It counts from the next start on.")
    return ExitCode.OK


def _ask() -> str:
    from getpass import getpass

    while True:
        chosen = getpass("Password of the page: ")
        if len(chosen) < SHORTEST:
            warn(f"At least {SHORTEST} characters, please.")
        elif getpass("Once more: ") == chosen:
            return chosen
        else:
            warn("These two differ.")


def _hashed(chosen: str) -> str:
    from galaxy_apps.wiring_web import require_web

    require_web()
    from galaxy_adapters._web import hash_password

    try:
        return hash_password(chosen)
    except ValueError as error:
        raise UsageError(str(error)) from None


def _store(file: Path, hashed: str) -> None:
    raw: dict[str, Any] = json.loads(file.read_text(encoding="utf-8-sig"))
    raw["web"] = {**raw.get("web", {}), "password": hashed}
    replace_private(file, json.dumps(raw, indent=2, ensure_ascii=False) + "\n")
