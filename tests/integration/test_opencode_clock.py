"""The real opencode whose time of day is set back in the middle of a turn.

It orders messages by their dates (1.18.33).  Without a clock that does not go back it asks the
model again and again after that, and tools run again.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import anyio
import pytest
from attrs import define, evolve, field, frozen

from galaxy_adapters.clock_system import SystemClock
from galaxy_adapters.dispatch_opencode_server import launch
from galaxy_core.domain.delivery import Finding, TicketKind
from galaxy_core.domain.run import Noticed, Verdict
from galaxy_core.testing.contracts.dispatcher_harness import DispatcherHarness
from galaxy_core.testing.factories import unique
from galaxy_core.testing.opencode import write_stub
from galaxy_core.testing.opencode_project import private_environment
from galaxy_core.testing.scripted_llm import ScriptedModelServer
from tests.chaos.clock import SetClock, made_clocks
from tests.opencode_cli import RealOpencodeCliHarness
from tests.opencode_server import ServerHarness, Site
from tests.support import require_or_skip

pytest_plugins = ["galaxy_core.testing.fixtures_opencode"]
pytestmark = [pytest.mark.anyio, pytest.mark.opencode]

MINUTE = 60.0
TEN_MINUTES = 600.0


@frozen
class Shifted(SystemClock):
    """Hermes' own clock, which is set with the agent's: they are on one machine."""

    clock: SetClock

    def now(self) -> datetime:
        """The time of day as it was set."""
        return super().now() + timedelta(seconds=self.clock.off_by_s)


@pytest.fixture
def clock(tmp_path: Path) -> SetClock:
    """Give a time of day that can be set."""
    clocks = made_clocks(tmp_path)
    if clocks is None:
        require_or_skip("no C compiler that makes a shared library")
    clocks[0].set_to(TEN_MINUTES)  # so that it never is behind the kernel's
    return clocks[0]


@pytest.fixture
def machine(
    tmp_path: Path, clock: SetClock, opencode_binary: Path, scripted_model: ScriptedModelServer
) -> Site:
    """Give a machine of its own, whose clock can be set."""
    folder = tmp_path / "machine"
    folder.mkdir()
    return Site(
        machine=folder,
        binary=opencode_binary,
        environment=environment_of(tmp_path, clock),
        model_url=scripted_model.url,
        count=scripted_model.count,
        clock=Shifted(clock),
    )


def environment_of(folder: Path, clock: SetClock) -> dict[str, str]:
    """Give an environment with a home of its own and that clock."""
    return {**private_environment(folder / "home", os.environ), **clock.environment}  # noqa: TID251


@pytest.fixture
async def harness(machine: Site, tmp_path: Path) -> AsyncIterator[ServerHarness]:
    """Give a dispatcher there."""
    async with ServerHarness(machine, tmp_path).running() as running:
        yield running
    await machine.close()


@pytest.fixture(params=["real", "fake"])
async def unsteady(
    request: pytest.FixtureRequest,
    machine: Site,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[ServerHarness]:
    """Give a dispatcher of an opencode that takes no clock from us, like one that is not ours."""
    nothing = tmp_path / "nothing.js"
    nothing.write_text("")
    monkeypatch.setattr(launch, "_HIDE_PASSWORD", nothing)
    if request.param == "fake":
        machine = evolve(machine, binary=write_stub(tmp_path / "bin"), count=None)
    async with ServerHarness(machine, tmp_path).running() as running:
        yield running
    await machine.close()


@define
class Work:
    """An order whose first tool waits until it is told to go on, and what comes after that."""

    folder: Path
    steps: tuple[str, ...]
    name: str = field(factory=lambda: unique("work"))

    @property
    def prompt(self) -> str:
        """What the agent is told."""
        wait = f"touch {self.name}.begun; until [ -e {self.name}.go ]; do sleep 0.05; done"
        return "\n".join((f"CALL bash: {wait}", *self.steps, f"SAY {self.name} is done"))

    @property
    def answer(self) -> str:
        """What the agent says in the end."""
        return f"{self.name} is done"

    @property
    def has_begun(self) -> bool:
        """Whether its first tool runs."""
        return (self.folder / f"{self.name}.begun").exists()

    def let_go(self) -> None:
        """Have it go on."""
        (self.folder / f"{self.name}.go").touch()

    @property
    def deeds(self) -> list[str]:
        """What its tools wrote."""
        file = self.folder / "deeds.txt"
        return file.read_text(encoding="utf-8").split() if file.exists() else []


DEED = "CALL bash: echo deed >> deeds.txt"
THINK = "SLEEP 3"
"""The model takes its time, so that an opencode that does a step again is stopped before that."""


async def set_back_in(work: Work, harness: DispatcherHarness, clock: SetClock, by_s: float) -> None:
    """Set the clock back while the order's first tool runs."""
    await harness.until(lambda: work.has_begun)
    clock.set_to(clock.off_by_s - by_s)
    work.let_go()


