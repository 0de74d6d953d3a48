"""Hermes with everything around it in memory: what becomes of an order."""

from __future__ import annotations

from datetime import timedelta

import anyio
import pytest
from attrs import evolve
from structlog.testing import capture_logs

from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import AnswerGiven
from galaxy_core.domain.order import Order
from galaxy_core.domain.policy import RecoveryPolicy
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.run import (
    PermissionChoice,
    PermissionReply,
    PermissionRequested,
    QuestionReply,
    TextAppended,
)
from galaxy_core.domain.session import Session
from galaxy_core.domain.state import OrderState
from galaxy_core.services.hermes import answers
from galaxy_core.testing.factories import at, make_cancel, make_order
from galaxy_core.testing.memory import BreakOff, Hang, Script
from tests.unit.galaxy_core.services.world import World

pytestmark = pytest.mark.anyio


@pytest.fixture
def world() -> World:
    """A machine with nothing to do."""
    return World()


async def test_an_order_comes_back_answered(world: World) -> None:
    """One order: one prompt, one response, one letter, an archive entry, an audit trail."""
    order = make_order(id="a", payload="Echo hello", chat_id="42", channel="telegram")
    await world.submit(order)

    await world.hermes().run(until_idle=True)

    assert world.agent.prompts == ["Echo hello"]
    assert world.answer("a") == "Echo: Echo hello"
    letter = world.letters.waiting["hermes-a"]
    assert (letter.chat_id, letter.message) == ("42", "Echo: Echo hello")
    view = await world.view("a")
    assert view.state is OrderState.SUCCEEDED
    assert view.ending is not None
    assert view.ending.acknowledged_by == "Hermes (test)"
    assert view.ending.session_id is not None
    assert world.types("a") == [
        "order_received",
        "order_claimed",
        "order_execution_started",
        "order_executed_success",
    ]
    assert all(event.machine == "test" for event in world.events())


async def test_the_ticket_is_written_before_the_agent_hears(world: World) -> None:
    """Ticket and trail stand on disk before the message is sent."""
    await world.submit(make_order(id="a"))
    await world.hermes().run(until_idle=True)
    writes = world.faults.writes
    assert writes.index("journal.write_ticket") < writes.index("dispatcher.run")
    assert writes.index("journal.write_settlement") < writes.index("responses.commit")
    assert writes.index("responses.commit") < writes.index("queue.ack")
    assert writes.index("outbox.post") < writes.index("queue.ack")


async def test_three_orders_of_one_conversation_are_answered_in_order(world: World) -> None:
    """Three at once in one conversation: three answers, one session, order of arrival."""
    orders = [make_order(id=f"o{n}", payload=f"say {n}", session="chat") for n in range(3)]
    await world.submit(*orders)
    await world.hermes().run(until_idle=True)
    assert world.agent.prompts == ["say 0", "say 1", "say 2"]
    assert [world.answer(f"o{n}") for n in range(3)] == [f"Echo: say {n}" for n in range(3)]
    assert len({m.session_id for m in world.agent.messages.values()}) == 1


async def test_conversations_run_side_by_side_up_to_the_limit(world: World) -> None:
    """Different conversations run at the same time, never more than there are workers."""
    world.agent.default = Script((Hang(), TextAppended(text="ok", part="1")))
    await world.submit(*(make_order(id=f"o{n}") for n in range(5)))
    async with world.running(workers=3):
        await world.until(lambda: len(world.agent.running) == 3)
        await world.elapse(1)
        assert len(world.agent.running) == 3
        world.agent.release()
        await world.until(lambda: all(world.ended(f"o{n}") for n in range(5)))


@pytest.mark.parametrize(
    "order, said",
    [
        (make_order(id="a", payload="   "), "The order is empty"),
        (make_order(id="a", payload="x" * 10_001), "10,001 characters"),
        (make_order(id="a", refusals=("`payload` must be text.",)), "must be text"),
        (make_order(id="a", expires_at=at(-1)), "was not begun by then"),
        (make_order(id="a", target="elsewhere"), "is meant for the machine 'elsewhere'"),
    ],
    ids=["empty", "too long", "refused by the wire", "expired", "wrong machine"],
)
async def test_what_must_not_run_is_answered_and_not_run(
    world: World, order: Order, said: str
) -> None:
    """A refused order ends with a response that says why; the agent never hears of it."""
    await world.submit(order)
    await world.hermes(names=frozenset({"test"})).run(until_idle=True)
    assert world.agent.prompts == []
    assert said in world.answer("a")
    assert (await world.view("a")).state in {OrderState.FAILED, OrderState.EXPIRED}
    assert "hermes-a" in world.letters.waiting


