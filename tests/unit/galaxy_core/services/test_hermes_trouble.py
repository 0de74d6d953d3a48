"""Hermes where it hurts: slow disks, thawed workers, commands at the wrong moment, bugs."""

# ruff: noqa: ANN401 - stands in for methods of any port

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import anyio
import pytest
from attrs import evolve

from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.errors import (
    DispatcherUnavailable,
    DispatchRejected,
    SessionNotFound,
    StorageUnavailable,
)
from galaxy_core.domain.ids import ConversationKey, OrderId, RequestId
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.operations import AnswerGiven, OrderView
from galaxy_core.domain.policy import RecoveryPolicy, RetryPolicy
from galaxy_core.domain.run import QuestionReply, RunEnded, TextAppended, Verdict
from galaxy_core.domain.session import Session
from galaxy_core.domain.state import OrderState
from galaxy_core.services.hermes import Hermes, answers
from galaxy_core.services.hermes.daemon import FORGET_COMMANDS_AFTER
from galaxy_core.testing.clock import settle
from galaxy_core.testing.factories import make_cancel, make_order
from galaxy_core.testing.memory import BreakOff, Crash, Hang, MemoryOrderCatalogue, Script
from tests.unit.galaxy_core.services.world import World

pytestmark = pytest.mark.anyio
FULL = StorageUnavailable("no space left")


@pytest.fixture
def world() -> World:
    """A machine whose stop does not wait long for its disk."""
    made = World()
    made.config = evolve(made.config, stop_deadline=timedelta(milliseconds=50))
    return made


class Instead:
    """A port with some of its methods replaced."""

    def __init__(self, port: Any, **methods: Any) -> None:
        self._port = port
        self.__dict__.update(methods)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._port, name)


class Gate:
    """Holds a call up: `reached` when it has come, goes on when `opened` is set."""

    def __init__(self, call: Callable[..., Awaitable[Any]]) -> None:
        self._call = call
        self.reached, self.opened = anyio.Event(), anyio.Event()

    async def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """Wait, then do what was asked."""
        self.reached.set()
        await self.opened.wait()
        return await self._call(*args, **kwargs)


def hermes_with(world: World, **ports: Instead) -> Hermes:
    """A Hermes with ports replaced."""
    made = world.hermes()
    return Hermes(evolve(made._ports, **ports), made._config)


@asynccontextmanager
async def at_work(world: World, hermes: Hermes) -> AsyncIterator[None]:
    """Let this Hermes run, and stop it at the end."""
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hermes.run)
        await settle()
        yield
        hermes.stop()
        hermes.stop()
        await world.elapse(1)


# ---- cancelling


async def test_a_slow_cancel_does_not_reach_the_next_order(world: World) -> None:
    """Stopping a run is stopping whatever runs in its session: the next order waits for it."""
    world.agent.script("p1", Script((Hang(),)))
    world.agent.script("p2", Script((Hang("two"),)))
    await world.submit(
        make_order(id="o1", payload="p1", session="chat"),
        make_order(id="o2", payload="p2", session="chat"),
    )
    dispatcher = world.hermes()._ports.dispatcher

    async def cancel(ticket: Any) -> None:
        """As with opencode: abort, then abort whatever the session is still busy with."""
        await dispatcher.cancel(ticket)
        for _ in range(3):
            await world.clock.sleep(timedelta(milliseconds=100))
            for message in world.agent.running:
                message.end(RunEnded(verdict=Verdict.CANCELLED))
            world.agent.changes.notify()

    hermes = hermes_with(world, dispatcher=Instead(dispatcher, cancel=cancel))
    async with at_work(world, hermes):
        world.box.put(make_cancel("o1"))
        await world.elapse(2)
        world.agent.release("two")
        await world.elapse(2)
    assert (await world.view("o1")).state is OrderState.CANCELLED
    assert (await world.view("o2")).state is OrderState.SUCCEEDED


