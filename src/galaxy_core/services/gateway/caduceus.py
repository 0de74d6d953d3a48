"""Caduceus itself: hears channels, has what people say carried out, and brings answers back.

It may be killed anywhere: what was not confirmed comes again, what was decided is named after the
message, and what was to be said lies in the outbox.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, timedelta
from functools import partial

import anyio
import anyio.abc
import structlog
from attrs import define, evolve, field

from galaxy_core.domain.audit import AuditEvent, AuditSeverity, AuditType
from galaxy_core.domain.errors import (
    OrderNotFound,
    PermanentError,
    StorageUnavailable,
    TransientError,
)
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import ButtonPressed, Inbound, InboundMessage, Origin
from galaxy_core.domain.operations import Cancellation
from galaxy_core.domain.people import Deed, Person, Role, may
from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.domain.status import PressAnswered
from galaxy_core.ports.channel import Channel
from galaxy_core.services._concurrency import together
from galaxy_core.services.courier import Courier, CourierConfig, CourierPorts
from galaxy_core.services.gateway.asks import ASK, AskDesk
from galaxy_core.services.gateway.beating import Pacemaker
from galaxy_core.services.gateway.choices import Choices
from galaxy_core.services.gateway.commands import (
    CommandDesk,
    Tools,
    command_of,
    is_quick,
    menu_for,
)
from galaxy_core.services.gateway.commands.steering import MEANT, choosing
from galaxy_core.services.gateway.config import GatewayConfig, GatewayPorts
from galaxy_core.services.gateway.holding import HoldingDesk
from galaxy_core.services.gateway.intake import Doorkeeper, Intake
from galaxy_core.services.gateway.lanes import ChatLanes
from galaxy_core.services.gateway.pairing import PAIRING, PairingDesk, shown
from galaxy_core.services.gateway.refusing import REFUSED, RefusalDesk
from galaxy_core.services.gateway.replies import Replies
from galaxy_core.services.gateway.requests import PART, RequestDesk
from galaxy_core.services.gateway.roster import Roster, own_chat
from galaxy_core.services.gateway.submitting import Submitter
from galaxy_core.services.gateway.watching import CANCEL, OrderWatcher
from galaxy_core.services.proof import ACCEPTED
from galaxy_core.services.store_sign import StoreSign
from galaxy_core.services.trail import IncidentDesk, Trail

log = structlog.get_logger(__name__)

SWEEP_EVERY = timedelta(minutes=1)
PEOPLE_EVERY = timedelta(seconds=5)
"""How soon a person who was let in from a terminal gets letters and a menu; they are heard at
once."""
AGAIN = RetryPolicy(ceiling=timedelta(seconds=30))
"""Pauses between attempts at a message that cannot be taken now."""
MAX_ATTEMPTS = 10
"""At a message that something on the other side stands in the way of (a file that cannot be
fetched): some three minutes.  A store of ours that is full or away is waited for."""
OVER = (ASK, PAIRING, MEANT, PART, ACCEPTED, REFUSED)
"""Kinds of notes whose keys are forgotten when they have been closed for long."""
REMEMBERED = timedelta(days=30)
"""Longer than any message or request comes again."""
STOP_BUDGET = timedelta(seconds=3)
"""How long what is being written may take while the gateway stops; it is safe to be cut short."""


@define
class Caduceus:
    """The gateway.  `run()` works until `stop()`."""

    _config: GatewayConfig
    _ports: GatewayPorts
    _pid: int | None = None
    _version: str = ""
    _roster: Roster = field(init=False)
    _courier: Courier = field(init=False)
    _trail: Trail = field(init=False)
    _incidents: IncidentDesk = field(init=False)
    _replies: Replies = field(init=False)
    _refusals: RefusalDesk = field(init=False)
    _pairing: PairingDesk = field(init=False)
    _asks: AskDesk = field(init=False)
    _watcher: OrderWatcher = field(init=False)
    _holding: HoldingDesk = field(init=False)
    _intake: Intake = field(init=False)
    _commands: CommandDesk = field(init=False)
    _door: Doorkeeper = field(init=False)
    _stopping: anyio.Event = field(factory=anyio.Event, init=False)
    _menus_known: dict[str, Sequence[tuple[str, Role]]] = field(factory=dict, init=False)
    _store: StoreSign = field(init=False)
    _pacemaker: Pacemaker = field(init=False)

    def __attrs_post_init__(self) -> None:
        config, ports = self._config, self._ports
        self._store = StoreSign(ports.clock)
        self._pacemaker = Pacemaker(config, ports, self._store, self._pid, self._version)
        self._roster = Roster(ports.notes, config.people)
        self._courier = self._make_courier()
        self._trail = Trail(ports.mailboxes[0].trail, ports.clock, config.home)
        self._incidents = IncidentDesk(
            self._trail, ports.outbox, ports.clock, config.home, "Caduceus"
        )
        self._replies = Replies(ports.outbox, ports.clock)
        self._refusals = RefusalDesk(ports.notes, self._replies, self._trail, ports.clock)
        self._pairing = PairingDesk(
            ports.notes, self._roster, ports.outbox, self._trail, ports.clock, config.pairing_time
        )
        self._asks = AskDesk(
            ports.notes, ports.outbox, self._roster, self._courier, self._trail, ports.clock
        )
        requests = RequestDesk(ports, self._asks)
        self._watcher = OrderWatcher(config, ports, self._courier, self._asks, requests)
        submitter = Submitter(self._watcher.watch)
        self._holding = HoldingDesk(ports, self._asks, submitter, self._trail)
        choices = Choices(ports.notes)
        self._intake = Intake(
            config, ports, choices, self._replies, self._holding, submitter, self._refusals
        )
        for kind, handler in choosing(choices).items():
            self._asks.on_choice(kind, handler)
        tools = Tools(
            config=config,
            ports=ports,
            choices=choices,
            roster=self._roster,
            pairing=self._pairing,
            asks=self._asks,
            intake=self._intake,
            watch=self._watcher.watch,
        )
        self._commands = CommandDesk(tools, self._replies, self._trail)
        self._door = Doorkeeper(config, self._trail)

    def _make_courier(self) -> Courier:
        config, ports, roster = self._config, self._ports, self._roster
        return Courier(
            CourierPorts(
                channels=ports.channels,
                mailboxes=ports.mailboxes,
                notes=ports.notes,
                clock=ports.clock,
                recipients=lambda: [own_chat(p) for p in roster.known],
                owners=lambda: [own_chat(p) for p in roster.known if p.role is Role.OWNER],
                is_group=lambda address: (address.channel, address.chat_id) in config.groups,
                on_delivered=self._delivered,
                on_written=self._store.note,
            ),
            CourierConfig(
                default_channel=config.default_channel, stop_deadline=config.stop_deadline
            ),
        )

    def report(self, incident: Incident) -> None:
        """Port `IncidentSink`: adapters tell what a person should hear of."""
        self._incidents.report(incident)

    def stop(self) -> None:
        """Ask for the end."""
        self._stopping.set()

    async def run(self) -> None:
        """Work until `stop()`."""
        await self._trail.try_record(self._trail.event(AuditType.DAEMON_STARTED, pid=self._pid))
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._incidents.run, name="incidents")
            tasks.start_soon(self._pacemaker.keep_beating, name="heartbeat")
            tasks.start_soon(self._courier.run, name="courier")
            tasks.start_soon(self._watcher.run, name="watcher")
            tasks.start_soon(self._sweep, name="sweep")
            tasks.start_soon(self._keep_people, name="people")
            # Looking and pressing need not wait for what was said before, only for each other.
            lanes, quick = ChatLanes(self._take, tasks), ChatLanes(self._take, tasks)
            for channel in self._ports.channels.values():
                tasks.start_soon(self._hear, channel, lanes, quick, name=f"hear-{channel.name}")
            await self._stopping.wait()
            tasks.cancel_scope.cancel()
        with anyio.move_on_after(STOP_BUDGET.total_seconds()):
            await self._incidents.flush()
            await self._trail.try_record(self._trail.event(AuditType.DAEMON_STOPPED))
            await self._pacemaker.beat("stopped")

    # ---- hearing

    async def _hear(self, channel: Channel, lanes: ChatLanes, quick: ChatLanes) -> None:
        attempt = 0
        while True:
            try:
                inbound = await channel.receive()
            except TransientError as error:
                attempt += 1
                log.error("channel.receive_failed", channel=channel.name, error=str(error))
                self._store.note(f"channel {channel.name}", error)
                await self._pause(attempt, error)
                continue
            attempt = 0
            self._store.note(f"channel {channel.name}", None)
            if isinstance(inbound, ButtonPressed) or is_quick(inbound.text):
                quick.put(inbound)
            else:
                lanes.put(inbound)

    async def _take(self, inbound: Inbound) -> None:
        """Have it carried out, however often that takes, then confirm it."""
        try:
            await self._take_again_and_again(inbound)
        finally:
            self._store.note(inbound.key, None)

    async def _take_again_and_again(self, inbound: Inbound) -> None:
        attempt = 0
        while True:
            attempt += 1
            try:
                if isinstance(inbound, ButtonPressed):
                    await self._take_press(inbound)
                else:
                    await self._take_message(inbound)
                await self._confirm(inbound)
            except TransientError as error:
                log.error("message.delayed", key=inbound.key, error=str(error))
                self._store.note(inbound.key, error)
                if attempt >= MAX_ATTEMPTS and not isinstance(error, StorageUnavailable):
                    await self._give_up(inbound, f"{error} Please send this again later.")
                    return
                await self._pause(attempt, error)
            except PermanentError as error:
                # A sentence that says what is wrong; trying again would not help.
                log.error("message.refused", key=inbound.key, error=str(error))
                await self._give_up(inbound, str(error))
                return
            except Exception:  # a bug of ours must stop one message, not all people
                log.exception("message.failed", key=inbound.key)
                await self._give_up(inbound, "I failed at this: please look into the log.")
                return
            else:
                return

    async def _pause(self, attempt: int, error: TransientError) -> None:
        await self._ports.clock.sleep(AGAIN.delay(attempt, draw=0.5, retry_after=error.retry_after))

    async def _give_up(self, inbound: Inbound, sentence: str) -> None:
        """Say so, on record, however often that takes, and go on with the next message."""
        attempt = 0
        while True:
            attempt += 1
            try:
                await self._refuse(inbound, sentence)
            except TransientError as error:
                log.error("message.kept", key=inbound.key, error=str(error))
                self._store.note(inbound.key, error)
                await self._pause(attempt, error)
            except Exception:  # as above; not confirmed, it comes again after a restart
                log.exception("message.kept", key=inbound.key)
                return
            else:
                return

    async def _refuse(self, inbound: Inbound, sentence: str) -> None:
        is_known = await self._roster.role_of(inbound.channel, inbound.sender_id) is not None
        if is_known:
            await self._refusals.remember(inbound.key, sentence)
        await self._trail.record(self._refusal(inbound, sentence, AuditSeverity.ERROR))
        if is_known:
            await self._replies.say(inbound, sentence)
        await self._confirm(inbound)

    async def _confirm(self, inbound: Inbound) -> None:
        """All that follows from it is durable: the channel need not give it again.

        That a message to us was accepted is remembered beside the trail, which must have a line
        with its key: so a line that is missing is noticed.
        """
        confirm = partial(self._ports.channels[inbound.channel].confirm, inbound)
        if isinstance(inbound, InboundMessage) and (inbound.is_addressed or not inbound.is_group):
            notes = self._ports.notes
            await together(lambda: notes.close(ACCEPTED, [inbound.key]), confirm)
        else:
            await confirm()

    def _refusal(self, inbound: Inbound, reason: str, severity: AuditSeverity) -> AuditEvent:
        return self._trail.event(
            AuditType.MESSAGE_REFUSED,
            severity=severity,
            reason=reason,
            key=inbound.key,
            channel=inbound.channel,
            chat_id=inbound.chat_id,
            person=inbound.sender_id,
        )

    async def _take_message(self, message: InboundMessage) -> None:
        role = await self._roster.role_of(message.channel, message.sender_id)
        if role is None and self._asks_to_come_in(message):
            await self._welcome(message)
            return
        if not await self._door.admits(message, role) or role is None:
            return
        said = None if message.is_edit else await self._asks.take_text(message)
        if said:
            await self._replies.say(message, said)
        if said is not None or await self._refusals.has_refused(message):
            return
        if await self._commands.run(message, role):
            return
        await self._intake.take(message, role)

    def _asks_to_come_in(self, message: InboundMessage) -> bool:
        found = command_of(message.text)
        is_start = found is not None and found[0] == "start"
        return is_start and not message.is_group and message.origin is Origin.PERSON

    async def _welcome(self, message: InboundMessage) -> None:
        request = await self._pairing.request(
            message.address, message.sender_id, message.sender_name
        )
        shows = "shown a code" if request is not None else "too many wait to be let in"
        reason = f"its sender is not on the list: {shows}"
        await self._trail.record(self._refusal(message, reason, AuditSeverity.WARNING))
        if request is None:
            return
        minutes, code = round(self._config.pairing_time.total_seconds() / 60), shown(request.code)
        # Once a minute: a stranger must not fill the outbox.
        now = self._ports.clock.now()
        await self._replies.say(
            evolve(message, key=f"start-{request.code}-{now:%H%M}"),
            f"I do not know you yet. Your code is **{code}**, good for {minutes} minutes. "
            f"The owner lets you in: `galaxy pair {code}` in a terminal, or `/pair {code}` in a "
            f"chat with me. Your id is `{message.sender_id}`.",
        )

    # ---- buttons

    async def _take_press(self, pressed: ButtonPressed) -> None:
        if await self._asks.press(pressed):
            return
        prefix, _, digest = pressed.data.partition(":")
        sentence = "This button means nothing any more."
        if prefix == CANCEL:
            sentence = await self._cancel(pressed, digest)
        self._courier.hint(PressAnswered(press_id=pressed.press_id, text=sentence), pressed.address)

    async def _cancel(self, pressed: ButtonPressed, digest: str) -> str:
        found = await self._watcher.find(digest)
        if found is None:
            return "It is over already."
        machine, order = found
        role = await self._roster.role_of(pressed.channel, pressed.sender_id)
        is_own = order.person_id in {None, pressed.sender_id} and may(role, Deed.STEER_OWN)
        is_here = (order.channel, order.chat_id) == (pressed.channel, pressed.chat_id)
        if not is_here or not (is_own or may(role, Deed.STEER_ALL)):
            sentence = "Only the person whose order it is, or an owner, can stop it."
            await self._trail.record(self._refusal(pressed, sentence, AuditSeverity.WARNING))
            return sentence
        try:
            by = f"{pressed.channel}:{pressed.sender_id}"
            cancellation = await machine.desk.cancel(order.id, by=by)
        except OrderNotFound:
            return "It is over already."
        is_over = cancellation is Cancellation.ALREADY_ENDED
        return "It is over already." if is_over else "Stopping …"

    # ---- around it

    async def _delivered(self, letter: Letter, receipts: tuple[Receipt, ...]) -> None:
        await self._asks.delivered(letter, receipts)
        await self._watcher.delivered(letter, receipts)

    async def _sweep(self) -> None:
        pruned_on: date | None = None
        while True:
            try:
                await self._holding.sweep()
                if (now := self._ports.clock.now()).date() != pruned_on:
                    await self._refusals.forget(now - REMEMBERED)
                    for kind in OVER:
                        await self._ports.notes.prune(kind, now - REMEMBERED)
                    await self._anchor()
                    pruned_on = now.date()
            except TransientError as error:
                log.warning("asks.sweep_failed", error=str(error))
            except Exception:  # a bug of ours must not end the gateway
                log.exception("asks.sweep_crashed")
            await self._ports.clock.sleep(SWEEP_EVERY)

    async def _anchor(self) -> None:
        if self._ports.anchors is not None:
            people = await self._roster.people()
            owners = [own_chat(person) for person in people if person.role is Role.OWNER]
            reached = [owner for owner in owners if owner.channel in self._ports.channels]
            await self._ports.anchors.anchor(reached)

    async def _keep_people(self) -> None:
        """Notice who was let in meanwhile, and show everybody the commands that they may use."""
        while True:
            try:
                before = self._roster.known
                people = await self._roster.people()
                if people != before:
                    self._courier.people_changed()
                await self._publish_menus(people)
            except TransientError as error:
                log.warning("people.read_failed", error=str(error))
            except Exception:  # a bug of ours must not end the gateway
                log.exception("people.reading_crashed")
            await self._ports.clock.sleep(PEOPLE_EVERY)

    async def _publish_menus(self, people: Sequence[Person]) -> None:
        for name, menu in self._ports.menus.items():
            own = [(p.id, p.role) for p in people if p.channel == name]
            if self._menus_known.get(name) == own:
                continue
            try:
                await menu.publish(menu_for(None), {i: menu_for(role) for i, role in own})
                self._menus_known[name] = own
            except (TransientError, PermanentError) as error:
                log.warning("menu.publish_failed", channel=name, error=str(error))
