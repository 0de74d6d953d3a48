"""The programs as services of a real service manager: started, killed, frozen, stopped, booted.

The manager is a user's one, started for these tests.  Where systemd is not installed they are
skipped, in CI too: it is a part of the host, which `make setup` does not touch.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from attrs import frozen

from galaxy_core.testing.bot_api.process import BotApiProcess, Remote
from galaxy_core.testing.scripted_llm import ScriptedModelServer
from tests.e2e.machine import Machine, command_of, eventually
from tests.e2e.user_manager import UserManager, lacking, user_manager

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]
pytestmark = [
    pytest.mark.skipif(lacking() is not None, reason=str(lacking())),
    pytest.mark.opencode,
]

GATEWAY, HERMES = "caduceus-gateway.service", "caduceus-hermes.service"
AGENT, DASHBOARD = "opencode-serve.service", "galaxy-dashboard.service"
ALL = (GATEWAY, HERMES, AGENT, DASHBOARD)
NAMES = tuple(unit.removesuffix(".service") for unit in ALL)
QUIET = {"OPENCODE_DISABLE_MODELS_FETCH": "1", "OPENCODE_DISABLE_LSP_DOWNLOAD": "1"}


@frozen
class Host:
    """A user's host: the manager, a project with settings, a chat."""

    manager: UserManager
    machine: Machine
    telegram: BotApiProcess
    owner: Remote

    def services(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run `galaxy services`."""
        program = (sys.executable, "-m", "galaxy_apps.cli.main", "services")
        return self.manager.run(*program, *words, cwd=self.machine.project)

    def must(self, *words: str) -> str:
        """Run it; it must succeed."""
        done = self.services(*words)
        assert done.returncode == 0, f"{done.stdout}{done.stderr}{self.manager.log()}"
        return done.stdout

    def pid(self, unit: str) -> int:
        """The first process of a unit that is up; 0 while it is not."""
        shown = self.manager.show(unit, "ActiveState", "MainPID")
        return int(shown["MainPID"]) if shown["ActiveState"] == "active" else 0

    def wait_until_up(self, *units: str, besides: dict[str, int] | None = None) -> None:
        """Until the units are ready, in other processes than these."""
        old = besides or {}
        for unit in units:
            try:
                eventually(lambda u=unit: self.pid(u) not in {0, old.get(u)}, f"{unit} is up")  # type: ignore[misc]
            except AssertionError as error:
                error.add_note(self.manager.log())
                raise

    def said(self, words: str) -> bool:
        """Whether the owner has read the words."""
        return any(words in seen.text for seen in self.telegram.sent(self.owner.id))

    def server(self) -> int:
        """The one process of opencode's server."""
        (pid,) = (p for p in self.manager.processes() if "serve --hostname" in command_of(p))
        return pid


@pytest.fixture(scope="module")
def host(
    tmp_path_factory: pytest.TempPathFactory,
    opencode_binary: Path,
    scripted_model: ScriptedModelServer,
) -> Iterator[Host]:
    """Give a host on which everything is installed, under a path with a space."""
    folder = tmp_path_factory.mktemp("a host")
    chats = folder / "chats"
    chats.mkdir()
    variables = {**QUIET, "GALAXY_OPENCODE_BIN": str(opencode_binary)}
    with (
        user_manager(folder, variables) as manager,
        BotApiProcess(chats, keeps_state=False) as telegram,
    ):
        owner = telegram.person("Owner")
        machine = Machine(
            folder=folder,
            opencode=opencode_binary,
            model_url=scripted_model.url,
            settings={
                "authorized_users": [owner.id or 0],
                "telegram": {
                    "base_url": telegram.base_url,
                    "base_file_url": telegram.base_file_url,
                },
                "drain_timeout": 10,
            },
        )
        token = machine.config.with_name("telegram_token")
        token.write_text(telegram.token, encoding="utf-8")
        token.chmod(0o600)
        host = Host(manager, machine, telegram, owner)
        # As a person would with `systemctl edit`: this host's port 5000 may be somebody's.
        drop_in = manager.units / f"{DASHBOARD}.d" / "port.conf"
        drop_in.parent.mkdir()
        program = f'"{sys.executable}" -P -m galaxy_apps.dashboard --port 0'
        drop_in.write_text(
            f'[Service]\nExecStart=\nExecStart={program} --config "{machine.config}"\n'
        )
        host.must("install", *NAMES)
        yield host


@pytest.fixture(autouse=True)
def _everything_runs(host: Host) -> None:
    """Each test begins with services that are up."""
    host.manager.run("systemctl", "--user", "reset-failed")
    host.manager.systemctl("start", *ALL)
    host.wait_until_up(*ALL)


def test_services_tell_how_they_are(host: Host) -> None:
    """Ready means working; each says in a line what it is at."""
    found = json.loads(host.must("status", "--json"))["services"]
    assert {each["unit"]: each["state"] for each in found} == dict.fromkeys(ALL, "active")
    lines = {each["unit"]: each["status"] for each in found}
    assert lines[GATEWAY] == "hears people on telegram"
    assert lines[HERMES].startswith("running: 0 at work")
    assert lines[AGENT].startswith("opencode runs as process")


def test_installing_again_changes_nothing(host: Host) -> None:
    """What is right already is neither written nor restarted."""
    before = {unit: host.pid(unit) for unit in ALL}
    assert json.loads(host.must("install", "--json", *NAMES))["steps"] == []
    assert {unit: host.pid(unit) for unit in ALL} == before


def test_a_message_is_answered_with_a_token_from_a_credential(host: Host) -> None:
    """The token is in no setting and in no environment; the agent is not told where it is."""
    assert "token" not in host.machine.config.read_text()
    host.owner.do("writes", text="SAY through services")
    eventually(lambda: host.said("through services"), "the answer comes")
    for unit in ALL:
        variables = Path(f"/proc/{host.pid(unit)}/environ").read_bytes()
        assert host.telegram.token.encode() not in variables
        assert (b"CREDENTIALS_DIRECTORY" in variables) is (unit == GATEWAY)
    agent = Path(f"/proc/{host.server()}/environ").read_bytes()
    assert b"NOTIFY_SOCKET" not in agent
    assert b"WATCHDOG" not in agent


@pytest.mark.slow
def test_killed_services_are_started_again(host: Host) -> None:
    """`kill -9` of each of them: all work again, by themselves."""
    before = {unit: host.pid(unit) for unit in ALL}
    for pid in before.values():
        os.kill(pid, signal.SIGKILL)
    host.wait_until_up(*ALL, besides=before)
    host.owner.do("writes", text="SAY alive again")
    eventually(lambda: host.said("alive again"), "the answer comes")


@pytest.mark.slow
def test_frozen_services_are_found_by_the_watchdog(host: Host) -> None:
    """A process that is there and does nothing is ended and started again."""
    units = (GATEWAY, HERMES, DASHBOARD)
    before = {unit: host.pid(unit) for unit in units}
    for pid in before.values():
        os.kill(pid, signal.SIGSTOP)
    for unit in units:
        eventually(
            lambda u=unit: host.manager.show(u, "Result")["Result"] == "watchdog",  # type: ignore[misc]
            f"the watchdog of {unit} fires",
            25,
        )
    host.wait_until_up(*units, besides=before)


def test_a_stop_lets_orders_come_to_their_end(host: Host) -> None:
    """`systemctl stop` waits for what runs, and nothing is left behind."""
    host.machine.drop("drained", "SLEEP 3\nSAY drained well")
    eventually(lambda: "drained" in str(host.machine.heartbeat().get("running")), "it runs")
    host.manager.systemctl("stop", HERMES)
    assert host.machine.archived("drained")["outcome"] == "succeeded"
    assert host.machine.heartbeat()["status"] == "stopped"
    assert host.manager.show(HERMES, "Result", "MainPID") == {"Result": "success", "MainPID": "0"}


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["restart", "kill"])
def test_the_agent_outlives_hermes(
    host: Host, scripted_model: ScriptedModelServer, ending: str
) -> None:
    """A run goes on in the agent's own unit, and the next Hermes fetches its answer, once."""
    server, prompt = host.server(), f"SLEEP 14\nSAY outlived a {ending}"
    host.machine.drop(f"long-{ending}", prompt)
    eventually(lambda: scripted_model.count(prompt) == 1, "the agent works")
    before = {HERMES: host.pid(HERMES)}
    if ending == "kill":
        os.kill(before[HERMES], signal.SIGKILL)
    else:
        host.manager.systemctl("restart", HERMES)
    host.wait_until_up(HERMES, besides=before)
    host.machine.wait_for_end(f"long-{ending}")
    assert f"outlived a {ending}" in host.machine.response(f"long-{ending}")
    assert scripted_model.count(prompt) == 1
    assert host.server() == server


