"""Starting `galaxy`: from the shell's call to the process's end, interpreter included."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import _machine
from benchmarks._figure import Figure, alternate, median_ms

ROUNDS, CALLS = 1, 25
ORDERS = 100
LIMIT_MS = 200.0

# Bytecode is kept where the program is installed, so it is here.
_ENVIRONMENT = {
    name: value
    for name, value in os.environ.items()  # noqa: TID251  programs are started with PATH
    if not name.startswith(("GALAXY_", "PYTHON"))
}


def run() -> list[Figure]:
    """Start each command in turn with the rest, on a folder with some waiting orders."""
    galaxy = [sys.executable, "-m", "galaxy_apps.cli.main"]
    with tempfile.TemporaryDirectory(dir=_machine.folder()) as name:
        folder = Path(name)
        _prepare(folder)
        commands = {
            "bare interpreter": [sys.executable, "-c", "pass"],
            "import asyncio": [sys.executable, "-c", "import asyncio"],
            "galaxy --help": [*galaxy, "--help"],
            f"galaxy order list ({ORDERS} waiting)": [*galaxy, "order", "list"],
            "galaxy audit": [*galaxy, "audit"],
            "galaxy config check": [*galaxy, "config", "check"],
        }
        calls: dict[str, Callable[[], object]] = {
            label: partial(_start, command, folder) for label, command in commands.items()
        }
        for call in calls.values():
            call()
        samples = alternate(calls, rounds=ROUNDS, calls=CALLS)
    return [
        Figure(
            name=label,
            value=median_ms(times),
            unit="ms",
            limit=LIMIT_MS if label.startswith("galaxy") else None,
            note=f"least {min(times) * 1e3:.0f} ms",
        )
        for label, times in samples.items()
    ]


def _prepare(folder: Path) -> None:
    settings = folder / ".galaxy" / "config.json"
    settings.parent.mkdir()
    settings.write_text(json.dumps({"machines": {"lab": {}}}), encoding="utf-8")
    orders = folder / ".sisyphus" / "notepads" / "galaxy-orders"
    orders.mkdir(parents=True)
    for number in range(ORDERS):
        order = {"payload": f"Order number {number}", "order_id": f"order-{number}"}
        (orders / f"order-{number}.json").write_text(json.dumps(order), encoding="utf-8")


def _start(command: list[str], folder: Path) -> None:
    subprocess.run(command, cwd=folder, env=_ENVIRONMENT, capture_output=True, check=True)
