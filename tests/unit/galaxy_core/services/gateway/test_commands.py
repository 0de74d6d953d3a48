"""Each command does what it says, for those who may, and looks at nothing that is not theirs."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.domain.operations import OrderView
from galaxy_core.domain.people import Role
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import FINAL, OrderState
from galaxy_core.services.gateway.commands import COMMANDS, command_of, menu_for
from galaxy_core.services.gateway.pairing import PairingDesk
from galaxy_core.services.gateway.roster import Roster
from galaxy_core.services.trail import Trail
from galaxy_core.testing.factories import make_ending, make_event, make_order
from galaxy_core.testing.memory import (
    MemoryAuditSink,
    MemoryNoteStore,
    MemoryOrderCatalogue,
    MemoryOrderQueue,
    MemoryOutbox,
)
from galaxy_core.testing.memory.agent import Hang, Script
from tests.unit.galaxy_core.services.gateway.world import (
    OPERATOR,
    OWNER,
    STRANGER,
    VIEWER,
    GatewayWorld,
)

pytestmark = pytest.mark.anyio


@pytest.fixture
def world(tmp_path: Path) -> GatewayWorld:
    """Give two machines, each with its Hermes, and a gateway."""
    return GatewayWorld(tmp_path, names=("lab", "attic"))


def _shows(world: GatewayWorld, count: int) -> bool:
    return len(world.texts()) == count


@pytest.mark.parametrize(
    "text, found",
    [
        ("/status", ("status", "")),
        ("/Status all", ("status", "all")),
        ("/order do\nit", ("order", "do\nit")),
        ("/order\ndo it", ("order", "do it")),
        ("/", None),
        ("/ status", None),
        ("/etc/hosts is odd", None),
        ("status", None),
        ("", None),
    ],
)
def test_command_is_told_from_text(text: str, found: tuple[str, str] | None) -> None:
    """A slash and a word; a path is none."""
    assert command_of(text) == found


def test_menus_fit_what_channels_take() -> None:
    """The limits of Telegram's setMyCommands, and each role sees what it may use."""
    for role in (None, *Role):
        for entry in menu_for(role):
            assert 1 <= len(entry.command) <= 32
            assert 1 <= len(entry.description) <= 256
    assert len(menu_for(Role.OWNER)) > len(menu_for(Role.OPERATOR)) > len(menu_for(Role.VIEWER))
    assert [entry.command for entry in menu_for(None)] == ["start"]


@pytest.mark.parametrize("command", [c.name for c in COMMANDS])
async def test_every_command_answers_at_once(world: GatewayWorld, command: str) -> None:
    """No command is silent, also while an agent works and with nothing to show."""
    world.lab.agent.script("work", Script((Hang(),)))
    async with world.running():
        world.say("work", message_id="1")
        await world.until(lambda: world.lab.agent.prompts == ["work"])
        before, started = len(world.service.sent), world.clock.monotonic()
        world.say(f"/{command}", message_id="2")
        await world.until(lambda: len(world.service.sent) > before)
        assert world.clock.monotonic() - started < 1


async def test_unknown_command_says_so(world: GatewayWorld) -> None:
    """A typing error is no order."""
    async with world.running():
        world.say("/statsu")
        await world.until(lambda: any("/help" in text for text in world.texts()))
    assert world.lab.orders.all() == []


async def test_order_goes_to_the_machine_named(world: GatewayWorld) -> None:
    """`/order attic TEXT` runs there, `/order TEXT` here."""
    async with world.running():
        world.say("/order attic look around", message_id="1")
        world.say("/order look here", message_id="2")
        await world.until(lambda: len(world.answers()) == 2)
    assert world.machines["attic"].agent.prompts == ["look around"]
    assert world.lab.agent.prompts == ["look here"]


async def test_order_for_all_runs_on_each(world: GatewayWorld) -> None:
    """`all` is every machine that is served here, with an order of its own each."""
    async with world.running():
        world.say("/order all update")
        await world.until(lambda: len(world.answers()) == 2)
    assert [m.agent.prompts for m in world.machines.values()] == [["update"], ["update"]]


async def test_machine_that_is_not_served_is_refused(world: GatewayWorld) -> None:
    """An order for a machine out of reach is told, not run somewhere else."""
    async with world.running(other_machines=frozenset({"moon"})):
        world.say("/order moon dig", message_id="1")
        world.say("/status moon", message_id="2")
        await world.until(lambda: sum("moon" in text for text in world.texts()) == 2)
    assert world.lab.orders.all() == []


