"""`galaxy up` and `galaxy-dashboard` as processes: what they open, survive, refuse and leave."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from galaxy_apps.exit_codes import ExitCode
from galaxy_core.testing.bot_api.process import BotApiProcess
from galaxy_core.wire.layout import Layout
from tests.e2e.machine import eventually
from tests.e2e.up import Up, bare_environment

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]

MakeUp = Callable[..., Up]
SCRIPTED = {"machines": {"lab": {}}, "dispatcher": "scripted", "poll_interval": 1}
QUIET = ("up", "--no-browser", "--port", "0")


@pytest.fixture
def make_up(tmp_path: Path) -> Iterator[MakeUp]:
    """Folders with a `galaxy up`, cleaned up."""
    made: list[Up] = []

    def make(settings: dict[str, Any] | None = None, **environment: str) -> Up:
        folder = tmp_path / f"place-{len(made) + 1}"
        folder.mkdir()
        if settings is not None:
            (folder / ".galaxy").mkdir(mode=0o700)
            config = folder / ".galaxy" / "config.json"
            config.write_text(json.dumps(settings))
            config.chmod(0o600)
        made.append(Up(folder, bare_environment(folder, **environment)))
        return made[-1]

    yield make
    for each in made:
        if hasattr(each, "process"):
            each.end()


def galaxy(up: Up, *words: str, **more: str) -> subprocess.CompletedProcess[str]:
    """Run the command line to its end, without a terminal."""
    return subprocess.run(
        [sys.executable, "-m", "galaxy_apps.cli.main", *words],
        cwd=up.folder,
        env=up.environment | more,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def say(up: Up, key: str, text: str) -> None:
    """Write into the page's first conversation, which is there once the chat was opened."""
    assert up.page("/chat")[0] == 200
    body = {"key": key, "conversation": "general", "text": text}
    status, found = up.call("/chat/api/messages", body)
    assert status == 202, found


# ---- the real opencode


@pytest.mark.opencode
@pytest.mark.slow
def test_the_demo_answers_on_page_and_api_and_leaves_nothing(
    make_up: MakeUp, opencode_binary: Path
) -> None:
    """The address opens the page; both ways in lead to the real opencode; all of it is labelled."""
    up = make_up(GALAXY_OPENCODE_BIN=str(opencode_binary))
    up.start(*QUIET, "--demo")
    project = up.folder / ".galaxy" / "demo" / "project"
    assert up.call("/readyz", token="")[0] == 200
    token = up.token(project)
    order = {"type": "galaxy_order", "from": "me", "command": "general", "payload": "Say it"}
    status, found = up.call("/api/orders", order, token=token)
    assert status == 201, found
    waited = f"/api/orders/{found['order_id']}/wait?seconds=60"
    status, ended = up.call(waited, token=token)
    assert ended["state"] == "succeeded", (ended, up.log.read_text())
    assert "**Demo:**" in ended["response"]["text"]
    assert "Say it" in ended["response"]["text"]
    assert "scripted model" in up.open()
    say(up, "11111111-2222-4333-8444-555555555555", "And here")
    answer = up.wait_for_answer("general")
    assert answer["is_demo"]
    assert "And here" in answer["text"]
    for path in ("/", "/orders", "/audit", "/chat"):
        status, html = up.page(path)
        assert (status, "scripted model" in html) == (200, True), path
    begun = time.monotonic()
    assert up.stop() == ExitCode.OK, up.log.read_text()
    assert time.monotonic() - begun < 15
    assert up.left() == []
    assert not (up.folder / ".sisyphus").exists(), "the person's own project is left alone"