async def test_an_order_waits_for_its_predecessor_and_fails_with_it(world: World) -> None:
    """`after`: begun only after success; a failed predecessor is named in the answer."""
    world.agent.script("bad", Script.failing("no such file"))
    await world.submit(
        make_order(id="second", payload="go", after=(OrderId("first"),)),
        make_order(id="first", payload="bad"),
    )
    await world.hermes().run(until_idle=True)
    assert world.agent.prompts == ["bad"]
    assert "wait for the order 'first'" in world.answer("second")


async def test_a_failed_run_is_answered_with_what_there_is(world: World) -> None:
    """A failure ends in a response that has both the reason and the text so far."""
    world.agent.script(
        "p", Script((TextAppended(text="half", part="1"), *Script.failing("content filter").steps))
    )
    await world.submit(make_order(id="a", payload="p"))
    await world.hermes().run(until_idle=True)
    assert "**The order failed.** content filter" in world.answer("a")
    assert "half" in world.answer("a")
    assert world.types("a")[-1] == "order_executed_failure"


async def test_an_unknown_agent_is_a_clear_failure(world: World) -> None:
    """A dispatcher that rejects the order ends it: no fallback, no retry."""
    await world.submit(make_order(id="a", agent="nobody"))
    hermes = world.hermes()
    hermes._ports.dispatcher.agents = frozenset({"build"})  # type: ignore[attr-defined]
    await hermes.run(until_idle=True)
    assert (await world.view("a")).state is OrderState.FAILED
    assert "nobody" in world.answer("a")
    assert "order_received" in world.types("a")


async def test_an_agent_that_is_down_is_tried_again_and_then_given_up(world: World) -> None:
    """Unreachable: given back with growing delays; after the last attempt dead and answered."""
    world.agent.go_down("opencode is not running")
    await world.submit(make_order(id="a"))
    async with world.running():
        await world.elapse(1)
        assert not world.ended("a")
        await world.elapse(60)
        assert world.ended("a")
    view = await world.view("a")
    assert view.state is OrderState.DEAD
    assert view.ending is not None
    assert view.ending.attempts == 3
    assert "opencode is not running" in world.answer("a")
    assert world.types("a").count("order_given_back") == 2
    assert world.types("a")[-1] == "order_dead_lettered"


async def test_an_agent_that_comes_back_is_used(world: World) -> None:
    """A passing outage costs time, not the order."""
    world.agent.go_down()
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.elapse(1)
        world.agent.come_up()
        await world.elapse(10)
        assert world.ended("a")
    assert world.agent.prompts == ["p"]
    assert (await world.view("a")).state is OrderState.SUCCEEDED


async def test_a_run_that_breaks_off_is_continued_not_repeated(world: World) -> None:
    """The prompt reaches the model once; after a break the agent is told to go on."""
    world.agent.script("p", Script((BreakOff(),)), Script.saying("done after all"))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.elapse(30)
    assert world.agent.prompts[0] == "p"
    assert len(world.agent.prompts) == 2
    assert "go on from there" in world.agent.prompts[1]
    assert world.answer("a") == "done after all"
    assert len({m.session_id for m in world.agent.messages.values()}) == 1


async def test_recovery_by_failing_keeps_what_there_is(world: World) -> None:
    """Policy `fail`: no second message; the answer has the text so far."""
    world.agent.script("p", Script((TextAppended(text="half", part="1"), BreakOff())))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running(recovery=RecoveryPolicy.FAIL):
        await world.elapse(30)
    assert world.agent.prompts == ["p"]
    assert "half" in world.answer("a")
    assert (await world.view("a")).state is OrderState.FAILED