async def test_conversation_stays_with_its_machine(world: GatewayWorld) -> None:
    """A choice lasts: for plain text too, and over a restart."""
    async with world.running():
        world.say("/machine attic", message_id="1")
        await world.until(lambda: any("attic" in text for text in world.texts()))
    async with world.running():
        world.say("do it", message_id="2")
        await world.until(lambda: len(world.answers()) == 1)
    assert world.machines["attic"].agent.prompts == ["do it"]


async def test_machine_is_chosen_by_a_button(world: GatewayWorld) -> None:
    """Nobody has to type a machine's name."""
    async with world.running():
        world.say("/machine", message_id="1")
        await world.until(lambda: any(b.text == "attic" for b in world.buttons(OWNER)))
        world.press("attic")
        await world.until(lambda: any("attic._" in text for text in world.texts()))
        world.say("do it", message_id="2")
        await world.until(lambda: len(world.answers()) == 1)
    assert world.machines["attic"].agent.prompts == ["do it"]


async def test_cancel_stops_what_runs_here(world: GatewayWorld) -> None:
    """Without an id it is the conversation's own order."""
    world.lab.agent.script("work", Script((Hang(),)))
    async with world.running():
        world.say("work", by=OPERATOR, message_id="1")
        await world.until(lambda: world.lab.agent.prompts == ["work"])
        world.say("/cancel", by=OPERATOR, message_id="2")
        await world.until(lambda: len(world.answers(OPERATOR)) == 1)
    (entry,) = world.lab.orders.all()
    assert entry.ending is not None
    assert entry.ending.outcome.value == "cancelled"


async def test_operator_cannot_touch_other_peoples_orders(world: GatewayWorld) -> None:
    """Cancel and retry are for one's own orders, or an owner's to do."""
    world.lab.agent.script("work", Script((Hang(),)))
    async with world.running():
        world.say("work", by=OWNER, message_id="1")
        await world.until(lambda: world.lab.agent.prompts == ["work"])
        order_id = world.lab.orders.all()[0].order.id
        world.say(f"/cancel {order_id}", by=OPERATOR, message_id="2")
        world.say("/cancel", by=OPERATOR, message_id="3")
        world.say(f"/history {order_id}", by=OPERATOR, message_id="4")
        await world.until(lambda: len(world.texts(OPERATOR)) == 3)
        assert world.lab.orders.all()[0].ending is None


async def test_retry_runs_the_last_failure_again(world: GatewayWorld) -> None:
    """What failed gets another chance, with an answer of its own."""
    world.lab.agent.script("work", Script.failing("no"), Script.saying("yes"))
    async with world.running():
        world.say("work", message_id="1")
        await world.until(lambda: len(world.answers()) == 1)
        world.say("/retry", message_id="2")
        await world.until(lambda: len(world.answers()) == 2)
    assert world.answers()[-1] == "yes"


async def test_an_order_that_was_given_up_is_dismissed(world: GatewayWorld) -> None:
    """By the owner, once and on record; one that was not given up is none to decide on."""
    worker = MemoryOrderQueue(world.lab.orders, "worker")
    for number, outcome in enumerate((Outcome.DEAD, Outcome.FAILED)):
        await worker.enqueue(make_order(id=f"order-{number}"))
        delivery = await worker.claim()
        assert delivery is not None
        await worker.ack(delivery, make_ending(outcome=outcome))
    async with world.running():
        world.say("/dismiss order-0", by=OPERATOR, message_id="1")
        for message_id, word in (("2", "order-0"), ("3", "order-0"), ("4", "order-1")):
            world.say(f"/dismiss {word}", by=OWNER, message_id=message_id)
        await world.until(lambda: len(world.texts(OWNER)) == 3)
    first, second, third = world.texts(OWNER)
    assert "no decision any more" in first
    assert "decided on before" in second
    assert "was not given up" in third
    (line,) = [e for e in world.lab.events() if e.event_type == "order_dismissed"]
    assert (line.order_id, line.data["by"]) == ("order-0", f"memory:{OWNER}")