async def test_a_cancel_while_the_next_message_is_written_down(world: World) -> None:
    """The continuation whose ticket is being synced is not sent once the order is cancelled."""
    world.agent.script("p", Script((BreakOff(),)), Script((Hang(),)))
    await world.submit(make_order(id="a", payload="p"))
    await world.hermes().run(until_idle=True)
    await world.elapse(100)
    gate = Gate(world.journal.write_ticket)
    hermes = hermes_with(world, journal=Instead(world.journal, write_ticket=gate))
    async with at_work(world, hermes):
        await gate.reached.wait()
        world.box.put(make_cancel("a"))
        await settle()
        gate.opened.set()
        await world.elapse(120)
        assert not world.agent.running
    assert (await world.view("a")).state is OrderState.CANCELLED
    assert len(world.agent.prompts) == 1


async def test_a_command_for_an_order_that_nobody_knows_is_forgotten(world: World) -> None:
    """After a day; and only then is all that waits searched through for it."""
    searches = list[OrderId]()

    class Watched(MemoryOrderCatalogue):
        async def get(self, order_id: OrderId, *, only_enqueued: bool = False) -> OrderView | None:
            searches.extend([] if only_enqueued else [order_id])
            return await super().get(order_id, only_enqueued=only_enqueued)

    world.catalogue = Watched(world.orders)
    asked_at = world.clock.now() - FORGET_COMMANDS_AFTER + timedelta(minutes=1)
    world.box.put(make_cancel("nobody", at=asked_at))
    async with world.running():
        await world.elapse(59)
        assert len(world.box.commands) == 1
        assert not searches
        await world.elapse(60)
        assert not world.box.commands
    assert searches == ["nobody"]


async def test_a_cancel_that_overtakes_its_message_is_repeated(world: World) -> None:
    """Told to stop before the message arrived: told again when it runs."""
    world.agent.script("p", Script((Hang(),)))
    await world.submit(make_order(id="a", payload="p"))
    hermes = world.hermes()
    inner = hermes._ports.dispatcher

    async def run(request: Any, ticket: Any) -> Any:
        world.box.put(make_cancel("a"))
        await settle(100)
        async for event in inner.run(request, ticket):
            yield event

    hermes = Hermes(evolve(hermes._ports, dispatcher=Instead(inner, run=run)), hermes._config)
    async with at_work(world, hermes):
        await world.until(lambda: world.ended("a"))
    assert not world.agent.running
    assert (await world.view("a")).state is OrderState.CANCELLED


async def test_a_cancel_waits_for_an_agent_that_is_out_of_reach(world: World) -> None:
    """Not answered as cancelled before the agent was told: it would work on unwatched."""
    world.agent.script("p", Script((Hang(),)))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.elapse(1)
    world.agent.go_down()
    world.box.put(make_cancel("a"))
    async with world.running():
        await world.elapse(1)
        world.agent.come_up()
        await world.elapse(100)
        assert not world.agent.running
    assert (await world.view("a")).state is OrderState.CANCELLED


async def test_a_cancel_that_the_agent_refuses_ends_the_order(world: World) -> None:
    """A command that fails for good costs neither the daemon nor the person's answer."""
    world.agent.script("p", Script((Hang(),)))
    await world.submit(make_order(id="a", payload="p"))
    world.faults.fail("dispatcher.cancel", SessionNotFound("gone"))
    async with world.running():
        world.box.put(make_cancel("a"))
        await world.elapse(40)
        assert world.ended("a")


# ---- recovery by asking


def go_on(world: World, label: str = "Go on") -> AnswerGiven:
    """The person's answer to the question whether the agent shall go on."""
    message_id = next(iter(world.agent.messages))
    return AnswerGiven(
        order_id=OrderId("a"),
        request_id=RequestId(f"recovery-{message_id}"),
        answer=QuestionReply(answers=((label,),)),
        at=world.clock.now(),
    )


