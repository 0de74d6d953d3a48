"""The courier: the one way out to people.

It reads every outbox that it is given, and brings each letter to the chats that get it, whatever
crashes or throttles in between (`letters.py` says what is written before what).  Beside that it
shows cards and gives hints, which give way to letters.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import anyio
import anyio.abc
import structlog
from attrs import define, field

from galaxy_core.domain.errors import GalaxyError, TransientError
from galaxy_core.domain.message import Address
from galaxy_core.domain.status import Card, Hint, PressAnswered
from galaxy_core.services.courier.cards import CARD, CardDesk
from galaxy_core.services.courier.config import CourierConfig, CourierPorts
from galaxy_core.services.courier.intents import SENDING, Intents
from galaxy_core.services.courier.lane import Lane, LaneTools
from galaxy_core.services.courier.letters import LetterDesk
from galaxy_core.services.courier.mailing import Mailing, Parcel
from galaxy_core.services.courier.pacing import HOLD, Chat, Holds, Pace, chat_of
from galaxy_core.services.courier.postbag import Postbag
from galaxy_core.services.courier.returns import ReturnDesk
from galaxy_core.services.courier.steps import Steps

log = structlog.get_logger(__name__)


@define(eq=False)
class Courier:
    """Delivers letters, shows cards, gives hints.

    `show`, `retire` and `hint` never wait and never fail; they may be called before `run`.
    """

    _ports: CourierPorts
    _config: CourierConfig
    _steps: Steps = field(factory=Steps, init=False)
    _holds: Holds = field(init=False)
    _intents: Intents = field(init=False)
    _letters: LetterDesk = field(init=False)
    _cards: CardDesk = field(init=False)
    _tools: dict[str, LaneTools] = field(init=False)
    """By channel."""
    _postbags: dict[str, Postbag] = field(init=False)
    """By mailbox."""
    _lanes: dict[Chat, Lane] = field(factory=dict, init=False)
    _tasks: anyio.abc.TaskGroup | None = field(default=None, init=False)
    _early: list[Callable[[], None]] = field(factory=list, init=False)
    """What was asked for before the notes were read."""

    def __attrs_post_init__(self) -> None:
        ports, config = self._ports, self._config
        self._holds = Holds(ports.notes, ports.clock)
        self._intents = Intents(ports.notes, ports.clock, config.last_try_after)
        returns = ReturnDesk(ports)
        self._letters = LetterDesk(ports, config, self._intents, self._holds, returns, self._steps)
        self._cards = CardDesk(ports.notes, ports.clock, self._holds, config.retry)
        self._tools = {
            name: LaneTools(
                channel=channel,
                pace=Pace(channel.rates(), ports.clock, ports.is_group),
                clock=ports.clock,
                holds=self._holds,
                letters=self._letters,
                cards=self._cards,
                steps=self._steps,
                hint_lifetime=config.hint_lifetime.total_seconds(),
                on_through=self._through,
            )
            for name, channel in ports.channels.items()
        }
        self._postbags = {
            box.name: Postbag(
                box, ports, config, self._intents, self._letters, self._post, self._finish
            )
            for box in ports.mailboxes
        }

    async def run(self) -> None:
        """Deliver until cancelled.

        Sendings that were begun are then given `stop_deadline` to end: one that is cut would have
        to be repeated.
        """
        await self._load()
        async with anyio.create_task_group() as tasks:
            with self._open(tasks):
                for postbag in self._postbags.values():
                    tasks.start_soon(postbag.watch, name="outbox")
                    tasks.start_soon(postbag.find_homes, name="homeless-letters")
                for name, tools in self._tools.items():
                    if tools.pace.gate is not None:
                        tasks.start_soon(tools.pace.gate.run, name=f"gate-{name}")
                try:
                    await self._keep_notes_few()
                finally:
                    await self._steps.finish(self._config.stop_deadline)

    @contextmanager
    def _open(self, tasks: anyio.abc.TaskGroup) -> Iterator[None]:
        """Take what is asked for from now on; first what was asked for before."""
        self._tasks = tasks
        early, self._early = self._early, []
        try:
            for call in early:
                call()
            for lane in self._lanes.values():
                self._drive(lane)
            yield
        finally:
            self._tasks = None

    async def _load(self) -> None:
        attempt = 0
        while True:
            try:
                await self._holds.load()
                await self._intents.load()
                await self._cards.load()
            except TransientError as error:
                log.error("notes.read_failed", error=str(error))
            else:
                return
            attempt += 1
            delay = self._config.retry.delay(attempt, draw=random.random())  # noqa: S311 - jitter, not a secret
            await self._ports.clock.sleep(delay)

    async def _keep_notes_few(self) -> None:
        """Forget the keys of notes that are over: nothing is ever looked up by them."""
        while True:
            await self._ports.clock.sleep(self._config.prune_every)
            try:
                for kind in (SENDING, HOLD, CARD):
                    await self._ports.notes.prune(kind, self._ports.clock.now())
            except TransientError as error:
                log.warning("notes.prune_failed", error=str(error))

    def people_changed(self) -> None:
        """Hear that somebody was let in: letters to everybody may have somebody to go to now."""
        for postbag in self._postbags.values():
            postbag.people_changed()

    # ---- cards and hints

    def show(
        self, key: str, card: Card, address: Address, *, message_id: str | None = None
    ) -> None:
        """Show the newest state of a card; those that it replaces may never be seen.

        `key` names one message for ever, also over a restart, until `retire`.  `message_id` is
        for a message that the caller knows (a letter that was delivered): it is changed, and
        nothing is remembered of it, so it needs no `retire`.
        """
        if address.channel not in self._tools:
            log.warning("card.channel_unknown", key=key, channel=address.channel)
        elif self._tasks is None:
            self._early.append(lambda: self.show(key, card, address, message_id=message_id))
        elif (entry := self._cards.put(key, card, address, message_id)) is not None:
            lane = self._lane(entry.address)
            lane.add_card(entry)
            self._drive(lane)

    def retire(self, key: str, card: Card | None) -> None:
        """Show the last state of a card, then forget which message shows it.

        None: the state given last stays, and still goes out if it waits.
        """
        if self._tasks is None:
            self._early.append(lambda: self.retire(key, card))
        elif (entry := self._cards.retire(key, card)) is not None:
            if entry.address.channel not in self._tools:
                return  # of a channel that was served before a restart
            lane = self._lane(entry.address)
            lane.add_card(entry)
            self._drive(lane)

    def hint(self, hint: Hint, address: Address) -> None:
        """Give a hint, if there is time for it soon; what was pressed is answered at once."""
        if address.channel not in self._tools:
            log.warning("hint.channel_unknown", channel=address.channel)
        elif isinstance(hint, PressAnswered):
            if self._tasks is None:
                self._early.append(lambda: self.hint(hint, address))
            else:
                self._tasks.start_soon(self._answer_press, hint, address, name="press")
        elif self._tasks is not None:
            lane = self._lane(address)
            lane.add_hint(hint, address)
            self._drive(lane)

    async def _answer_press(self, hint: PressAnswered, address: Address) -> None:
        channel, config = self._ports.channels[address.channel], self._config
        for attempt in range(1, config.press_attempts + 1):
            try:
                await channel.hint(hint, address)
                return
            except TransientError as error:
                log.debug("press.failed", channel=address.channel, error=str(error))
                delay = config.retry.delay(
                    attempt,
                    draw=random.random(),  # noqa: S311 - jitter, not a secret
                    retry_after=error.retry_after,
                )
                await self._ports.clock.sleep(delay)
            except GalaxyError as error:
                log.debug("press.refused", channel=address.channel, error=str(error))
                return
            except Exception:
                # Supervision point: a button's answer is not worth the courier.
                log.exception("channel.crashed", channel=address.channel)
                return

    # ---- lanes

    def _lane(self, address: Address) -> Lane:
        chat = chat_of(address)
        lane = self._lanes.get(chat)
        if lane is None:
            tools = self._tools[address.channel]
            lane = self._lanes[chat] = Lane(chat, tools, tools.pace.bucket(address))
        return lane

    def _drive(self, lane: Lane) -> None:
        """See that a task drives the lane, if there is anything to do."""
        if self._tasks is not None and not lane.is_running and not lane.is_idle:
            lane.is_running = True
            self._tasks.start_soon(self._run_lane, lane, name=f"lane-{lane.chat[0]}")

    async def _run_lane(self, lane: Lane) -> None:
        try:
            attempt = 0
            while not lane.is_idle:
                try:
                    await lane.run()
                except Exception:
                    # Supervision point: a bug in here must not stop all the other chats.
                    log.exception("lane.crashed", channel=lane.chat[0])
                    attempt += 1
                    delay = self._config.retry.delay(attempt, draw=0.5)
                    await self._ports.clock.sleep(delay)
        finally:
            lane.is_running = False

    # ---- letters

    def _post(self, parcel: Parcel) -> None:
        lane = self._lane(parcel.address)
        lane.add_letter(parcel)
        self._drive(lane)

    def _through(self, parcel: Parcel) -> None:
        self._postbags[parcel.mailing.mailbox.name].through(parcel)

    def _finish(self, mailing: Mailing) -> None:
        if self._tasks is not None:
            self._tasks.start_soon(self._see_off, mailing, name="letter-end")

    async def _see_off(self, mailing: Mailing) -> None:
        await self._letters.finish(mailing)
        self._postbags[mailing.mailbox.name].let_go(mailing)