async def test_dismiss_without_an_id_means_one_that_waits_for_a_decision(
    world: GatewayWorld,
) -> None:
    """Said again and again it goes through all of them, and then says that there is none."""
    worker = MemoryOrderQueue(world.lab.orders, "worker")
    for number in range(2):
        order = make_order(id=f"order-{number}", channel="memory", chat_id=OWNER, session=None)
        await worker.enqueue(order)
        delivery = await worker.claim()
        assert delivery is not None
        await worker.ack(delivery, make_ending(outcome=Outcome.DEAD))
    async with world.running():
        for number in range(3):
            world.say("/dismiss", by=OWNER, message_id=str(number))
        await world.until(lambda: len(world.texts(OWNER)) == 3)
    assert [text.split("`")[1] for text in world.texts(OWNER)[:2]] == ["order-1", "order-0"]
    assert "Nothing of that kind" in world.texts(OWNER)[2]


async def test_what_is_retried_is_shown_at_once(world: GatewayWorld) -> None:
    """Its status and its questions do not wait for the next look at all orders."""
    world.lab.agent.script("work", Script.failing("no"), Script((Hang(),)))
    async with world.running():
        world.say("work", message_id="1")
        await world.until(lambda: len(world.answers()) == 1)
        shown, began = len(world.service.cards), world.clock.monotonic()
        world.say("/retry", message_id="2")
        await world.until(lambda: len(world.service.cards) > shown)
        assert world.clock.monotonic() - began < 5


async def test_commands_look_at_no_old_orders(world: GatewayWorld) -> None:
    """However many orders have ended: a command reads the newest of them and counts none."""
    asked: list[object] = []

    class Watched(MemoryOrderCatalogue):
        async def list(
            self,
            *,
            states: frozenset[OrderState] | None = None,
            limit: int | None = 50,
            oldest_first: bool = False,
        ) -> Sequence[OrderView]:
            asked.append(limit is not None or not (states or FINAL) & FINAL)
            asked.append(states is None or states >= FINAL or not states & FINAL)
            return await super().list(states=states, limit=limit, oldest_first=oldest_first)

        async def count(
            self, *, states: frozenset[OrderState] | None = None
        ) -> dict[OrderState, int]:
            asked.append(not (states or FINAL) & FINAL)
            return await super().count(states=states)

    for machine in world.machines.values():
        machine.catalogue = Watched(machine.orders)
    async with world.running():
        for number, command in enumerate(COMMANDS):
            before = len(world.service.sent)
            world.say(f"/{command.name}", message_id=str(number))
            await world.until(lambda before=before: len(world.service.sent) > before)  # type: ignore[misc]
    assert asked
    assert all(asked)


async def test_alerts_show_every_trail(world: GatewayWorld) -> None:
    """What the gateway noticed stands beside what the machines did, the newest first."""
    world.lab.lines.add(
        make_event(
            event_type="agent_lost",
            severity=AuditSeverity.ERROR,
            timestamp=world.clock.now(),
            data={"text": "It hangs"},
        )
    )
    async with world.running():
        await world.clock.elapse(timedelta(minutes=1))
        world.say("do it", by=STRANGER, message_id="1")
        await world.until(lambda: "message_refused" in world.types())
        world.say("/alerts", message_id="2")
        await world.until(lambda: bool(world.texts()))
    refused, lost = world.texts()[-1].splitlines()
    assert "message refused" in refused
    assert "agent lost" in lost
    assert "It hangs" in lost


async def test_new_begins_another_session(world: GatewayWorld) -> None:
    """After /new the agent knows nothing of what was said before."""
    async with world.running():
        for number, text in enumerate(("one", "/new", "two")):
            world.say(text, message_id=str(number))
            await world.until(partial(_shows, world, number + 1))
    assert len(world.lab.agent.sessions) == 2


async def test_agent_and_model_are_the_conversations(world: GatewayWorld) -> None:
    """What is chosen in a chat is what its next order runs with."""
    async with world.running():
        world.say("/model a/b", message_id="1")
        await world.until(lambda: any("a/b" in text for text in world.texts()))
        world.say("work", message_id="2")
        await world.until(lambda: len(world.answers()) == 1)
    (message,) = world.lab.agent.messages.values()
    assert message.request.model == "a/b"


async def test_history_shows_an_answer_again(world: GatewayWorld) -> None:
    """An answer is never further away than its order's id."""
    world.lab.agent.script("work", Script.saying("forty-two"))
    async with world.running():
        world.say("work", message_id="1")
        await world.until(lambda: len(world.answers()) == 1)
        order_id = world.lab.orders.all()[0].order.id
        world.say("/history", message_id="2")
        await world.until(lambda: any(order_id in text for text in world.texts()))
        world.say(f"/history {order_id}", message_id="3")
        await world.until(lambda: sum("forty-two" in text for text in world.texts()) == 2)