async def ask(world: World) -> None:
    """An order that breaks off on a machine that asks then."""
    world.config = evolve(world.config, recovery=RecoveryPolicy.ASK)
    world.agent.script("p", Script((BreakOff(),)), Script.saying("done"))
    await world.submit(make_order(id="a", payload="p"))


async def test_an_answer_given_while_hermes_was_down_counts(world: World) -> None:
    """The question is not asked again, the agent goes on."""
    await ask(world)
    async with world.running():
        await world.elapse(20)
        assert "question_asked" in world.types("a")
    world.box.put(go_on(world))
    async with world.running():
        await world.elapse(60)
        assert world.ended("a")
    assert world.answer("a") == "done"
    assert world.types("a").count("question_asked") == 1
    assert not world.box.commands


async def test_an_answer_that_comes_while_the_question_is_recorded(world: World) -> None:
    """The person is faster than the disk."""
    await ask(world)
    hermes = world.hermes()
    audit = hermes._ports.audit
    gate = Gate(audit.record)

    async def record(events: Any) -> None:
        slow = any(event.event_type == "question_asked" for event in events)
        await (gate(events) if slow else audit.record(events))

    hermes = Hermes(evolve(hermes._ports, audit=Instead(audit, record=record)), hermes._config)
    async with at_work(world, hermes):
        await world.elapse(20)
        await gate.reached.wait()
        world.box.put(go_on(world))
        await settle()
        gate.opened.set()
        await world.elapse(5)
        assert world.ended("a")
    assert world.answer("a") == "done"


async def test_cancelled_while_asked_is_cancelled(world: World) -> None:
    """Who cancels instead of answering gets a cancelled order, not a failed one."""
    await ask(world)
    async with world.running():
        await world.elapse(20)
        world.box.put(make_cancel("a"))
        await world.elapse(5)
    assert (await world.view("a")).state is OrderState.CANCELLED


# ---- thawed workers


@pytest.mark.parametrize("ticks", [0, 1, 2, 4, 8])
async def test_frozen_before_its_ticket_stood(world: World, ticks: int) -> None:
    """Taken over without a trace of a ticket: the thawed worker sends nothing."""
    world.agent.script("p", Script.saying("one"), Script.saying("two"))
    await world.submit(make_order(id="a", payload="p"))
    gate = Gate(world.journal.write_ticket)
    first = hermes_with(world, journal=Instead(world.journal, write_ticket=gate))
    frozen = world.queue
    async with at_work(world, first):
        await gate.reached.wait()
        frozen.freeze()
        await world.elapse(100)
        async with world.running():
            await world.elapse(5)
            gate.opened.set()
            await settle(ticks)
            frozen.thaw()
            await world.elapse(5)
    assert world.agent.prompts == ["p"]


async def test_a_thawed_workers_decision_does_not_stand(world: World) -> None:
    """Response, letter, archive and trail all tell what the holder decided."""
    world.config = evolve(world.config, retry=RetryPolicy(max_attempts=1))
    world.agent.script("p", Script((Hang(), TextAppended(text="the answer", part="1"))))
    await world.submit(make_order(id="a", payload="p"))
    gate = Gate(world.journal.write_settlement)
    first = hermes_with(world, journal=Instead(world.journal, write_settlement=gate))
    frozen = world.queue
    async with at_work(world, first):
        await world.until(lambda: bool(world.agent.running))
        world.agent.go_down()
        await settle()
        world.agent.come_up()
        await gate.reached.wait()
        frozen.freeze()
        await world.elapse(100)
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(world.run_until_killed)
            await settle()
            gate.opened.set()
            frozen.thaw()
            await settle()
            world.faults.fail("outbox.post", Crash("kill -9"))
            world.agent.release()
            await settle(200)
        await world.run_until_killed()
    assert (await world.view("a")).state is OrderState.SUCCEEDED
    assert world.answer("a") == "the answer"
    assert world.letters.waiting["hermes-a"].message == "the answer"
    assert "order_dead_lettered" not in world.types("a")


# ---- disks


