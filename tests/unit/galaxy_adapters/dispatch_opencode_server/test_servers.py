"""Our own server: one of it, found again, replaced, ended; over the fake opencode."""

import json
import os
import signal
import socket
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import anyio
import pytest
from attrs import asdict, evolve

from galaxy_adapters._processes import descendants, identify, marked, work_of
from galaxy_adapters.dispatch_opencode_server import OwnServer, OwnServerSettings
from galaxy_adapters.dispatch_opencode_server.client import OpencodeClient
from galaxy_adapters.dispatch_opencode_server.launch import MARKER, Launch, spawn
from galaxy_adapters.dispatch_opencode_server.silence import Silence
from galaxy_adapters.dispatch_opencode_server.starting import Starter
from galaxy_adapters.dispatch_opencode_server.statefile import ServerState, StateFolder
from galaxy_core.domain.errors import DispatcherUnavailable
from galaxy_core.testing.opencode import write_stub
from galaxy_core.testing.opencode_project import private_environment

pytestmark = pytest.mark.anyio
HOUR = timedelta(hours=1)


@pytest.fixture
async def settings(tmp_path: Path) -> AsyncIterator[OwnServerSettings]:
    """Describe a machine whose server is gone after the test."""
    described = OwnServerSettings(
        machine=tmp_path,
        environment=private_environment(tmp_path / "home", {"PATH": "/usr/bin:/bin"}),
        binary=write_stub(tmp_path / "bin"),
        hang_patience=timedelta(seconds=0.5),
        stop_grace=timedelta(seconds=2),
    )
    yield described
    for state in (tmp_path / "home" / "state" / "galaxy").glob("*.json"):
        for process in marked(MARKER, json.loads(state.read_text())["server_id"]):
            process.kill()


def number(server: OwnServer) -> int:
    """Give the server's process number."""
    assert server.pid is not None
    return server.pid


async def test_two_who_start_at_once_share_one(settings: OwnServerSettings) -> None:
    """Whoever comes second waits for the first one's server and adopts it."""
    servers = [OwnServer(settings), OwnServer(settings)]
    clients: list[OpencodeClient] = []

    async def connect(server: OwnServer) -> None:
        clients.append(await server.connect())

    async with anyio.create_task_group() as tasks:
        for server in servers:
            tasks.start_soon(connect, server)
    assert number(servers[0]) == number(servers[1])
    assert clients[0].endpoint == clients[1].endpoint
    for server in servers:
        await server.aclose()


async def test_server_outlives_its_starter_and_is_found_again(settings: OwnServerSettings) -> None:
    """What counts is written down: a successor knows nothing else."""
    first = OwnServer(settings)
    await first.connect()
    pid = number(first)
    await first.aclose()
    second = OwnServer(settings)
    assert await (await second.connect()).version()
    assert number(second) == pid
    await second.aclose()


async def test_stuck_server_is_replaced(settings: OwnServerSettings) -> None:
    """One that lives and does not answer is ended; before that it gets a chance."""
    server = OwnServer(settings)
    await server.connect()
    pid = number(server)
    await server.suspect()
    assert identify(pid) is not None
    os.kill(pid, signal.SIGSTOP)
    await server.suspect()
    assert identify(pid) is None
    with pytest.raises(DispatcherUnavailable):
        server.client()
    await server.connect()
    assert number(server) != pid
    await server.aclose()


async def noted_stillness(path: Path) -> dict[str, Any]:
    """Wait until it is written down that a server does nothing; what is written there."""
    with anyio.fail_after(60):
        while True:
            await anyio.sleep(0.02)
            if path.exists() and (seen := json.loads(path.read_text()))["still_since"] is not None:
                return dict(seen)


async def test_patience_does_not_begin_anew_with_the_next_process(
    settings: OwnServerSettings,
) -> None:
    """Hermes is killed while it waits for a server that hangs: the next one goes on from there."""
    slow = evolve(settings, stillness_patience=HOUR, hang_patience=HOUR)
    first = OwnServer(slow)
    await first.connect()
    pid = number(first)
    os.kill(pid, signal.SIGSTOP)
    silence_file = first.state_file.with_suffix(".silence")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(first.suspect)
        seen = await noted_stillness(silence_file)
        tasks.cancel_scope.cancel()
    silence_file.write_text(
        json.dumps(seen | {"still_since": seen["until"] - HOUR.total_seconds()})
    )
    second = OwnServer(slow)
    await second.connect()
    assert identify(pid) is None
    assert number(second) != pid
    assert not silence_file.exists()
    await second.aclose()