async def test_status_tells_whether_hermes_lives(world: GatewayWorld) -> None:
    """A machine without a sign of life is shown as such."""
    async with world.running(with_hermes=False):
        world.say("/status all")
        await world.until(lambda: any("never run" in text for text in world.texts()))


# ---- letting people in


async def test_stranger_is_let_in_with_a_code(world: GatewayWorld) -> None:
    """A code is shown, an owner repeats it, and from then on the person is heard."""
    async with world.running():
        world.say("/start", by=STRANGER, sender_name="Sam", message_id="1")
        await world.until(lambda: bool(world.texts(STRANGER)))
        code = world.texts(STRANGER)[0].split("**")[1]
        world.say(f"/pair {code}", message_id="2")
        await world.until(lambda: len(world.texts(STRANGER)) == 2)
        world.say("hello", by=STRANGER, message_id="3")
        await world.until(lambda: len(world.answers(STRANGER)) == 1)
    assert "person_admitted" in world.types()


async def test_code_is_good_for_minutes(world: GatewayWorld) -> None:
    """An old code lets nobody in."""
    async with world.running():
        world.say("/start", by=STRANGER, message_id="1")
        await world.until(lambda: bool(world.texts(STRANGER)))
        code = world.texts(STRANGER)[0].split("**")[1]
        await world.clock.elapse(timedelta(minutes=11))
        world.say(f"/pair {code}", message_id="2")
        await world.until(lambda: any("too old" in text for text in world.texts()))
        world.say("hello", by=STRANGER, message_id="3")
        await world.until(lambda: not world.service.messages)
    assert world.lab.orders.all() == []


async def test_only_owners_let_people_in(world: GatewayWorld) -> None:
    """An operator cannot widen the circle."""
    async with world.running():
        world.say("/start", by=STRANGER, message_id="1")
        await world.until(lambda: bool(world.texts(STRANGER)))
        code = world.texts(STRANGER)[0].split("**")[1]
        world.say(f"/pair {code}", by=OPERATOR, message_id="2")
        world.say(f"/pair {code}", by=VIEWER, message_id="3")
        await world.until(lambda: bool(world.texts(OPERATOR)) and bool(world.texts(VIEWER)))
        world.say("hello", by=STRANGER, message_id="4")
        await world.until(lambda: not world.service.messages)
    assert world.lab.orders.all() == []


async def test_first_person_becomes_the_owner(tmp_path: Path) -> None:
    """A bot that nobody owns belongs to the first who is confirmed at the terminal."""
    world = GatewayWorld(tmp_path)
    async with world.running(people=()):
        world.say("/start", by=STRANGER, message_id="1")
        await world.until(lambda: bool(world.texts(STRANGER)))
        code = world.texts(STRANGER)[0].split("**")[1]
        notes = MemoryNoteStore(world.clock, world.notes)
        terminal = PairingDesk(
            notes,
            Roster(notes),
            MemoryOutbox(world.clock, world.letters),
            Trail(MemoryAuditSink(world.lines), world.clock, "home"),
            world.clock,
        )
        person = await terminal.confirm(code.lower(), by="terminal")
        assert person.role is Role.OWNER
        world.say("hello", by=STRANGER, message_id="2")
        await world.until(lambda: len(world.answers(STRANGER)) == 1)


async def test_everybody_sees_the_commands_they_may_use(world: GatewayWorld) -> None:
    """Menus are published at the start, and again for those who were let in."""
    async with world.running():
        await world.until(lambda: bool(world.service.menus))
        assert len(world.service.menus[OWNER]) > len(world.service.menus[VIEWER])
        assert [entry.command for entry in world.service.menu] == ["start"]


async def test_cancel_that_is_repeated_ends_one_order(world: GatewayWorld) -> None:
    """A crash after the order was cancelled does not cancel the next one, too."""
    async with world.running(with_hermes=False):
        for number in range(3):
            world.say(f"order {number}", message_id=str(number))
        await world.until(lambda: len(world.lab.orders.all()) == 3)
        world.faults.fail("channel.confirm", StorageUnavailable("away"), times=3)
        world.say("/cancel", message_id="9")
        for _ in range(6):
            await world.clock.elapse(timedelta(seconds=10))
        await world.until(lambda: not world.service.messages)
    ended = [entry for entry in world.lab.orders.all() if entry.ending is not None]
    assert len(ended) == 1
