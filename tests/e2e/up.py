"""`galaxy up` as a process, and somebody who opens its page or calls its API."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from http.cookiejar import CookieJar
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
from attrs import define, field

from tests.e2e.machine import LOOK_EVERY_S, PATIENCE_S

_LEFT_OUT = ("GALAXY_", "OPENCODE_", "XDG_")
_KEYS = ("_API_KEY", "_BEARER_TOKEN_BEDROCK")


def bare_environment(folder: Path, **more: str) -> dict[str, str]:
    """An environment in which nothing of Galaxy or opencode is set up."""
    kept = {
        name: value
        for name, value in os.environ.items()  # noqa: TID251 - programs are started with PATH
        if not name.startswith(_LEFT_OUT) and not name.endswith(_KEYS)
    }
    return kept | {"HOME": str(folder / "home"), "PWD": str(folder)} | more


@define
class Up:
    """Processes of `galaxy up` (or another program that tells its address) in one folder."""

    folder: Path
    environment: dict[str, str]
    program: str = "galaxy_apps.cli.main"
    process: subprocess.Popen[str] = field(init=False)
    address: str = field(init=False, default="")
    _logs: int = field(init=False, default=0)
    _cookies: CookieJar = field(factory=CookieJar, init=False)

    @property
    def log(self) -> Path:
        """What the newest process said beside its address."""
        return self.folder / f"up-{self._logs}.log"

    def start(self, *words: str) -> None:
        """Start it, and wait until it tells its address."""
        self._logs += 1
        with self.log.open("w", encoding="utf-8") as log:
            self.process = subprocess.Popen(
                [sys.executable, "-m", self.program, *words],
                cwd=self.folder,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                start_new_session=True,
            )
        assert self.process.stdout is not None
        with self.process.stdout:
            line = self.process.stdout.readline()
        assert "http://127.0.0.1:" in line, (line, self.log.read_text())
        self.address = line.split()[-1]

    @property
    def worker(self) -> int:
        """The process in which everything runs: the other one only watches it."""
        [child] = [
            process.pid
            for process in psutil.Process(self.process.pid).children()
            if process.cmdline()[:3] == psutil.Process(self.process.pid).cmdline()[:3]
        ]
        return child

    def stop(self, seconds: float = PATIENCE_S) -> int:
        """TERM; the exit code."""
        self.process.terminate()
        return self.process.wait(seconds)

    def kill(self) -> None:
        """As kill -9 does."""
        self.process.kill()
        self.process.wait()

    def end(self) -> None:
        """Leave nothing behind, whatever a test did."""
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        for pid in self.left():
            os.kill(pid, signal.SIGKILL)

    def left(self) -> list[int]:
        """Every process that was started from here and still runs."""
        mark = str(self.folder).encode()
        found = []
        for entry in Path("/proc").iterdir():
            if not entry.name.isdigit() or int(entry.name) in {os.getpid(), os.getppid()}:
                continue
            try:
                if mark in (entry / "environ").read_bytes():
                    found.append(int(entry.name))
            except OSError:
                continue
        return found

    # ---- calls

    @property
    def base(self) -> str:
        """The address without path and key."""
        parts = urlsplit(self.address)
        return f"{parts.scheme}://{parts.netloc}"

    def token(self, project: Path) -> str:
        """What programs send."""
        return (project / ".galaxy" / "web-token").read_text().strip()

    def call(
        self, path: str, body: object = None, *, token: str | None = None
    ) -> tuple[int, dict[str, Any]]:
        """Status and JSON of an answer: to a program with a token, else to who opened the page."""
        headers = {"Origin": self.base} if token is None else {"Authorization": f"Bearer {token}"}
        data = None
        if body is not None:
            data, headers["Content-Type"] = json.dumps(body).encode(), "application/json"
        request = urllib.request.Request(self.base + path, data, headers)  # noqa: S310
        try:
            with self._browser().open(request, timeout=PATIENCE_S) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return error.code, json.loads(error.read())

    def page(self, path: str) -> tuple[int, str]:
        """Status and HTML of a page."""
        request = urllib.request.Request(self.base + path, headers={"Accept": "text/html"})  # noqa: S310
        try:
            with self._browser().open(request, timeout=PATIENCE_S) as answer:
                return answer.status, answer.read().decode()
        except urllib.error.HTTPError as error:
            with error:
                return error.code, error.read().decode()

    def open(self) -> str:
        """Open the address that was told; the page."""
        status, html = self.page(self.address.removeprefix(self.base))
        assert status == 200, html
        return html

    def _browser(self) -> urllib.request.OpenerDirector:
        return urllib.request.build_opener(urllib.request.HTTPCookieProcessor(self._cookies))

    def answers(self, conversation: str) -> list[dict[str, Any]]:
        """Letters in a conversation of the page."""
        status, found = self.call(f"/chat/api/conversations/{conversation}/messages")
        assert status == 200, found
        return [message for message in found["messages"] if message["kind"] == "letter"]

    def wait_for_answer(self, conversation: str, seconds: float = PATIENCE_S) -> dict[str, Any]:
        """The first letter there."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if found := self.answers(conversation):
                return found[0]
            time.sleep(LOOK_EVERY_S)
        raise AssertionError(f"no answer came\n{self.log.read_text()[-3000:]}")