@pytest.mark.parametrize("label, prompts", [("Go on", 2), ("Stop", 1)])
async def test_recovery_by_asking_does_what_the_person_says(
    world: World, label: str, prompts: int
) -> None:
    """Policy `ask`: a question of Hermes' own decides whether the agent goes on."""
    world.agent.script("p", Script((BreakOff(),)), Script.saying("done"))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running(recovery=RecoveryPolicy.ASK):
        await world.elapse(10)
        progress = await world.progress.latest(OrderId("a"))
        assert progress is not None
        request = progress.waiting_for[0]
        world.box.put(
            AnswerGiven(
                order_id=OrderId("a"),
                request_id=request.request_id,
                answer=QuestionReply(answers=((label,),)),
                at=world.clock.now(),
            )
        )
        await world.elapse(10)
        assert world.ended("a")
    assert len(world.agent.prompts) == prompts
    assert not world.box.commands


async def test_a_permission_is_answered_by_a_person(world: World) -> None:
    """The agent's request reaches the feed and the trail; the answer reaches the agent."""
    request = PermissionRequested(request_id=RequestId("per_1"), permission="bash")
    world.agent.script("p", Script((request, TextAppended(text="allowed", part="1"))))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.elapse(1)
        progress = await world.progress.latest(OrderId("a"))
        assert progress is not None
        assert progress.waiting_for == (request,)
        reply = PermissionReply(choice=PermissionChoice.ONCE)
        world.box.put(
            AnswerGiven(
                order_id=OrderId("a"),
                request_id=RequestId("per_1"),
                answer=reply,
                at=world.clock.now(),
                by="owner",
            )
        )
        await world.elapse(1)
        assert world.ended("a")
    assert world.answer("a") == "allowed"
    assert [t for t in world.types("a") if "re" in t and "quest" in t] == [
        "permission_requested",
        "request_resolved",
    ]
    assert not world.box.commands


async def test_a_request_that_nobody_answers_is_rejected_in_time(world: World) -> None:
    """After the request timeout the agent is told that nobody answered, and goes on."""
    request = PermissionRequested(request_id=RequestId("per_1"), permission="bash")
    world.agent.script("p", Script((request, TextAppended(text="went on", part="1"))))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running(request_timeout=timedelta(minutes=10)):
        await world.elapse(9 * 60)
        assert not world.ended("a")
        await world.elapse(2 * 60)
        assert world.ended("a")
    answer = next(iter(world.agent.messages.values())).answers[RequestId("per_1")]
    assert isinstance(answer, PermissionReply)
    assert answer.choice is PermissionChoice.REJECT
    assert answer.message


async def test_a_running_order_is_cancelled(world: World) -> None:
    """Cancel reaches the agent, and the order ends as cancelled with an answer."""
    world.agent.script("p", Script((TextAppended(text="so far", part="1"), Hang())))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.until(lambda: bool(world.agent.running))
        world.box.put(make_cancel("a", by="owner"))
        await world.elapse(1)
        assert world.ended("a")
    assert (await world.view("a")).state is OrderState.CANCELLED
    assert "cancelled by owner" in world.answer("a")
    assert "so far" in world.answer("a")
    assert not world.agent.running
    assert not world.box.commands


async def test_a_waiting_order_is_cancelled_without_running(world: World) -> None:
    """An order that waits ends at once, though its conversation is busy."""
    world.agent.script("long", Script((Hang(),)))
    await world.submit(
        make_order(id="a", payload="long", session="s"), make_order(id="b", session="s")
    )
    async with world.running():
        await world.until(lambda: bool(world.agent.running))
        world.box.put(make_cancel("b"))
        await world.elapse(1)
        assert world.ended("b")
        assert not world.ended("a")
        world.agent.release()
        await world.until(lambda: world.ended("a"))
    assert world.agent.prompts == ["long"]
    assert (await world.view("b")).state is OrderState.CANCELLED