async def test_server_behind_a_launcher_is_looked_at_itself(settings: OwnServerSettings) -> None:
    """A script that waits for the real opencode does nothing, however busy that is."""
    real = write_stub(settings.machine / "real")
    launcher = settings.machine / "launcher"
    launcher.write_text(f'#!/bin/sh\n{real} "$@"\n')
    launcher.chmod(0o755)
    patient = evolve(settings, binary=launcher, stillness_patience=HOUR, hang_patience=HOUR)
    server = OwnServer(patient)
    await server.connect()
    (child,) = descendants(number(server))
    child.suspend()
    silence_file = server.state_file.with_suffix(".silence")
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.suspect)
        seen = await noted_stillness(silence_file)
        tasks.cancel_scope.cancel()
    assert seen["work"] == work_of(identify(child.pid)) != work_of(identify(number(server)))
    await server.aclose()


async def test_server_that_dies_while_it_is_asked_is_not_adopted(
    settings: OwnServerSettings,
) -> None:
    """It is silent no more because it is gone: another one is started at once."""
    first = OwnServer(settings)
    await first.connect()
    pid = number(first)
    os.kill(pid, signal.SIGSTOP)
    second = OwnServer(evolve(settings, stillness_patience=HOUR, hang_patience=HOUR))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(second.connect)
        await noted_stillness(first.state_file.with_suffix(".silence"))
        os.kill(pid, signal.SIGKILL)
    assert number(second) != pid
    await second.aclose()


async def test_server_that_answers_again_is_kept(settings: OwnServerSettings) -> None:
    """However long a silence others saw: what counts is that it answers now."""
    first = OwnServer(settings)
    await first.connect()
    pid = number(first)
    name = json.loads(first.state_file.read_text())["server_id"]
    silence = Silence(server_id=name, since=0.0, until=1.0, work="", still_since=0.0)
    first.state_file.with_suffix(".silence").write_text(json.dumps(asdict(silence)))
    second = OwnServer(settings)
    await second.connect()
    assert number(second) == pid
    assert not first.state_file.with_suffix(".silence").exists()
    await second.aclose()


@pytest.mark.parametrize(
    "lost", [{"url": None}, {"url": None, "pid": None, "birth": None}], ids=["address", "process"]
)
async def test_server_that_was_being_started_is_taken_over(
    settings: OwnServerSettings, lost: dict[str, None]
) -> None:
    """Its starter died before it had noted where it listens, or even what its process is.

    Else a Hermes that is killed faster than opencode starts would never have one.
    """
    first = OwnServer(settings)
    await first.connect()
    pid = number(first)
    state = json.loads(first.state_file.read_text(encoding="utf-8"))
    first.state_file.write_text(json.dumps(state | lost))
    second = OwnServer(settings)
    assert await (await second.connect()).version()
    assert number(second) == pid
    assert json.loads(first.state_file.read_text(encoding="utf-8")) == state
    await second.aclose()


async def test_server_that_never_comes_up_is_replaced(settings: OwnServerSettings) -> None:
    """Patience for the start counts from the start, whoever waits."""
    first = OwnServer(settings)
    await first.connect()
    pid = number(first)
    state = json.loads(first.state_file.read_text(encoding="utf-8"))
    first.state_file.write_text(json.dumps(state | {"url": None}))
    first.state_file.with_suffix(".log").write_text("")
    # The process is older than that already.
    second = OwnServer(evolve(settings, start_patience=timedelta(0)))
    with pytest.raises(DispatcherUnavailable, match="does not come up"):
        await second.connect()
    assert identify(pid) is None
    assert not first.state_file.exists()
    await second.aclose()


async def test_server_that_was_being_started_without_a_password_is_not_ours(
    settings: OwnServerSettings,
) -> None:
    """What answers to everybody may be anybody, or an opencode that did not take the password."""
    first = OwnServer(settings)
    await first.connect()
    pid = number(first)
    open_to_all = Launch(
        binary=write_stub(settings.machine / "open"),
        directory=settings.machine,
        environment=settings.environment,
        log=first.state_file.with_suffix(".log"),
        server_id="0123456789ab",
        password="unknown to it",
    )
    process = spawn(open_to_all)
    state = ServerState(
        server_id=open_to_all.server_id,
        password=open_to_all.password,
        pid=process.pid,
        birth=process.birth,
    )
    StateFolder(first.state_file.parent, settings.machine).write(state)
    second = OwnServer(settings)
    await second.connect()
    assert identify(process.pid) is None
    assert number(second) not in {pid, process.pid}
    await second.aclose()
    os.kill(pid, signal.SIGKILL)