@pytest.mark.slow
def test_without_a_unit_the_agent_gets_a_scope(host: Host) -> None:
    """Hermes starts the server itself then, where stopping its own unit does not reach it."""
    host.must("uninstall", "opencode-serve")
    try:
        host.machine.drop("scoped", "SAY scoped")
        host.machine.wait_for_end("scoped")
        server = host.server()
        group = Path(f"/proc/{server}/cgroup").read_text()
        assert re.search(r"/run-[^/]*\.scope$", group, re.MULTILINE), group
        before = {HERMES: host.pid(HERMES)}
        os.kill(before[HERMES], signal.SIGKILL)
        host.wait_until_up(HERMES, besides=before)
        host.machine.drop("adopted", "SAY adopted")
        host.machine.wait_for_end("adopted")
        assert host.server() == server
    finally:
        host.must("install", *NAMES)


@pytest.mark.slow
def test_services_come_back_after_a_boot(host: Host) -> None:
    """All of them, the agent before Hermes; on the way down Hermes before the agent."""
    shown = host.manager.show(HERMES, "After", "Wants")
    assert AGENT in shown["After"].split()
    assert AGENT in shown["Wants"].split()
    host.manager.stop()
    host.manager.start()
    host.wait_until_up(*ALL)
    host.machine.drop("booted", "SAY booted")
    host.machine.wait_for_end("booted")