async def test_turn_goes_on_when_the_clock_is_set_back(
    harness: ServerHarness, clock: SetClock, scripted_model: ScriptedModelServer
) -> None:
    """Each step is asked for once, the answer is its own, and the conversation goes on."""
    before, _ = await harness.run_new(f"SAY {unique('before')}")
    work = Work(harness.directory, steps=(DEED, DEED))
    request = harness.request(work.prompt)
    run = harness.watch(request, await harness.prepare(request, before))
    calls = scripted_model.health["calls"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        await set_back_in(work, harness, clock, MINUTE)
    assert run.ended.verdict is Verdict.SUCCEEDED
    assert run.ended.text == work.answer
    assert work.deeds == ["deed", "deed"]
    assert scripted_model.health["calls"] == int(str(calls)) + 4
    successor = await harness.crash_caller()
    for dispatcher in (harness.dispatcher, successor):
        assert await dispatcher.find(run.ticket) is Finding.FINISHED
        word = unique("after")
        request = harness.request(f"SAY {word}")
        ticket = await harness.prepare(request, run.ticket, dispatcher=dispatcher)
        assert not ticket.is_session_replaced
        again = await harness.run(request, ticket, dispatcher=dispatcher)
        assert again.ended.text == word
        assert await harness.count(request.prompt) == 1


async def test_hermes_that_starts_after_the_step_takes_the_turn_up(
    harness: ServerHarness, clock: SetClock
) -> None:
    """What runs is found and told to its end, though the clock is before its beginning."""
    before, _ = await harness.run_new(f"SAY {unique('before')}")
    work = Work(harness.directory, steps=(DEED,))
    request = harness.request(work.prompt)
    ticket = await harness.prepare(request, before)
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(harness.watch(request, ticket).follow)
        await harness.until(lambda: work.has_begun)
        tasks.cancel_scope.cancel()
    clock.set_to(clock.off_by_s - MINUTE)
    successor = await harness.crash_caller()
    assert await successor.find(ticket) is Finding.RUNNING
    work.let_go()
    run = await harness.run(request, ticket, dispatcher=successor)
    assert run.ended.text == work.answer
    assert work.deeds == ["deed"]
    assert await harness.count(request.prompt) == 1


async def test_answer_that_was_given_after_the_step_is_taken(
    unsteady: ServerHarness, clock: SetClock
) -> None:
    """An opencode that would ask again and again is stopped; what it said is the answer."""
    before, _ = await unsteady.run_new(f"SAY {unique('before')}")
    work = Work(unsteady.directory, steps=(THINK,))
    request = unsteady.request(work.prompt)
    run = unsteady.watch(request, await unsteady.prepare(request, before))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        await set_back_in(work, unsteady, clock, TEN_MINUTES)
    assert run.ended.verdict is Verdict.SUCCEEDED
    assert run.ended.text == work.answer
    assert run.of(Noticed)
    assert await unsteady.dispatcher.find(run.ticket) is Finding.FINISHED
    # Its session is ten minutes ahead of the clock now.
    word = unique("after")
    request = unsteady.request(f"SAY {word}")
    ticket = await unsteady.prepare(request, run.ticket)
    assert ticket.is_session_replaced
    assert (await unsteady.run(request, ticket)).ended.text == word


async def test_turn_that_would_lose_its_way_is_broken_off(
    unsteady: ServerHarness, clock: SetClock
) -> None:
    """Its next step would not know the last one, and do it again; it is gone on with after that."""
    before, _ = await unsteady.run_new(f"SAY {unique('before')}")
    work = Work(unsteady.directory, steps=(THINK, DEED, DEED))
    request = unsteady.request(work.prompt)
    run = unsteady.watch(request, await unsteady.prepare(request, before))
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        await set_back_in(work, unsteady, clock, TEN_MINUTES)
    assert run.ended.verdict is Verdict.BROKEN_OFF
    assert run.ended.reason
    assert "set back" in run.ended.reason
    assert work.deeds == ["deed"]
    # As seen by a Hermes that starts now: by the time it goes on, the clock has caught up but for a
    # little.
    again = await unsteady.run(request, run.ticket, dispatcher=await unsteady.crash_caller())
    assert again.ended.verdict is Verdict.BROKEN_OFF
    clock.set_to(TEN_MINUTES - 3.0)
    word = unique("on")
    request = unsteady.request(f"SAY {word}")
    ticket = await unsteady.prepare(request, run.ticket, kind=TicketKind.CONTINUATION)
    assert not ticket.is_session_replaced
    assert (await unsteady.run(request, ticket)).ended.text == word


async def test_command_line_goes_on_when_the_clock_is_set_back(
    tmp_path: Path,
    clock: SetClock,
    opencode_binary: Path,
    scripted_model: ScriptedModelServer,
) -> None:
    """Each process begins behind the newest message of its session, and its clock goes forward."""
    harness = RealOpencodeCliHarness(
        tmp_path, opencode_binary, environment_of(tmp_path, clock), scripted_model, Shifted(clock)
    )
    work = Work(harness.directory, steps=(DEED,))
    request = harness.request(work.prompt)
    run = harness.watch(request, await harness.prepare(request))
    calls = scripted_model.health["calls"]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(run.follow)
        await set_back_in(work, harness, clock, MINUTE)
    assert run.ended.text == work.answer
    assert work.deeds == ["deed"]
    assert scripted_model.health["calls"] == int(str(calls)) + 3
    word = unique("after")
    _, again = await harness.run_new(f"SAY {word}", run.ticket)
    assert again.ended.text == word
    assert again.ticket.session_id == run.ticket.session_id
    assert scripted_model.health["calls"] == int(str(calls)) + 4
    await harness.close()
