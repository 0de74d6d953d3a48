"""A part that dies: who hears of it, how soon, and that it is over."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from galaxy_core.domain.order import JSONValue
from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from tests.e2e.machine import eventually
from tests.e2e.phone import Site

DETECTED_WITHIN_S = 15.0
DEAD = "Hermes on lab gives no sign of life"


@pytest.fixture
def telegram(tmp_path: Path) -> Iterator[BotApiProcess]:
    """Give a Bot API server."""
    with BotApiProcess(tmp_path, keeps_state=False) as server:
        yield server


@pytest.fixture
def owner(telegram: BotApiProcess) -> Remote:
    """Give the person who is told."""
    return telegram.person("Ann")


@pytest.fixture
def site(tmp_path: Path, telegram: BotApiProcess, owner: Remote) -> Iterator[Site]:
    """Give a folder with a gateway and a Hermes, both at work."""
    folder = tmp_path / "site"
    folder.mkdir()
    site = Site(folder, telegram, {"authorized_users": [owner.id or 0]})
    try:
        site.start_gateway()
        yield site
    finally:
        site.stop_all()


def test_a_killed_hermes_is_told_within_15_seconds_and_when_it_is_back(
    site: Site, owner: Remote
) -> None:
    """Nobody has to find out by waiting for an answer; and nobody goes on worrying."""
    hermes = site.start_hermes()
    eventually(site.layout.heartbeat.exists, "Hermes beats")
    time.sleep(4)  # until the gateway has seen it beat more than once
    hermes.kill()
    hermes.wait()
    killed_at = time.monotonic()
    site.wait_for(owner, DEAD)
    assert time.monotonic() - killed_at < DETECTED_WITHIN_S
    site.start_hermes()
    assert "Resolved after" in site.wait_for(owner, "Resolved after").text
    assert len(site.answers(owner, DEAD)) == 2  # once, and in the word that it is over


def test_a_killed_gateway_is_told_by_the_webhook(
    tmp_path: Path, telegram: BotApiProcess, owner: Remote
) -> None:
    """Nobody hears it in the chat: Hermes says it the other way, and that it is over."""
    heard: list[tuple[str | None, str | None]] = []

    class Webhook(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["content-length"]))
            heard.append((self.headers["title"], self.headers["priority"]))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Webhook)
    serving = Thread(target=server.serve_forever, daemon=True)
    serving.start()
    folder = tmp_path / "site"
    folder.mkdir()
    alerts: dict[str, JSONValue] = {"url": f"http://127.0.0.1:{server.server_port}/topic"}
    site = Site(folder, telegram, {"authorized_users": [owner.id or 0], "alerts": alerts})
    try:
        gateway = site.start_gateway()
        site.start_hermes()
        eventually(site.layout.heartbeat.exists, "Hermes beats")
        time.sleep(7)  # until Hermes has seen the gateway beat more than once
        gateway.kill()
        gateway.wait()
        killed_at = time.monotonic()
        eventually(lambda: bool(heard), "the webhook is called")
        assert time.monotonic() - killed_at < DETECTED_WITHIN_S
        assert heard == [("The gateway gives no sign of life.", "5")]
        site.start_gateway()
        eventually(lambda: len(heard) > 1, "the webhook hears that it is over")
        assert (heard[1][0] or "").startswith("Resolved after")
    finally:
        site.stop_all()
        server.shutdown()
        server.server_close()
        serving.join()


def test_a_stopped_hermes_is_told_nobody(site: Site, owner: Remote) -> None:
    """Who stops it on purpose knows; a restart wakes nobody."""
    hermes = site.start_hermes()
    eventually(site.layout.heartbeat.exists, "Hermes beats")
    hermes.send_signal(signal.SIGTERM)
    hermes.wait(20)
    time.sleep(DETECTED_WITHIN_S)
    assert not site.answers(owner, "Hermes on lab")
