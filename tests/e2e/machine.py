"""One machine for end-to-end tests: real folders, a real Hermes process, the real opencode."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from attrs import define, field

from galaxy_core.testing.opencode_project import private_environment, write_opencode_project
from galaxy_core.testing.script import JSON
from galaxy_core.wire.layout import Layout

PATIENCE_S = 60.0
LOOK_EVERY_S = 0.02
_ENVIRONMENT = os.environ  # noqa: TID251 - programs are started with PATH and the like


def eventually(condition: Callable[[], bool], what: str, seconds: float = PATIENCE_S) -> None:
    """Wait for something that other processes do."""
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise AssertionError(f"it never came to pass: {what}")
        time.sleep(LOOK_EVERY_S)


@define
class Machine:
    """A project folder with settings, and the Hermes processes that were started on it."""

    folder: Path
    opencode: Path
    model_url: str
    settings: Mapping[str, JSON] = field(factory=dict)
    permission: Mapping[str, JSON] | None = None
    environment: dict[str, str] = field(factory=dict)
    _processes: list[subprocess.Popen[str]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        write_opencode_project(self.project, self.model_url, permission=self.permission)
        self.environment = (
            private_environment(self.folder / "home", _ENVIRONMENT)
            | {"GALAXY_OPENCODE_BIN": str(self.opencode)}
            | self.environment
        )
        self.layout.settings_folder.mkdir(mode=0o700, exist_ok=True)
        config: dict[str, JSON] = {
            "default_machine": "production",
            "machines": {"production": {"host": "localhost", "repo_path": str(self.project)}},
            **self.settings,
        }
        self.config.write_text(json.dumps(config), encoding="utf-8")
        self.config.chmod(0o600)

    @property
    def project(self) -> Path:
        """The machine's `repo_path`."""
        return self.folder / "project"

    @property
    def layout(self) -> Layout:
        """Where its files lie."""
        return Layout(self.project)

    @property
    def config(self) -> Path:
        """Its settings."""
        return self.layout.settings_folder / "config.json"

    # ---- processes

    def start(self, *arguments: str, program: Sequence[str] = ()) -> subprocess.Popen[str]:
        """Start a Hermes."""
        command = [
            sys.executable,
            *(program or ("-m", "galaxy_apps.hermes")),
            "--config",
            str(self.config),
            *arguments,
        ]
        log = (self.folder / f"hermes-{len(self._processes) + 1}.log").open("w", encoding="utf-8")
        with log:
            process = subprocess.Popen(
                command,
                cwd=self.folder,
                env=self.environment | {"PWD": str(self.folder)},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self._processes.append(process)
        return process

    def galaxy(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run the operator's command line."""
        environment = self.environment | {"PWD": str(self.folder)}
        return run_galaxy(self.folder, environment, *arguments, "--config", str(self.config))

    def wait_until_up(self) -> None:
        """Until a Hermes says that it lives."""
        eventually(lambda: self.heartbeat().get("status") == "running", "Hermes runs")

    def heartbeat(self) -> dict[str, JSON]:
        """The heartbeat file; empty when there is none."""
        try:
            content = json.loads(self.layout.heartbeat.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return {}
        assert isinstance(content, dict)
        return content

    def stop_all(self) -> None:
        """End what was started here, the agent's server too."""
        for process in self._processes:
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.send_signal(signal.SIGTERM)
        for process in self._processes:
            try:
                process.wait(15)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        for server in self.servers():
            os.kill(server, signal.SIGKILL)

    def servers(self) -> list[int]:
        """Processes of the opencode server of this machine."""
        return [pid for pid in self.relatives() if "serve" in command_of(pid)]

    def relatives(self) -> list[int]:
        """Every process but Hermes that was started from this machine's environment."""
        own = {process.pid for process in self._processes}
        return [pid for pid in processes_at(self.folder / "home") if pid not in own]

    # ---- orders

    def drop(self, name: str, payload: str, **fields: JSON) -> Path:
        """Write an order into the folder as `cat` does: in place, under its final name."""
        order: dict[str, JSON] = {
            "type": "galaxy_order",
            "from": "test",
            "target": "production",
            "command": "general",
            "payload": payload,
            "timestamp": "2026-02-02T12:00:00+00:00",
            "acknowledged": False,
            **fields,
        }
        self.layout.orders.mkdir(parents=True, exist_ok=True)
        path = self.layout.orders / f"{name}.json"
        path.write_text(json.dumps(order, indent=2), encoding="utf-8")
        return path

    def wait_for_end(self, *order_ids: str, seconds: float = PATIENCE_S) -> None:
        """Until the orders are archived."""
        try:
            for order_id in order_ids:
                archived = self.layout.archive / f"{order_id}.json"
                eventually(archived.exists, f"order {order_id} ends", seconds)
        except AssertionError as error:
            error.add_note(self.logs())
            raise

    def archived(self, order_id: str) -> dict[str, JSON]:
        """The order as it was archived."""
        content = json.loads((self.layout.archive / f"{order_id}.json").read_text(encoding="utf-8"))
        assert isinstance(content, dict)
        return content

    def response(self, order_id: str) -> str:
        """The response file, whole."""
        return self.layout.response(order_id).read_text(encoding="utf-8")

    def letters(self) -> list[dict[str, JSON]]:
        """Letters that wait."""
        return [
            json.loads(path.read_text(encoding="utf-8"))
            for path in sorted(self.layout.outbox.glob("*.json"))
        ]

    def trail(self, order_id: str | None = None) -> list[dict[str, JSON]]:
        """Lines of the audit trail."""
        lines = self.layout.audit_log.read_text(encoding="utf-8").splitlines()
        records = [json.loads(line) for line in lines]
        return [r for r in records if order_id is None or r.get("order_id") == order_id]

    def logs(self) -> str:
        """The ends of what the Hermes processes said."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')[-1500:]}"
            for path in sorted(self.folder.glob("hermes-*.log"))
        )


def run_galaxy(
    folder: Path, environment: Mapping[str, str], *arguments: str, seconds: float = PATIENCE_S
) -> subprocess.CompletedProcess[str]:
    """Run the operator's command line in a folder."""
    return subprocess.run(
        [sys.executable, "-m", "galaxy_apps.cli.main", *arguments],
        cwd=folder,
        env=dict(environment),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )


def command_of(pid: int) -> str:
    """The command line of a process; empty when it is gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()
    except OSError:
        return ""


def processes_at(home: Path) -> list[int]:
    """Every process that was started with that home."""
    mark = f"HOME={home}".encode()
    found = []
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            if mark in (entry / "environ").read_bytes().split(b"\0"):
                found.append(int(entry.name))
        except OSError:
            continue
    return found


def end_processes_at(home: Path, *, but: Collection[int | None]) -> None:
    """Kill what was started with that home, except those and ourselves."""
    for pid in processes_at(home):
        if pid not in but and pid != os.getpid() and command_of(pid):
            os.kill(pid, signal.SIGKILL)