async def test_no_answer_is_no_question_for_a_password() -> None:
    """A server that was too slow to let anybody in may do so a moment later."""
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        with pytest.raises(DispatcherUnavailable):
            await Starter._is_open_to_all(f"http://127.0.0.1:{deaf.getsockname()[1]}")


async def test_number_of_another_process_is_not_adopted(settings: OwnServerSettings) -> None:
    """After a reboot the number in the file may be anybody's, who is left alone."""
    first = OwnServer(settings)
    await first.connect()
    state = json.loads(first.state_file.read_text(encoding="utf-8"))
    os.kill(number(first), signal.SIGKILL)
    first.state_file.write_text(json.dumps(state | {"pid": os.getpid()}))
    second = OwnServer(settings)
    await second.connect()
    assert number(second) != os.getpid()
    await second.aclose()


@pytest.mark.parametrize("content", ["", "{", "[]", "null", '{"format": 99}', '{"format": 1}'])
async def test_unreadable_state_is_no_state(settings: OwnServerSettings, content: str) -> None:
    """A torn or foreign file stops nobody from starting a server."""
    server = OwnServer(settings)
    server.state_file.parent.mkdir(parents=True)
    server.state_file.write_text(content)
    await server.connect()
    await server.aclose()


async def test_state_behind_a_link_is_not_ours(settings: OwnServerSettings, tmp_path: Path) -> None:
    """It may lead to a server of somebody else's, which would get our orders."""
    first = OwnServer(settings)
    await first.connect()
    pid = number(first)
    foreign = first.state_file.rename(tmp_path / "foreign.json")
    first.state_file.symlink_to(foreign)
    second = OwnServer(settings)
    await second.connect()
    assert number(second) != pid
    assert not second.state_file.is_symlink()
    os.kill(pid, signal.SIGKILL)


async def test_state_folder_is_for_the_user_alone(settings: OwnServerSettings) -> None:
    """Somebody may have made it before, with the rights that folders usually get."""
    server = OwnServer(settings)
    folder = server.state_file.parent
    folder.mkdir(parents=True)
    folder.chmod(0o777)
    await server.connect()
    assert folder.stat().st_mode & 0o077 == 0
    await server.aclose()


async def test_lock_that_cannot_be_had_is_an_agent_out_of_reach(
    settings: OwnServerSettings,
) -> None:
    """A full disk, or files of another user: Hermes goes on and tries again."""
    server = OwnServer(settings)
    server.state_file.with_suffix(".lock").mkdir(parents=True)
    with pytest.raises(DispatcherUnavailable, match="cannot be opened"):
        await server.connect()
    await server.aclose()


def test_state_of_a_successor_is_not_forgotten(tmp_path: Path) -> None:
    """Two processes may end the same stuck server, and one of them have started the next."""
    folder = StateFolder(tmp_path / "state", tmp_path)
    folder.make()
    old, new = (ServerState(server_id=name, password="x") for name in ("old", "new"))
    folder.write(new)
    folder.forget(old)
    assert folder.read() == new
    folder.forget(new)
    assert folder.read() is None


async def test_opencode_that_ends_at_once_is_told_with_what_it_said(
    settings: OwnServerSettings, tmp_path: Path
) -> None:
    """The reason stands in its output, and nowhere else."""
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\necho 'cannot open the data base' >&2\nexit 3\n")
    broken.chmod(0o755)
    server = OwnServer(
        OwnServerSettings(machine=tmp_path, environment=settings.environment, binary=broken)
    )
    with pytest.raises(DispatcherUnavailable, match="cannot open the data base"):
        await server.connect()
    assert not server.state_file.exists()
    await server.aclose()


async def test_given_up_start_leaves_nothing(settings: OwnServerSettings, tmp_path: Path) -> None:
    """Cancelled in the middle, the server is ended: nobody would ever know of it."""
    slow = tmp_path / "slow"
    slow.write_text("#!/bin/sh\nexec sleep 60\n")
    slow.chmod(0o755)
    server = OwnServer(
        OwnServerSettings(machine=tmp_path, environment=settings.environment, binary=slow)
    )
    marker = ""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(server.connect)
        with anyio.fail_after(20):
            while not (marker and marked(MARKER, marker)):
                await anyio.sleep(0.02)
                if server.state_file.exists():
                    marker = json.loads(server.state_file.read_text())["server_id"]
        tasks.cancel_scope.cancel()
    assert marked(MARKER, marker) == []
    assert not server.state_file.exists()