async def test_one_line_about_the_end_however_often_the_letter_fails(world: World) -> None:
    """A full disk must not be filled with lines that say the same."""
    world.faults.fail("outbox.post", FULL, times=20)
    await world.submit(make_order(id="a"))
    async with world.running():
        await world.elapse(400)
        assert world.ended("a")
    assert world.types("a").count("order_executed_success") == 1


@pytest.mark.parametrize("operation", ["journal.forget", "queue.ack"])
async def test_a_failure_after_the_archive_is_no_lost_lease(world: World, operation: str) -> None:
    """The order is over; what is left to do is tidying up."""
    world.faults.fail(operation, FULL, is_done=operation == "queue.ack")
    await world.submit(make_order(id="a"))
    async with world.running() as hermes:
        await world.elapse(30)
        assert hermes._processed == 1
    assert "lease_lost" not in world.types("a")


async def test_a_give_back_is_written_however_long_it_takes(world: World) -> None:
    """An order that nobody works on must not stay held because the disk was full."""
    world.faults.fail("dispatcher.prepare", DispatcherUnavailable("down"))
    world.faults.fail("queue.nack", FULL, times=30)
    await world.submit(make_order(id="a"))
    async with world.running():
        await world.elapse(3600)
        assert world.ended("a")


async def test_a_stop_does_not_wait_for_a_full_disk(world: World) -> None:
    """Told to stop while an end cannot be written: Hermes ends, and the next one goes on."""
    world.faults.fail("responses.commit", FULL, times=None)
    await world.submit(make_order(id="a"))
    hermes = world.hermes()
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hermes.run)
        await world.elapse(5)
        hermes.stop()
        hermes.stop()
    world.queue.kill()
    world.faults.clear()
    await world.hermes().run(until_idle=True)
    assert world.ended("a")
    assert len(world.agent.prompts) == 1


async def test_once_goes_on_after_a_claim_that_failed(world: World) -> None:
    """An error is not an empty queue."""
    world.faults.fail("queue.claim", FULL)
    await world.submit(make_order(id="a"))
    async with anyio.create_task_group() as tasks:

        async def once() -> None:
            await world.hermes().run(until_idle=True)

        tasks.start_soon(once)
        await world.elapse(60)
    assert world.ended("a")


# ---- bugs


async def test_an_end_that_cannot_be_put_down_costs_no_other_order(world: World) -> None:
    """An unexpected error in settling: the daemon lives, other orders run, this one waits."""
    bad = UnicodeEncodeError("utf-8", "\ud83d", 0, 1, "surrogates not allowed")
    world.faults.fail("responses.commit", bad, times=2)
    await world.submit(make_order(id="a"), make_order(id="b"), make_order(id="c"))
    async with world.running():
        await world.elapse(5)
        assert world.ended("c")
        await world.elapse(200)
        assert world.ended("a")
        assert world.ended("b")


async def test_a_bug_while_giving_back_is_survived(world: World) -> None:
    """The order is given back at the next try."""
    world.faults.fail("dispatcher.prepare", DispatcherUnavailable("down"))
    world.faults.fail("queue.nack", RuntimeError("bug"))
    await world.submit(make_order(id="a"))
    async with world.running():
        await world.elapse(60)
        assert world.ended("a")


async def test_claimed_again_before_its_first_worker_was_done(world: World) -> None:
    """Two workers of one order in the table for a moment: neither removes the other."""
    await world.submit(make_order(id="a"))
    world.faults.fail("dispatcher.prepare", DispatcherUnavailable("down"))
    queue = world.hermes()._ports.queue

    async def nack(delivery: Any, **options: Any) -> None:
        await queue.nack(delivery, **options)
        world.box.put(make_cancel("a"))
        await settle(12)

    async with at_work(world, hermes_with(world, queue=Instead(queue, nack=nack))):
        await world.elapse(20)
        assert world.ended("a")


# ---- what the answer and the trail say


