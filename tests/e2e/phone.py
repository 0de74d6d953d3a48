"""A gateway, a Hermes and a Bot API server, each a process of its own, over one folder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from attrs import define, field

from galaxy_core.domain.order import JSONValue
from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from galaxy_core.testing.bot_api.seen import Seen
from galaxy_core.wire.layout import Layout
from tests.e2e.machine import PATIENCE_S, eventually

_BASE = {
    name: value
    for name, value in os.environ.items()  # noqa: TID251 - programs are started with PATH
    if not name.startswith(("GALAXY_", "OPENCODE_"))
}


@define
class Site:
    """One folder with settings, and what was started on it."""

    folder: Path
    telegram: BotApiProcess
    settings: Mapping[str, JSONValue] = field(factory=dict)
    gateway_program: Sequence[str] = ("-m", "galaxy_apps.gateway")
    more_environment: Mapping[str, str] = field(factory=dict)
    spare_people: list[Remote] = field(factory=list)
    """Who is authorised and has said nothing so far."""
    _started: list[subprocess.Popen[str]] = field(factory=list, init=False)

    def __attrs_post_init__(self) -> None:
        self.layout.settings_folder.mkdir(mode=0o700)
        settings: dict[str, JSONValue] = {
            "telegram_token": self.telegram.token,
            "machines": {"lab": {}},
            "dispatcher": "scripted",
            **self.settings,
        }
        config = self.layout.settings_folder / "config.json"
        config.write_text(json.dumps(settings), encoding="utf-8")
        config.chmod(0o600)

    @property
    def layout(self) -> Layout:
        """Where everything lies."""
        return Layout(self.folder)

    @property
    def environment(self) -> dict[str, str]:
        """What programs are started with."""
        return _BASE | {
            "GALAXY_TELEGRAM_BASE_URL": self.telegram.base_url,
            "GALAXY_TELEGRAM_BASE_FILE_URL": self.telegram.base_file_url,
            **self.more_environment,
        }

    # ---- programs

    def start_gateway(self, *words: str) -> subprocess.Popen[str]:
        """Start a gateway, and wait until it says that it works."""
        process, log = self._start("gateway", *self.gateway_program, *words)
        eventually(
            lambda: "gateway.started" in log.read_text() or process.poll() is not None,
            "the gateway starts",
        )
        return process

    def start_hermes(self) -> subprocess.Popen[str]:
        """Start a Hermes."""
        process, _ = self._start("hermes", "-m", "galaxy_apps.hermes")
        return process

    def _start(self, name: str, *words: str) -> tuple[subprocess.Popen[str], Path]:
        log = self.folder / f"{name}-{len(self._started) + 1}.log"
        with log.open("w", encoding="utf-8") as output:
            process = subprocess.Popen(
                [sys.executable, *words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        self._started.append(process)
        return process, log

    def galaxy(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run the operator's command line."""
        return subprocess.run(
            [sys.executable, "-m", "galaxy_apps.cli.main", *words],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )

    def has_ended(self, pid: int) -> bool:
        """Whether a process that was started here is over."""
        return any(process.pid == pid and process.poll() is not None for process in self._started)

    def stop_all(self) -> None:
        """End what was started here."""
        for process in self._started:
            if process.poll() is None:
                process.send_signal(signal.SIGTERM)
        for process in self._started:
            try:
                process.wait(20)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()

    def say(self, name: str, **letter: JSONValue) -> Path:
        """Put a letter into the outbox as agents do: in place, under its final name."""
        self.layout.outbox.mkdir(parents=True, exist_ok=True)
        path = self.layout.outbox / f"{name}.json"
        path.write_text(json.dumps({"type": "notification", **letter}), encoding="utf-8")
        return path

    # ---- what is there to see

    def answers(self, person: Remote, words: str) -> list[Seen]:
        """Messages of the bot to the person that hold the words."""
        return [seen for seen in self.telegram.sent(person.id) if words in seen.text]

    def wait_for(self, person: Remote, words: str) -> Seen:
        """The first message of the bot to the person that holds the words."""
        try:
            eventually(lambda: bool(self.answers(person, words)), f"{words!r} is in the chat")
        except AssertionError as error:
            error.add_note(f"in the chat: {[seen.text for seen in self.telegram.sent(person.id)]}")
            error.add_note(self.logs()[-4000:])
            raise
        return self.answers(person, words)[0]

    def trail(self, *event_types: str) -> list[dict[str, Any]]:
        """Lines of the audit trail of these types."""
        lines = self.layout.audit_log.read_text(encoding="utf-8").splitlines()
        return [line for line in map(json.loads, lines) if line["event_type"] in event_types]

    def logs(self) -> str:
        """Everything that the programs said."""
        return "\n".join(
            f"--- {path.name}\n{path.read_text(errors='replace')}"
            for path in sorted(self.folder.glob("*.log"))
        )


@define
class House:
    """A site that runs, with people to spare: what one test says, another one does not see."""

    site: Site
    telegram: BotApiProcess
    _owners: list[Remote]
    viewer: Remote
    operator: Remote
    forum: Remote
    """A group with topics in which the bot listens."""

    def person(self) -> Remote:
        """An owner who has said nothing so far."""
        return self._owners.pop()

    def orders_of(self, person: Remote) -> list[dict[str, Any]]:
        """The person's orders that have ended."""
        orders = [json.loads(path.read_bytes()) for path in self.site.layout.archive.glob("*.json")]
        return [order for order in orders if order.get("person_id") == str(person.id)]