@pytest.mark.opencode
@pytest.mark.slow
def test_killed_in_the_middle_it_answers_once(make_up: MakeUp, opencode_binary: Path) -> None:
    """kill -9 while the agent works: the next start brings the answer to the page, one time."""
    up = make_up(GALAXY_OPENCODE_BIN=str(opencode_binary))
    up.start(*QUIET, "--demo")
    up.open()
    say(up, "11111111-2222-4333-8444-666666666666", "BASH sleep 4\nSAY it is done")
    layout = Layout(up.folder / ".galaxy" / "demo" / "project")
    eventually(lambda: any(layout.progress.rglob("*")), "the agent works")
    up.kill()
    up.start(*QUIET, "--demo")
    answer = up.wait_for_answer("general")
    assert "it is done" in answer["text"], answer["text"]
    eventually(lambda: not list(layout.orders.glob("*")), "nothing is left to be done")
    time.sleep(1)
    assert len(up.answers("general")) == 1
    assert len(list(layout.archive.glob("*.json"))) == 1
    assert len(list(layout.notepads.glob("galaxy-order-response-*.md"))) == 1
    assert up.stop() == ExitCode.OK
    assert up.left() == []


@pytest.mark.opencode
@pytest.mark.slow
def test_without_a_provider_it_says_how_to_set_one_up(
    make_up: MakeUp, opencode_binary: Path
) -> None:
    """The real opencode, asked offline: its free models are no provider; a key is one."""
    up = make_up({"machines": {"lab": {}}}, GALAXY_OPENCODE_BIN=str(opencode_binary))
    done = galaxy(up, *QUIET)
    assert done.returncode == ExitCode.NO_AGENT
    assert "opencode auth login" in done.stderr
    assert "galaxy up --demo" in done.stderr
    assert done.stdout == ""
    assert up.left() == []
    up.environment["ANTHROPIC_API_KEY"] = "none"
    up.start(*QUIET)
    assert up.stop() == ExitCode.OK


# ---- without an agent behind it


def test_everything_in_one_process_on_the_persons_settings(make_up: MakeUp) -> None:
    """Page, chat and API work together; the key is good once; a restart keeps the history."""
    up = make_up(SCRIPTED)
    up.start(*QUIET)
    assert re.fullmatch(r"http://127\.0\.0\.1:\d+/\?key=[\w-]+", up.address)
    assert up.page("/")[0] == 401
    key = up.address.removeprefix(up.base)
    up.open()
    assert up.page("/")[0] == 200
    say(up, "11111111-2222-4333-8444-777777777777", "SAY hello")
    answer = up.wait_for_answer("general")
    assert "hello" in answer["text"]
    up._cookies.clear()
    assert up.page(key)[0] == 403
    assert up.stop() == ExitCode.OK
    up.start(*QUIET)
    up.open()
    assert [each["text"] for each in up.answers("general")] == [answer["text"]]
    status, overview = up.call("/api/overview", token=up.token(up.folder))
    assert status == 200
    assert overview["is_gateway_up"] is True
    assert galaxy(up, *QUIET).returncode == ExitCode.ALREADY_RUNNING
    assert up.stop() == ExitCode.OK
    assert up.left() == []


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
def test_what_hangs_or_is_killed_begins_anew(make_up: MakeUp, number: int) -> None:
    """Noticed by the process beside it: the page is there again, and people are told once."""
    up = make_up(SCRIPTED)
    up.start(*QUIET)
    up.open()
    layout, first = Layout(up.folder), up.worker
    os.kill(first, number)
    eventually(lambda: not psutil.pid_exists(first), "the process is gone")
    eventually(lambda: is_up(up), "the page is there again, under the same address")
    assert up.worker != first
    say(up, "11111111-2222-4333-8444-888888888888", "SAY hello")
    assert "hello" in up.wait_for_answer("general")["text"]

    def told() -> list[str]:
        lines = layout.audit_log.read_text().splitlines()
        return [line for line in lines if '"up_restarted"' in line]

    eventually(lambda: len(told()) == 1, "it is on record")
    assert up.stop() == ExitCode.OK, up.log.read_text()
    assert up.left() == []
    assert len(told()) == 1


def is_up(up: Up) -> bool:
    """Whether somebody who opened the page gets it now."""
    try:
        return up.page("/")[0] == 200
    except OSError:
        return False


