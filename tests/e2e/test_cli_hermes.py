"""`galaxy-hermes` as a process: how it starts, refuses to start, and stops."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from galaxy_apps.exit_codes import ExitCode
from galaxy_core.wire.layout import Layout

HERMES = (sys.executable, "-m", "galaxy_apps.hermes")
GALAXY = (sys.executable, "-m", "galaxy_apps.cli.main")
BASE = {
    name: value
    for name, value in os.environ.items()  # noqa: TID251  programs are started with PATH
    if not name.startswith(("GALAXY_", "OPENCODE_"))
}
PATIENCE_S = 60.0

Started = Callable[..., subprocess.Popen[str]]


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project whose agent is the built-in one."""
    configure(tmp_path)
    return tmp_path


def configure(folder: Path, **more: object) -> None:
    """Write the settings."""
    (folder / ".galaxy").mkdir(exist_ok=True)
    settings = {"machines": {"lab": {}}, "dispatcher": "scripted", **more}
    (folder / ".galaxy" / "config.json").write_text(json.dumps(settings), encoding="utf-8")


def run(folder: Path, *words: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run a Hermes to its end."""
    return subprocess.run(
        [*HERMES, *words],
        cwd=folder,
        env=BASE | variables,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )


@pytest.fixture
def start(project: Path) -> Iterator[Started]:
    """Start Hermes processes; what is left of them is killed in the end."""
    started: list[subprocess.Popen[str]] = []

    def begin(*words: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [*HERMES, *words], cwd=project, env=BASE, stderr=subprocess.PIPE, text=True
        )
        started.append(process)
        return process

    yield begin
    for process in started:
        process.kill()
        process.communicate()


def drop(folder: Path, name: str, payload: str, **more: object) -> None:
    """Put an order into the folder, whole."""
    orders = Layout(folder).orders
    orders.mkdir(parents=True, exist_ok=True)
    scratch = orders / f".{name}"
    scratch.write_text(json.dumps({"payload": payload, **more}), encoding="utf-8")
    scratch.rename(orders / f"{name}.json")


def ended(folder: Path, name: str) -> dict[str, Any]:
    """The archived order."""
    path = Layout(folder).archive / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def wait_until_it_runs(folder: Path, hermes: subprocess.Popen[str]) -> None:
    """Wait until Hermes has handed an order to the agent."""
    end = time.monotonic() + PATIENCE_S
    while "order_execution_started" not in trail(folder):
        assert time.monotonic() < end, "no order was begun"
        assert hermes.poll() is None, hermes.communicate()[1]
        time.sleep(0.05)


def trail(folder: Path) -> list[str]:
    """Event types of the trail so far."""
    log = Layout(folder).audit_log
    lines = log.read_text(encoding="utf-8").splitlines() if log.exists() else []
    return [json.loads(line)["event_type"] for line in lines]


# ---- starting


@pytest.mark.parametrize(
    "more, words, code, sentence",
    [
        ({"workers": 0}, (), ExitCode.SETTINGS, "workers: must be at least 1"),
        ({}, ("--machine", "roof"), ExitCode.SETTINGS, "no machine 'roof'"),
        ({"ntfy_topic": "x"}, ("--strict",), ExitCode.SETTINGS, "mean nothing here: ntfy_topic"),
        (
            {"dispatcher": "opencode-server", "opencode": {"bin": "/none/opencode"}},
            (),
            ExitCode.NO_AGENT,
            "npm install -g opencode-ai",
        ),
        (
            {"dispatcher": "opencode-cli", "opencode": {"bin": "/none/opencode"}},
            ("--once",),
            ExitCode.NO_AGENT,
            "npm install -g opencode-ai",
        ),
        (
            {"dispatcher": "opencode-server", "opencode": {"url": "http://127.0.0.1:1"}},
            ("--once",),
            ExitCode.NO_AGENT,
            "127.0.0.1:1",
        ),
    ],
)
def test_what_cannot_work_is_said_at_the_start(
    tmp_path: Path, more: dict[str, object], words: tuple[str, ...], code: ExitCode, sentence: str
) -> None:
    """One clear sentence and an exit code of its own; no traceback, no order touched."""
    configure(tmp_path, **more)
    drop(tmp_path, "one", "Say hello")
    done = run(tmp_path, *words)
    assert done.returncode == code, done.stderr
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr
    assert (Layout(tmp_path).orders / "one.json").exists()


def test_a_folder_that_cannot_be_used_is_said_at_the_start(project: Path) -> None:
    """A file where the orders' folder should be: a sentence, and its exit code."""
    Layout(project).notepads.mkdir(parents=True)
    Layout(project).orders.write_text("", encoding="utf-8")
    done = run(project, "--once")
    assert done.returncode == ExitCode.NO_STORAGE, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("words", [("--interval", "0"), ("--workers", "x"), ("--drian",)])
def test_a_wrong_command_line_is_refused(project: Path, words: tuple[str, ...]) -> None:
    """Nothing is abbreviated and nothing guessed."""
    assert run(project, *words).returncode == ExitCode.USAGE


def test_without_settings_the_folder_is_the_machine(tmp_path: Path) -> None:
    """An order for any target is this machine's where no machine was ever named."""
    drop(tmp_path, "one", "Say hello", target="whoever")
    done = run(tmp_path, "--once", GALAXY_DISPATCHER="scripted")
    assert done.returncode == ExitCode.OK, done.stderr
    assert ended(tmp_path, "one")["outcome"] == "succeeded"


def test_once_works_off_what_waits_and_leaves_what_is_not_due(project: Path) -> None:
    """Conversations side by side, orders of one in their order, and one that waits for a time."""
    for n in range(4):
        drop(project, f"order-{n}", f"number {n}", session=f"s{n % 2}")
    drop(project, "later", "Say hello", not_before="2100-01-01T00:00:00Z")
    drop(project, "elsewhere", "Say hello", target="roof")
    done = run(project, "--drain", "--workers", "2")
    assert done.returncode == ExitCode.OK, done.stderr
    assert [ended(project, f"order-{n}")["outcome"] for n in range(4)] == ["succeeded"] * 4
    assert ended(project, "elsewhere")["outcome"] == "failed"
    assert [path.name for path in Layout(project).orders.glob("*.json")] == ["later.json"]


# ---- stopping


def test_a_running_order_may_finish(project: Path, start: Started) -> None:
    """After TERM nothing new is begun, and what runs is answered within the budget."""
    drop(project, "one", "SLEEP 2\nSAY done")
    hermes = start()
    wait_until_it_runs(project, hermes)
    hermes.send_signal(signal.SIGTERM)
    drop(project, "two", "Say hello")
    assert hermes.wait(PATIENCE_S) == ExitCode.OK
    assert ended(project, "one")["outcome"] == "succeeded"
    assert (Layout(project).orders / "two.json").exists()


@pytest.mark.parametrize("is_impatient", [False, True], ids=["budget", "second-signal"])
def test_what_does_not_finish_is_given_back(
    project: Path, start: Started, *, is_impatient: bool
) -> None:
    """When the budget is spent, or at a second signal, the order waits for the next Hermes."""
    configure(project, drain_timeout=600 if is_impatient else 0.2)
    drop(project, "one", "SLEEP 600")
    hermes = start()
    wait_until_it_runs(project, hermes)
    hermes.send_signal(signal.SIGINT)
    if is_impatient:
        time.sleep(0.5)  # two signals at once are one to the kernel
        assert hermes.poll() is None
        hermes.send_signal(signal.SIGINT)
    assert hermes.wait(PATIENCE_S) == ExitCode.OK
    assert (Layout(project).orders / "one.json").exists()
    assert trail(project)[-2:] == ["order_given_back", "daemon_stopped"]


def test_a_running_order_can_be_cancelled(project: Path, start: Started) -> None:
    """The command asks, Hermes stops the agent, and with --wait the command sees the end."""
    drop(project, "one", "SLEEP 600")
    hermes = start()
    wait_until_it_runs(project, hermes)
    done = subprocess.run(
        [*GALAXY, "order", "cancel", "one", "--wait", "--timeout", "50", "--json"],
        cwd=project,
        env=BASE,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert done.returncode == ExitCode.OK, done.stderr
    assert json.loads(done.stdout) == {
        "order_id": "one",
        "result": "requested",
        "state": "cancelled",
    }


def test_the_log_of_a_service_is_json_and_holds_no_secret(project: Path) -> None:
    """What a journal collects can be read by programs, and by everybody."""
    token = "123456789:AAaaBBbbCCccDDddEEeeFFffGGggHHhh_-x"
    configure(project, telegram_token=token, voice={})
    (project / ".galaxy" / "config.json").chmod(0o644)
    drop(project, "one", f"My token is {token}")
    done = run(project, "--once", "--log-level", "DEBUG")
    events = [json.loads(line) for line in done.stderr.splitlines()]
    assert token not in done.stderr
    problems = [event["problem"] for event in events if event["event"] == "settings.doubtful"]
    assert len(problems) == 2
    assert any("chmod 600" in problem for problem in problems)