async def test_a_cancelled_run_that_does_not_end_is_answered_all_the_same(world: World) -> None:
    """When the agent does not end what it was told to stop, the person is not left waiting."""
    world.agent.script("p", Script((Hang(),)))
    await world.submit(make_order(id="a", payload="p"))
    hermes = world.hermes()
    dispatcher = hermes._ports.dispatcher

    async def deaf(ticket: object) -> None:
        """A cancel that the agent takes and does not act on."""

    dispatcher.cancel = deaf  # type: ignore[method-assign]
    async with anyio.create_task_group() as tasks:
        tasks.start_soon(hermes.run)
        await world.until(lambda: bool(world.agent.running))
        world.box.put(make_cancel("a"))
        await world.elapse(31)
        assert world.ended("a")
        hermes.stop()
        hermes.stop()


async def test_a_lost_session_is_replaced_and_the_reply_says_so(world: World) -> None:
    """A session that the agent forgot: a new one, remembered, and a note in the answer."""
    await world.submit(make_order(id="a", session="s"))
    await world.hermes().run(until_idle=True)
    for session_id in list(world.agent.sessions):
        world.agent.forget_session(session_id)
    await world.submit(make_order(id="b", payload="again", session="s"))
    await world.hermes().run(until_idle=True)
    assert world.answer("b").startswith(answers.SESSION_REPLACED)
    assert "session_replaced" in world.types("b")
    session = await world.sessions.get(make_order(session="s").conversation("test"))
    assert session is not None
    assert session.session_id in world.agent.sessions


async def test_choices_of_conversation_and_order_reach_the_agent(world: World) -> None:
    """The order's agent beats the conversation's; the model comes from where it is set."""
    order = make_order(id="a", session="s", agent="plan")
    await world.sessions.put(
        Session(conversation=order.conversation("test"), agent="build", model="p/m")
    )
    await world.submit(order)
    await world.hermes().run(until_idle=True)
    request = next(iter(world.agent.messages.values())).request
    assert (request.agent, request.model) == ("plan", "p/m")
    assert request.system is None
    session = await world.sessions.get(order.conversation("test"))
    assert session is not None
    assert (session.agent, session.model) == ("build", "p/m")


@pytest.mark.parametrize("seconds, is_dated", [(59, False), (61, True)])
async def test_a_session_is_dated_anew_once_a_minute(
    world: World, *, seconds: float, is_dated: bool
) -> None:
    """Its date orders a list for people, and is not worth two syncs at each order."""
    conversation = make_order(id="a", session="s").conversation("test")
    await world.submit(make_order(id="a", session="s"))
    await world.hermes().run(until_idle=True)
    before = await world.sessions.get(conversation)
    await world.elapse(seconds)
    await world.submit(make_order(id="b", session="s"))
    await world.hermes().run(until_idle=True)
    after = await world.sessions.get(conversation)
    assert before is not None
    assert after is not None
    assert after.session_id == before.session_id
    assert (after.updated_at != before.updated_at) is is_dated


async def test_a_full_disk_delays_the_answer_and_loses_nothing(world: World) -> None:
    """Storage that refuses: the order stays held and is answered when there is space again."""
    full = StorageUnavailable("no space left")
    world.faults.fail("responses.commit", full, times=4)
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.elapse(60)
        assert world.ended("a")
    assert world.agent.prompts == ["p"]
    assert world.faults.writes.count("responses.commit") == 5


async def test_nothing_is_sent_when_the_ticket_cannot_be_written(world: World) -> None:
    """No ticket on disk, no message to the agent: the order is given back."""
    world.faults.fail("journal.write_ticket", StorageUnavailable("no space left"), times=1)
    await world.submit(make_order(id="a", payload="p"))
    async with world.running():
        await world.elapse(0.5)
        assert world.agent.prompts == []
        await world.elapse(10)
        assert world.ended("a")
    assert world.agent.prompts == ["p"]


async def test_a_bug_costs_one_attempt_not_the_daemon(world: World) -> None:
    """An unexpected error is an attempt that failed; the next order runs."""
    world.faults.fail("dispatcher.prepare", ZeroDivisionError("bug"), times=3)
    await world.submit(make_order(id="a"))
    async with world.running():
        await world.elapse(60)
        await world.submit(make_order(id="b"))
        await world.elapse(5)
        assert world.ended("b")
    assert (await world.view("a")).state is OrderState.DEAD
    assert "ZeroDivisionError" in world.answer("a")


