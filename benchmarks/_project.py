"""A machine's folder with settings, as `galaxy init` leaves one, and orders in it."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from galaxy_apps.settings import load
from galaxy_apps.wiring import Place
from galaxy_core.wire.layout import Layout

MACHINE = "production"


def make_project(folder: Path, **settings: object) -> Place:
    """Make the folder; what the real programs would build everything from."""
    layout = Layout(folder)
    layout.orders.mkdir(parents=True)
    layout.settings_folder.mkdir(mode=0o700, exist_ok=True)
    file = settings_file(folder)
    machines = {MACHINE: {"host": "localhost", "repo_path": str(folder)}}
    file.write_text(json.dumps({"default_machine": MACHINE, "machines": machines, **settings}))
    file.chmod(0o600)
    return open_project(folder)


def open_project(folder: Path) -> Place:
    """The project that somebody has made."""
    configuration = load(settings_file(folder))
    return Place(configuration.settings, configuration.machine())


def settings_file(folder: Path) -> Path:
    """Where its settings are."""
    return Layout(folder).settings_folder / "config.json"


def order_bytes(payload: str = "Test: Echo hello world", **fields: object) -> bytes:
    """An order as the guide has people write it."""
    order: Mapping[str, object] = {
        "type": "galaxy_order",
        "from": "test",
        "target": MACHINE,
        "command": "general",
        "payload": payload,
        "timestamp": "2026-02-02T12:00:00+00:00",
        "acknowledged": False,
        **fields,
    }
    return json.dumps(order, indent=2).encode() + b"\n"


def drop(path: Path, data: bytes) -> int:
    """Write an order as `cat` does; the moment before the close, in ns of the monotonic clock."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    try:
        os.write(fd, data)
    finally:
        closing = time.monotonic_ns()
        os.close(fd)
    return closing
