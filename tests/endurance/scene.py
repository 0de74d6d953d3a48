"""The whole system in compressed time: Bot API, gateway, Hermes, an agent, the model behind it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from attrs import define, field

from galaxy_core.domain.order import JSONValue
from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from galaxy_core.testing.opencode.stub import write_stub
from galaxy_core.testing.opencode_project import private_environment, write_opencode_project
from galaxy_core.testing.scripted_llm import ScriptedModelServer, running_model
from galaxy_core.wire.layout import Layout
from tests.chaos.keeper import Daemon, Keeper
from tests.e2e.machine import end_processes_at, eventually, run_galaxy
from tests.endurance.gauge import Holding, Sample, holding, weigh

COMPRESSED = Path(__file__).with_name("compressed.py")
AGENT = "agent"
"""What is weighed beside the daemons, and not judged: its sessions are its own affair."""
START_WITHIN_S = 180.0
_WATCHDOG_S, _PAUSE_S = 60.0, 1.0
_ENVIRONMENT = os.environ  # noqa: TID251 - programs are started with PATH and the like
_SETTINGS: Mapping[str, JSONValue] = {
    "machines": {"lab": {}},
    "dispatcher": "opencode-server",
    "workers": 4,
    "audit": {"rotate_megabytes": 1},
    "alerts": {"free_megabytes": 100},
    "retention": dict.fromkeys(
        (
            *("orders", "responses", "letters", "files", "leftovers"),
            *("sessions", "notes", "web", "audit"),
        ),
        1,
    ),
}


@define(eq=False)
class Scene:
    """What runs, and what can be seen of it."""

    folder: Path
    home: Path
    telegram: BotApiProcess
    model: ScriptedModelServer
    people: list[Remote]
    daemons: list[Daemon]
    first_pids: dict[str, int | None] = field(factory=dict, init=False)

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.folder)

    def heartbeat(self, name: str) -> dict[str, Any]:
        """The last sign of life of one daemon; empty where there is none."""
        is_gateway = name == "gateway"
        path = self.layout.gateway_heartbeat if is_gateway else self.layout.heartbeat
        try:
            found = json.loads(path.read_bytes())
        except (OSError, ValueError):
            return {}
        return found if isinstance(found, dict) else {}

    def wait_until_up(self) -> None:
        """Until both daemons say that they live."""
        for daemon in self.daemons:

            def is_up(daemon: Daemon = daemon) -> bool:
                is_running = self.heartbeat(daemon.name).get("status") == "running"
                return daemon.is_final or is_running

            eventually(is_up, f"{daemon.name} runs", START_WITHIN_S)
            if daemon.is_final:
                raise RuntimeError(f"{daemon.name} does not start:\n{daemon.log.read_text()}")
        self.first_pids = {daemon.name: daemon.pid for daemon in self.daemons}

    def under_way(self) -> int:
        """Messages that nobody has fetched, orders that wait or run, letters that wait."""
        count = len(self.telegram.do("pending"))
        for folder in (self.layout.orders, self.layout.outbox):
            count += sum(1 for _ in folder.glob("*.json"))
        return count + sum(1 for _ in self.layout.orders.glob("*.processing"))

    def sample(self, at_s: float, orders: int) -> Sample:
        """Weigh everything."""
        processes: dict[str, Holding] = {}
        for daemon in self.daemons:
            if daemon.pid is not None:
                found = holding(daemon.pid, self.census_of(daemon.name))
                if found is not None:
                    processes[daemon.name] = found
        agent = self._agent()
        found = holding(agent) if agent is not None else None
        if found is not None:
            processes[AGENT] = found
        weighed = {name: weigh(folder) for name, folder in self._folders().items()}
        return Sample(
            at_s=at_s,
            orders=orders,
            processes=processes,
            files={name: count for name, (count, _) in weighed.items()},
            sizes={name: size for name, (_, size) in weighed.items()},
        )

    def census_of(self, name: str) -> Path:
        """Where a daemon writes what only itself can count."""
        return self.home / f"{name}.census"

    def _folders(self) -> dict[str, Path]:
        layout = self.layout
        return {
            "queue and letters": layout.notepads,
            "settings": layout.settings_folder,
            "logs": layout.logs,
        }

    def _agent(self) -> int | None:
        for file in sorted((self.home / "state" / "galaxy").glob("opencode-*.json")):
            try:
                return int(json.loads(file.read_bytes())["pid"])
            except (OSError, ValueError, KeyError, TypeError):
                return None
        return None

    def galaxy(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the operator's command line."""
        return run_galaxy(self.folder, self.daemons[0].environment, *words, seconds=120)

    def end_agents(self) -> None:
        """Kill what the agent left behind."""
        end_processes_at(self.home, but={daemon.pid for daemon in self.daemons})


@contextmanager
def running_scene(
    folder: Path, *, people: int, opencode: Path | None, day_s: float
) -> Iterator[Scene]:
    """All of it, started; ended again whatever happens.  Without `opencode` the fake one works."""
    with ExitStack() as stack:
        project, home = folder / "project", folder / "home"
        project.mkdir()
        home.mkdir()
        model = stack.enter_context(running_model())
        telegram = stack.enter_context(BotApiProcess(folder, keeps_state=False))
        crowd = [telegram.person(f"Person {number}") for number in range(people)]
        write_opencode_project(project, model.url)
        _settle(project, telegram, crowd)
        environment = private_environment(home, _ENVIRONMENT) | {
            "GALAXY_TELEGRAM_BASE_URL": telegram.base_url,
            "GALAXY_TELEGRAM_BASE_FILE_URL": telegram.base_file_url,
            "GALAXY_OPENCODE_BIN": str(opencode or write_stub(folder / "bin")),
            "PWD": str(project),
        }
        if "GALAXY_TRACE" in _ENVIRONMENT:
            environment["GALAXY_TRACE"] = _ENVIRONMENT["GALAXY_TRACE"]
        daemons = [
            _daemon(name, folder, environment, home, day_s) for name in ("gateway", "hermes")
        ]
        scene = Scene(project, home, telegram, model, crowd, daemons)
        stack.callback(scene.end_agents)
        stack.enter_context(Keeper(daemons))
        yield scene


def _settle(project: Path, telegram: BotApiProcess, people: list[Remote]) -> None:
    settings: dict[str, JSONValue] = {
        **_SETTINGS,
        "telegram_token": telegram.token,
        "authorized_users": [person.id or 0 for person in people],
        "telegram": {
            "order_rate": 1_000,
            "queue_limit": 5_000,
            "rates": {"chat_every": 0, "chat_burst": 100, "total_per_second": 1_000},
        },
    }
    folder = Layout(project).settings_folder
    folder.mkdir(mode=0o700)
    config = folder / "config.json"
    config.write_text(json.dumps(settings), encoding="utf-8")
    config.chmod(0o600)


def _daemon(
    name: str, folder: Path, environment: Mapping[str, str], home: Path, day_s: float
) -> Daemon:
    return Daemon(
        name=name,
        words=(str(COMPRESSED), name, f"{day_s:g}"),
        folder=folder / "project",
        log=folder / f"{name}.log",
        environment={**environment, "GALAXY_CENSUS": str(home / f"{name}.census")},
        watchdog_s=_WATCHDOG_S,
        pause_s=_PAUSE_S,
    )