@pytest.mark.parametrize(
    "error",
    [DispatchRejected("no such agent"), DispatcherUnavailable("down")],
    ids=str,
)
async def test_receipt_and_claim_stand_once(world: World, error: Exception) -> None:
    """However the attempt ends, its opening lines are written exactly once."""
    world.faults.fail("dispatcher.prepare", error)
    await world.submit(make_order(id="a"))
    await world.hermes().run(until_idle=True)
    assert world.types("a")[:2] == ["order_received", "order_claimed"]
    assert world.types("a").count("order_claimed") == 1


async def test_the_lines_of_an_attempt_that_failed_early_are_written(world: World) -> None:
    """Found unknown, then the agent is gone: receipt, claim and finding are on record."""
    world.faults.fail("dispatcher.run", DispatcherUnavailable("down"))
    await world.submit(make_order(id="a"))
    await world.hermes().run(until_idle=True)
    world.faults.fail("dispatcher.prepare", DispatcherUnavailable("down"))
    await world.elapse(100)
    before = len(world.types("a"))
    await world.hermes().run(until_idle=True)
    assert world.types("a")[before:] == [
        "order_received",
        "order_claimed",
        "order_execution_resumed",
        "order_given_back",
    ]


async def test_a_trail_that_fails_once_loses_no_line(world: World) -> None:
    """Lines that could not be written come with the next one."""
    world.config = evolve(world.config, retry=RetryPolicy(max_attempts=1))
    world.faults.fail("audit.record", FULL, times=2)  # the daemon's start, then the opening
    await world.submit(make_order(id="a"))
    await world.hermes().run(until_idle=True)
    assert world.types("a") == ["order_received", "order_claimed", "order_dead_lettered"]


async def test_a_second_receipt_says_so(world: World) -> None:
    """Given back by a stop before anything was sent: the next receipt is marked."""
    await world.submit(make_order(id="a"))
    dispatcher = world.hermes()._ports.dispatcher
    gate = Gate(dispatcher.prepare)
    async with at_work(world, hermes_with(world, dispatcher=Instead(dispatcher, prepare=gate))):
        await gate.reached.wait()
    await world.hermes().run(until_idle=True)
    receipts = [e for e in world.events("a") if e.event_type == "order_received"]
    assert [bool(e.data.get("is_repeated")) for e in receipts] == [False, True]


async def test_an_agent_that_cannot_be_asked_is_not_run_without_end(world: World) -> None:
    """Restarts count: at most `max_attempts` runs, though a stop gives back uncounted."""
    world.can_be_asked = False
    world.agent.script("p", Script((Hang(),)))
    await world.submit(make_order(id="a", payload="p"))
    for _ in range(6):
        async with world.running():
            await world.elapse(1)
    assert world.agent.prompts == ["p"] * 3
    assert (await world.view("a")).state is OrderState.DEAD


async def test_notes_survive_a_restart(world: World) -> None:
    """That a session was replaced stands in the answer, whoever writes it."""
    order = make_order(id="a", payload="p", session="chat")
    await world.sessions.put(
        Session(conversation=ConversationKey("chat"), session_id="ses_gone", dispatcher="memory")
    )
    world.agent.script("p", Script((Hang(), TextAppended(text="ok", part="1"))))
    await world.submit(order)
    async with world.running():
        await world.elapse(1)
    world.agent.release()
    await world.hermes().run(until_idle=True)
    assert world.answer("a").startswith(answers.SESSION_REPLACED)


@pytest.mark.parametrize("script", [Script((Hang(),)), Script((BreakOff(),))], ids=["ran", "broke"])
async def test_a_session_that_went_with_its_message(world: World, script: Script) -> None:
    """Nobody can tell any more how far the order came: sent anew, and the answer says so."""
    world.agent.script("p", script, Script.saying("anew"))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.elapse(1)
    world.agent.sessions.clear()
    world.agent.messages.clear()
    await world.elapse(100)
    await world.hermes().run(until_idle=True)
    assert answers.MAY_HAVE_RUN_TWICE in world.answer("a")
    assert "anew" in world.answer("a")