async def test_a_worker_that_lost_its_lease_writes_nothing(world: World) -> None:
    """Frozen and taken over: the thawed worker neither answers nor disturbs."""
    world.agent.script("p", Script((Hang(), TextAppended(text="ok", part="1"))))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running() as first:
        old = world.queue
        await world.until(lambda: bool(world.agent.running))
        old.freeze()
        await world.elapse(120)
        async with world.running():
            await world.elapse(5)
            world.agent.release()
            await world.until(lambda: world.ended("a"))
            old.thaw()
            await world.elapse(10)
        assert first._workers == {}
    assert world.agent.prompts == ["p"]
    assert world.types("a").count("order_executed_success") == 1
    assert len(world.letters.waiting) == 1


async def test_a_stop_lets_running_orders_finish_within_the_budget(world: World) -> None:
    """First stop: nothing is claimed any more, what runs may finish."""
    world.agent.script("p", Script((Hang(), TextAppended(text="ok", part="1"))))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running() as hermes:
        await world.until(lambda: bool(world.agent.running))
        hermes.stop()
        await world.submit(make_order(id="late"))
        await world.elapse(5)
        world.agent.release()
        await world.until(lambda: world.ended("a"))
        await world.elapse(1)
    assert not world.ended("late")
    heartbeat = await world.presence.read()
    assert heartbeat is not None
    assert heartbeat.status == "stopped"


async def test_a_stop_gives_back_what_does_not_finish(world: World) -> None:
    """After the budget the order goes back uncounted; the next Hermes fetches its answer."""
    world.agent.script("p", Script((Hang(), TextAppended(text="ok", part="1"))))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running(drain_budget=timedelta(seconds=20)) as hermes:
        await world.until(lambda: bool(world.agent.running))
        hermes.stop()
        await world.elapse(21)
    assert (await world.view("a")).state is OrderState.PENDING
    assert (await world.view("a")).attempts == 0
    world.agent.release()
    world.agent.finish_unwatched()
    await world.hermes().run(until_idle=True)
    assert world.answer("a") == "ok"
    assert world.agent.prompts == ["p"]


async def test_an_agent_that_cannot_be_asked_says_it_may_have_run_twice(world: World) -> None:
    """A bare command line: attempts are bounded, and the answer is honest."""
    world = World(can_be_asked=False)
    world.agent.script("p", Script((Hang(),)), Script.saying("second time"))
    await world.submit(make_order(id="a", payload="p"))
    async with world.running() as hermes:
        await world.until(lambda: bool(world.agent.running))
        hermes.stop()
        hermes.stop()
    await world.hermes().run(until_idle=True)
    assert world.agent.prompts == ["p", "p"]
    assert answers.MAY_HAVE_RUN_TWICE in world.answer("a")
    view = await world.view("a")
    assert view.ending is not None
    assert view.ending.may_have_run_twice
    assert view.ending.outcome is Outcome.SUCCEEDED


async def test_a_demo_says_so_in_every_answer(world: World) -> None:
    """An answer that no model gave is labelled, in the text and in the archive."""
    await world.submit(make_order(id="a"))
    await world.hermes(is_demo=True).run(until_idle=True)
    assert world.answer("a").startswith(answers.DEMO)
    view = await world.view("a")
    assert view.ending is not None
    assert view.ending.is_demo


async def test_the_system_prompt_tells_who_asked_only_when_set(world: World) -> None:
    """Context goes through the system prompt, by setting; the payload stays as it is."""
    world.config = evolve(world.config, tells_who_asked=True)
    await world.submit(make_order(id="a", payload="p", sender="Ada", channel="telegram"))
    await world.hermes().run(until_idle=True)
    request = next(iter(world.agent.messages.values())).request
    assert request.prompt == "p"
    assert request.system is not None
    assert "Ada" in request.system


async def test_agent_is_ready_before_the_first_order(world: World) -> None:
    """A service asks its agent at the start, so that no person waits until it is up."""
    world.agent.problem = "not there yet"
    with capture_logs() as lines:
        async with world.running(warms_up=True):
            await world.until(lambda: any(line["event"] == "agent.doubtful" for line in lines))