def test_units_are_well_formed_and_shut_in(host: Host) -> None:
    """systemd itself finds nothing to complain of, and little exposed."""
    files = [str(host.manager.units / unit) for unit in ALL]
    done = host.manager.run("systemd-analyze", "--user", "verify", *files)
    about_us = [line for line in done.stderr.splitlines() if str(host.manager.units) in line]
    assert (done.returncode, about_us) == (0, [])


@pytest.fixture
def health_check(host: Host) -> Iterator[str]:
    """Install the health check; gives the name of what its timer starts."""
    host.must("install", "galaxy-health-check")
    yield "galaxy-health-check.service"
    host.must("uninstall", "galaxy-health-check")


def test_the_health_check_sees_the_agent(host: Host, health_check: str) -> None:
    """As shut in as it is, it must not take a server that lives for one that is gone."""

    def is_seen() -> bool:
        host.manager.run("systemctl", "--user", "start", health_check)
        said = host.manager.log().rpartition("=== Galaxy Protocol Health Check ===")[2]
        return "opencode serve is healthy" in said

    # Again, as on a busy machine some of it may take longer than the check waits.
    eventually(is_seen, "the health check finds the agent's server")


def test_uninstalling_forgets_failures(host: Host, health_check: str) -> None:
    """The manager does not list, nor count as trouble, what is there no more."""
    drop_in = host.manager.units / f"{health_check}.d" / "fails.conf"
    drop_in.parent.mkdir()
    try:
        drop_in.write_text("[Service]\nExecStart=\nExecStart=/bin/false\n")
        host.manager.systemctl("daemon-reload")
        host.manager.run("systemctl", "--user", "start", health_check)
        assert host.manager.show(health_check, "ActiveState") == {"ActiveState": "failed"}
    finally:
        shutil.rmtree(drop_in.parent)
    host.must("uninstall", "galaxy-health-check")
    assert host.manager.systemctl("list-units", "--all", "--no-legend", "galaxy-health-*") == ""


def test_changed_files_are_left_alone(host: Host) -> None:
    """What a person has written into a unit is neither overwritten nor removed."""
    path = host.manager.units / DASHBOARD
    written = path.read_text()
    path.write_text(written.replace("MemoryMax=512M", "MemoryMax=256M"))
    try:
        done = host.services("install", *NAMES)
        assert done.returncode == 1
        assert "changed by hand" in done.stderr
        assert host.services("uninstall", "galaxy-dashboard").returncode == 1
        assert "MemoryMax=256M" in path.read_text()
    finally:
        path.write_text(written)


@pytest.mark.slow
def test_uninstalling_leaves_nothing(host: Host) -> None:
    """No file, no link, no process; the folder's orders and settings stay."""
    before = {path.name for path in host.machine.layout.archive.iterdir()}
    host.must("uninstall")
    drop_in = host.manager.units / f"{DASHBOARD}.d" / "port.conf"  # a person's, not ours
    assert [p for p in host.manager.units.rglob("*") if not p.is_dir()] == [drop_in]
    left = [command_of(pid) for pid in host.manager.processes()]
    assert not [line for line in left if "galaxy" in line.replace(str(host.manager.folder), "")]
    assert not [line for line in left if "serve --hostname" in line]
    assert {path.name for path in host.machine.layout.archive.iterdir()} == before
    host.must("install", *NAMES)
