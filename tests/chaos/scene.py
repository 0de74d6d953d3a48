"""The whole system on one folder: Bot API, gateway, Hermes, opencode and the model behind it."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from galaxy_core.domain.order import JSONValue
from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from galaxy_core.testing.opencode_project import private_environment, write_opencode_project
from galaxy_core.testing.scripted_llm import ScriptedModelServer, running_model
from galaxy_core.wire.layout import Layout
from tests.chaos.clock import SetClock, made_clocks
from tests.chaos.keeper import Daemon, Keeper
from tests.e2e.machine import end_processes_at, run_galaxy

WATCHDOG_S = 12.0
"""`WatchdogSec` of the units."""
PAUSE_S = 0.2
"""Instead of the units' `RestartSec=5`: measured times hold what the system itself needs."""
DISK_SIZE = "256m"
HASTY = Path(__file__).with_name("hasty.py")
_ENVIRONMENT = os.environ  # noqa: TID251 - programs are started with PATH and the like


@define(eq=False)
class Scene:
    """What runs, and what can be seen of it."""

    folder: Path
    """The project, on a disk of its own where that is possible."""
    home: Path
    telegram: BotApiProcess
    model: ScriptedModelServer
    people: list[Remote]
    gateway: Daemon
    hermes: Daemon
    has_agent: bool
    """Whether the real opencode works; else the built-in agent that asks no model."""
    has_disk: bool
    """Whether the folder is a disk of its own, which can be filled."""
    clocks: tuple[SetClock, SetClock] | None
    """The time of day of the gateway, and that of Hermes and opencode; None: it cannot be set."""
    skipped: list[str] = field(factory=list)

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.folder)

    def heartbeat(self, daemon: Daemon) -> dict[str, Any]:
        """The last sign of life; empty where there is none."""
        is_gateway = daemon is self.gateway
        path = self.layout.gateway_heartbeat if is_gateway else self.layout.heartbeat
        return _read(path)

    def server(self) -> dict[str, Any]:
        """What is written down about the agent's server."""
        files = sorted((self.home / "state" / "galaxy").glob("opencode-*.json"))
        return _read(files[0]) if files else {}

    def galaxy(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the operator's command line."""
        return run_galaxy(self.folder, self.hermes.environment, *words, seconds=120)

    def end_agents(self) -> None:
        """Kill what the agent left behind."""
        end_processes_at(self.home, but={self.gateway.pid, self.hermes.pid})


@contextmanager
def running_scene(
    folder: Path, *, people: int, opencode: Path | None, with_disk: bool, seed: int
) -> Iterator[Scene]:
    """All of it, started; ended again whatever happens."""
    with ExitStack() as stack:
        skipped: list[str] = []
        project, home = folder / "project", folder / "home"
        project.mkdir()
        has_disk = with_disk and _mounted(project, stack)
        if with_disk and not has_disk:
            skipped.append("full disk: no file system can be mounted here")
        model = stack.enter_context(running_model())
        telegram = stack.enter_context(BotApiProcess(folder, keeps_state=False))
        crowd = [telegram.person(f"Person {number}") for number in range(people)]
        write_opencode_project(project, model.url)
        _settle(project, telegram, crowd, has_agent=opencode is not None)
        environment = private_environment(home, _ENVIRONMENT) | {
            "GALAXY_TELEGRAM_BASE_URL": telegram.base_url,
            "GALAXY_TELEGRAM_BASE_FILE_URL": telegram.base_file_url,
            "PWD": str(project),
        }
        clocks = made_clocks(folder)
        if clocks is None:
            skipped.append("clock steps: no C compiler that makes a shared library")
        if opencode is not None:
            environment["GALAXY_OPENCODE_BIN"] = str(opencode)
        first, second = (clock.environment for clock in clocks) if clocks else ({}, {})
        gateway = _daemon("gateway", (str(HASTY), "gateway"), folder, {**environment, **first})
        hermes = _daemon("hermes", (str(HASTY), "hermes"), folder, {**environment, **second})
        scene = Scene(
            folder=project,
            home=home,
            telegram=telegram,
            model=model,
            people=crowd,
            gateway=gateway,
            hermes=hermes,
            has_agent=opencode is not None,
            has_disk=has_disk,
            clocks=clocks,
            skipped=skipped,
        )
        stack.callback(scene.end_agents)
        stack.enter_context(Keeper([gateway, hermes]))
        yield scene


def _settle(
    project: Path, telegram: BotApiProcess, people: list[Remote], *, has_agent: bool
) -> None:
    settings: dict[str, JSONValue] = {
        "telegram_token": telegram.token,
        "machines": {"lab": {}},
        "dispatcher": "opencode-server" if has_agent else "scripted",
        "authorized_users": [person.id or 0 for person in people],
        "workers": 6,
        # An attempt that was killed is an attempt: in a storm there are more of them than five.
        "max_attempts": 60,
        "telegram": {
            "order_rate": 1000,
            "queue_limit": 5000,
            "rates": {"chat_every": 0.2, "chat_burst": 5},
        },
        "alerts": {"free_megabytes": 100},
    }
    folder = Layout(project).settings_folder
    folder.mkdir(mode=0o700)
    config = folder / "config.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    config.chmod(0o600)


def _daemon(
    name: str, words: tuple[str, ...], folder: Path, environment: Mapping[str, str]
) -> Daemon:
    return Daemon(
        name=name,
        words=words,
        folder=folder / "project",
        log=folder / f"{name}.log",
        environment=environment,
        watchdog_s=WATCHDOG_S,
        pause_s=PAUSE_S,
    )


def _mounted(place: Path, stack: ExitStack) -> bool:
    """Whether a small disk of its own could be mounted there; it goes with the stack."""
    mount, unmount = shutil.which("mount"), shutil.which("umount")
    if mount is None or unmount is None or os.geteuid() != 0:
        return False
    words = [mount, "-t", "tmpfs", "-o", f"size={DISK_SIZE}", "tmpfs", str(place)]
    if subprocess.run(words, capture_output=True, check=False).returncode != 0:
        return False
    stack.callback(subprocess.run, [unmount, "--lazy", str(place)], check=False)
    return True


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