async def test_killed_workers_make_no_wait_longer(world: World) -> None:
    """The wait grows with what failed; the limit still counts every worker that was killed."""
    retry = RetryPolicy(max_attempts=7, jitter=0.0, first=timedelta(seconds=2), factor=4.0)
    world.config = evolve(world.config, retry=retry)
    await world.submit(make_order(id="a"))
    for _ in range(4):
        world.faults.fail("dispatcher.prepare", Crash())
        assert await world.run_until_killed()
    waits = []
    for _ in range(2):
        world.faults.fail("dispatcher.prepare", DispatcherUnavailable("it restarts"))
        await world.hermes().run(until_idle=True)
        waits.append(world.events("a")[-1].data["delay_s"])
        await world.elapse(60)
    assert waits == [2.0, 8.0]
    world.faults.fail("dispatcher.prepare", DispatcherUnavailable("it restarts"))
    await world.hermes().run(until_idle=True)
    view = await world.view("a")
    assert (view.state, view.attempts) == (OrderState.DEAD, 7)


async def test_a_wait_that_the_provider_asked_for_is_kept(world: World) -> None:
    """Also when the run was only watched by this attempt."""
    slow = BreakOff(retry_after=timedelta(seconds=60))
    world.agent.script("p", Script((Hang(), slow)), Script.saying("done"))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.elapse(1)
    async with world.running():
        world.agent.release()
        await world.elapse(30)
        assert len(world.agent.prompts) == 1
        await world.elapse(60)
        assert world.answer("a") == "done"


# ---- incidents


def incident(number: int) -> Incident:
    """Something that people should hear of."""
    return Incident(
        kind="order_quarantined",
        message="It cannot be read.",
        key=f"file-{number}",
        severity=AuditSeverity.ERROR,
        is_for_people=True,
    )


@pytest.mark.parametrize("ticks", [0, 1, 2, 3, 5, 8])
async def test_incidents_of_the_last_moment_are_kept(world: World, ticks: int) -> None:
    """Reported while Hermes is about to end: written down before it does."""
    queue = world.hermes()._ports.queue
    reported: list[Incident] = []

    async def claim(**options: Any) -> Any:
        if not reported:
            for number in range(3):
                reported.append(incident(number))
                hermes.report(reported[-1])
            await settle(ticks)
        return await queue.claim(**options)

    hermes = hermes_with(world, queue=Instead(queue, claim=claim))
    await hermes.run(until_idle=True)
    assert len(world.letters.waiting) == 3


async def test_an_incident_waits_for_the_disk(world: World) -> None:
    """What cannot be written now is written later."""
    world.faults.fail("outbox.post", FULL)
    async with world.running() as hermes:
        hermes.report(incident(1))
        await world.elapse(60)
        assert len(world.letters.waiting) == 1


async def test_who_reported_hears_that_it_is_on_record(world: World) -> None:
    """Not before: what is not told yet has to be reported again after a crash."""
    world.faults.fail("outbox.post", FULL)
    told: list[int] = []
    async with world.running() as hermes:
        hermes.report(evolve(incident(1), on_told=lambda: told.append(len(world.letters.waiting))))
        await world.elapse(1)
        assert told == []
        await world.elapse(60)
    assert told == [1]


async def test_heartbeat_says_whether_the_agent_answers(world: World) -> None:
    """Nobody has to ask the agent to know how it is; one that was never needed is no trouble."""

    async def is_answering() -> bool | None:
        await world.elapse(10)
        heartbeat = await world.presence.read()
        assert heartbeat is not None
        return heartbeat.agent_answers

    async with world.running():
        assert await is_answering() is None
        await world.submit(make_order(id="a"))
        await world.until(lambda: world.ended("a"))
        assert await is_answering() is True
        world.agent.problem = "it hangs"
        assert await is_answering() is False
        world.agent.problem = None
        assert await is_answering() is True
