"""Start the server as a process and speak to it: for tests without an event loop of their own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from attrs import frozen

from galaxy_core.testing.bot_api.control import opened, plain
from galaxy_core.testing.bot_api.seen import Seen, SeenButton, SeenFile
from galaxy_core.testing.bot_api.server import TOKEN

_SECONDS = 30.0


@frozen
class Remote:
    """Something on the server: the server itself, a person, a group."""

    address: str
    kind: str
    id: int | None = None

    def do(self, operation: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Carry a method out there; gives its result in JSON; raises `ValueError`."""
        if self.id is not None:
            arguments["id"] = self.id
        return ask(f"{self.address}/control/{self.kind}/{operation}", arguments)


class BotApiProcess:
    """A server in a process of its own; a context manager.

    `kill` and `start` again keep port and state.
    """

    def __init__(self, folder: Path, *, port: int = 0, keeps_state: bool = True) -> None:
        self._state = folder / "bot-api.state" if keeps_state else None
        self._port = port
        self._process: subprocess.Popen[str] | None = None
        self.address = ""
        self.token = TOKEN

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._end(signal.SIGTERM)

    @property
    def base_url(self) -> str:
        """In python-telegram-bot's form: the token is appended."""
        return f"{self.address}/bot"

    @property
    def base_file_url(self) -> str:
        """The same for downloads."""
        return f"{self.address}/file/bot"

    def start(self) -> None:
        """Start it; returns when it listens."""
        command = [sys.executable, "-m", "galaxy_core.testing.bot_api", "--port", str(self._port)]
        if self._state is not None:
            command += ["--state", str(self._state)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        if self._process.stdout is None:
            raise RuntimeError("no pipe to the Bot API server")
        line = self._process.stdout.readline()
        if not line:
            raise RuntimeError("the Bot API server ended before it listened")
        self.address = line.split()[-1]
        self._port = int(self.address.rpartition(":")[2])

    def kill(self) -> None:
        """End it as with `kill -9`."""
        self._end(signal.SIGKILL)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(number)
            self._process.communicate(timeout=_SECONDS)
            self._process = None

    # ---- the tests' side

    def do(self, operation: str, **arguments: object) -> Any:  # noqa: ANN401 - JSON
        """Carry a method of `BotApiServer` out there; gives its result in JSON."""
        return Remote(self.address, "server").do(operation, **arguments)

    def person(self, name: str = "Ann", **arguments: object) -> Remote:
        """Somebody; see `BotApiServer.person`."""
        made = self.do("person", name=name, **arguments)
        return Remote(self.address, "person", made["id"])

    def group(self, title: str = "Team", **arguments: object) -> Remote:
        """A group; `members` are ids; see `BotApiServer.group`."""
        made = self.do("group", title=title, **arguments)
        return Remote(self.address, "group", made["id"])

    def sent(self, chat: int | None = None) -> list[Seen]:
        """What the bot wrote, as it is read now."""
        return [_seen(content) for content in self.do("sent", chat=chat)]


def ask(url: str, arguments: dict[str, object]) -> Any:  # noqa: ANN401 - JSON
    """Post JSON to a server on this machine; raises `ValueError` with what it refused."""
    request = urllib.request.Request(  # noqa: S310 - http, to the server that was started above
        url, json.dumps(plain(arguments)).encode(), {"content-type": "application/json"}
    )
    try:
        with urllib.request.urlopen(request, timeout=_SECONDS) as response:  # noqa: S310 - as above
            return opened(json.load(response))
    except urllib.error.HTTPError as error:
        with error:
            raise ValueError(error.read().decode()) from None


def _seen(content: dict[str, Any]) -> Seen:
    rows = content["buttons"]
    content["buttons"] = tuple(tuple(SeenButton(**button) for button in row) for row in rows)
    content["files"] = tuple(SeenFile(**file) for file in content["files"])
    content["entities"] = tuple(content["entities"])
    return Seen(**content)