def test_its_one_line_is_json_where_that_is_wanted(make_up: MakeUp) -> None:
    """Programs learn address, token file and whether a real model answers."""
    up = make_up(SCRIPTED)
    process = subprocess.Popen(
        [sys.executable, "-m", "galaxy_apps.cli.main", *QUIET, "--json"],
        cwd=up.folder,
        env=up.environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    text = ""
    while not text.endswith("}\n"):
        line = process.stdout.readline()
        assert line, text
        text += line
    process.terminate()
    rest, _ = process.communicate(timeout=60)
    said = json.loads(text)
    assert rest == ""
    assert said["is_demo"] is True
    assert Path(said["token_file"]).stat().st_mode & 0o777 == 0o600


def test_the_dashboard_alone_reads_the_same_files(make_up: MakeUp) -> None:
    """No gateway and no Hermes: orders are seen and taken, the chat is not there."""
    up = make_up(SCRIPTED | {"web": {"enabled": True}})
    assert galaxy(up, "order", "submit", "hello", "--id", "first").returncode == ExitCode.OK
    up.program = "galaxy_apps.dashboard"
    up.start("--port", "0")
    token = up.token(up.folder)
    status, order = up.call("/api/orders/first", token=token)
    assert (status, order["state"]) == (200, "pending")
    body = {"type": "galaxy_order", "from": "me", "command": "general", "payload": "x"}
    assert up.call("/api/orders", body, token=token)[0] == 201
    assert up.call("/api/overview", token=token)[1]["is_gateway_up"] is False
    assert "first" in up.open() + up.page("/orders")[1]
    assert up.page("/chat")[0] == 404
    beside = make_beside(up)
    beside.start("up", "--no-browser", "--port", "0")
    eventually(
        lambda: up.call("/api/orders/first", token=token)[1]["state"] == "succeeded", "Hermes ran"
    )
    assert up.call("/api/overview", token=token)[1]["is_gateway_up"] is True
    assert beside.stop() == ExitCode.OK
    assert up.stop() == ExitCode.OK
    assert up.left() == []


def make_beside(up: Up) -> Up:
    """Another program on the same folder."""
    return Up(up.folder, up.environment)


def test_a_gateway_alone_serves_the_chat_where_that_is_set(make_up: MakeUp) -> None:
    """At `web.port`, with neither dashboard nor API."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    up = make_up(SCRIPTED | {"web": {"enabled": True, "port": port}})
    up.program = "galaxy_apps.gateway"
    up.start()
    assert up.address.startswith(f"http://127.0.0.1:{port}/chat?key=")
    up.open()
    assert up.page("/chat")[0] == 200
    assert up.page("/orders")[0] == 404
    assert up.call("/api/orders", token=up.token(up.folder))[0] == 404
    say(up, "11111111-2222-4333-8444-888888888888", "SAY hello")
    assert up.stop(20) == ExitCode.OK
    assert up.left() == []


def test_a_letter_for_everybody_reaches_phone_and_page(make_up: MakeUp, tmp_path: Path) -> None:
    """With a token both channels are served; answers go to where the question came from."""
    with BotApiProcess(tmp_path, keeps_state=False) as telegram:
        person = telegram.person("Ann")
        up = make_up(
            SCRIPTED | {"telegram_token": telegram.token, "authorized_users": [person.id]},
            GALAXY_TELEGRAM_BASE_URL=telegram.base_url,
        )
        up.start(*QUIET)
        up.open()
        say(up, "11111111-2222-4333-8444-999999999999", "SAY from the page")
        assert "from the page" in up.wait_for_answer("general")["text"]
        letter = {"type": "notification", "message": "Backup is done", "from": "cron"}
        (Layout(up.folder).outbox / "backup.json").write_text(json.dumps(letter))
        assert "Backup is done" in up.wait_for_answer("inbox")["text"]

        def heard() -> str:
            return " ".join(seen.text for seen in telegram.sent(person.id))

        eventually(lambda: "Backup is done" in heard(), "the phone has it too")
        assert "from the page" not in heard()
        assert up.stop() == ExitCode.OK
    assert up.left() == []


def test_switched_off_the_chat_is_not_there(make_up: MakeUp) -> None:
    """`web.enabled: false` leaves dashboard and API."""
    up = make_up(SCRIPTED | {"web": {"enabled": False}})
    up.start(*QUIET)
    assert "/chat" not in up.open()
    assert up.page("/chat")[0] == 404
    assert up.call("/api/overview", token=up.token(up.folder))[1]["is_gateway_up"] is None
    assert up.stop() == ExitCode.OK


def test_it_serves_on_other_addresses_only_with_a_password(make_up: MakeUp) -> None:
    """Refused before anything is opened; with a password one logs in."""
    up = make_up(SCRIPTED)
    for words in (("--host", "0.0.0.0"), ()):  # noqa: S104
        done = galaxy(up, *QUIET, *words, GALAXY_WEB_HOST="0.0.0.0")  # noqa: S104
        assert done.returncode == ExitCode.SETTINGS
        assert "galaxy config password" in done.stderr
        assert done.stdout == ""
    assert not Layout(up.folder).state.exists()
    subprocess.run(
        [sys.executable, "-m", "galaxy_apps.cli.main", "config", "password"],
        cwd=up.folder,
        env=up.environment,
        input="correct horse\n",
        text=True,
        check=True,
        capture_output=True,
    )
    up.start(*QUIET, "--host", "0.0.0.0")  # noqa: S104
    status, html = up.page("/")
    assert (status, 'type="password"' in html) == (200, True)
    assert up.stop() == ExitCode.OK


def test_what_is_missing_is_said_at_the_start(make_up: MakeUp) -> None:
    """No settings, no opencode, no free port: a sentence and a code each, nothing left behind."""
    bare = make_up()
    done = galaxy(bare, *QUIET)
    assert done.returncode == ExitCode.SETTINGS
    assert "galaxy init --yes" in done.stderr
    up = make_up({"machines": {"lab": {}}}, PATH="/usr/bin:/bin")
    done = galaxy(up, *QUIET)
    assert done.returncode == ExitCode.NO_AGENT
    assert "npm install -g opencode-ai" in done.stderr
    taken = make_up(SCRIPTED)
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        port = str(listening.getsockname()[1])
        done = galaxy(taken, "up", "--no-browser", "--port", port)
    assert done.returncode == ExitCode.FAILURE
    assert "another program has it" in done.stderr
    for each in (bare, up, taken):
        assert each.left() == []


def test_on_a_terminal_it_offers_to_set_a_project_up(make_up: MakeUp) -> None:
    """The questions of `galaxy init`, then everything runs; Ctrl-C ends it."""
    up = make_up(GALAXY_DISPATCHER="scripted")
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "galaxy_apps.cli.main", *QUIET],
        cwd=up.folder,
        env=up.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
        start_new_session=True,
    )
    os.close(slave)
    os.write(master, b"\n\nroof\n\n")
    shown = ""
    while "Galaxy is up" not in shown and select.select([master], [], [], 60)[0]:
        shown += os.read(master, 4096).decode()
    assert "?key=" in shown, shown
    process.send_signal(2)
    try:
        while os.read(master, 4096):
            pass
    except OSError:
        pass  # the terminal's other side was closed
    os.close(master)
    assert process.wait(30) == ExitCode.OK
    written = json.loads((up.folder / ".galaxy" / "config.json").read_text())
    assert written["default_machine"] == "roof"
    assert "telegram_token" not in written


@pytest.mark.slow
@pytest.mark.opencode
def test_make_demo_exits_with_a_status(make_up: MakeUp, opencode_binary: Path) -> None:
    """One order through the whole, shown, and nothing left behind."""
    up = make_up(GALAXY_OPENCODE_BIN=str(opencode_binary))
    done = subprocess.run(
        [sys.executable, "-m", "galaxy_apps.demo", "--once", "--scripted"],
        cwd=up.folder,
        env=up.environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=90,
        check=False,
    )
    assert done.returncode == ExitCode.OK, done.stdout + done.stderr
    assert "Echo hello world" in done.stdout
    assert "order_executed_success" in done.stdout
    assert "**Demo:**" in done.stdout
    assert up.left() == []
