"""Collecting letters: out of every outbox, into the lanes of those who get them.

A letter is in hand from the moment it is read until it has left its outbox, so no look gives it
out twice.  All of this is made anew from the outboxes after a restart.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from datetime import timedelta

import anyio
import structlog
from attrs import define, field

from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.letter import Letter
from galaxy_core.domain.message import Address
from galaxy_core.services._concurrency import either, wait_for_event
from galaxy_core.services.courier.config import CourierConfig, CourierPorts, Mailbox
from galaxy_core.services.courier.intents import Intents
from galaxy_core.services.courier.letters import LetterDesk
from galaxy_core.services.courier.mailing import Mailing, Parcel, Verdict
from galaxy_core.services.courier.pacing import chat_of

log = structlog.get_logger(__name__)

LOOK_LIMIT = 500
"""Letters that are read in one go; the next ones are read right after them."""

FEW = 50
PAUSE_PER_LETTER = timedelta(microseconds=100)
"""Rest after a look, for each letter that waits when they are more than a few.  A look costs time
for each of them, and our own writes in the folder call for looks as well."""


@define(eq=False)
class Postbag:
    """The letters of one mailbox that are in hand."""

    _mailbox: Mailbox
    _ports: CourierPorts
    _config: CourierConfig
    _intents: Intents
    _letters: LetterDesk
    _to_lane: Callable[[Parcel], None]
    """Gives a parcel to the lane of its chat."""
    _to_finish: Callable[[Mailing], None]
    """Has a letter taken out of the outbox; `let_go` is called when it is."""
    _in_hand: set[str] = field(factory=set, init=False)
    _left_alone: set[str] = field(factory=set, init=False)
    """Letters for channels that are not served here: another courier's matter."""
    _homeless: list[Mailing] = field(factory=list, init=False)
    """Letters to everybody while there is nobody."""
    _found_somebody: anyio.Event = field(factory=anyio.Event, init=False)
    _look_again: anyio.Event = field(factory=anyio.Event, init=False)
    _is_swept: bool = field(default=False, init=False)

    async def watch(self) -> None:
        """Look whenever a letter may have come, until cancelled."""
        attempt = 0
        while True:
            try:
                self._look_again = anyio.Event()
                await self._look()
                attempt = 0
                self._ports.on_written(f"outbox {self._mailbox.name}", None)
                await self._rest()
                await either(self._wait, self._look_again.wait)
            except TransientError as error:
                log.error("outbox.look_failed", machine=self._mailbox.name, error=str(error))
                self._ports.on_written(f"outbox {self._mailbox.name}", error)
            except Exception:
                # Supervision point: the other outboxes must go on.
                log.exception("outbox.look_crashed", machine=self._mailbox.name)
            else:
                continue
            attempt += 1
            delay = self._config.retry.delay(attempt, draw=random.random())  # noqa: S311 - jitter, not a secret
            await self._ports.clock.sleep(delay)

    async def _wait(self) -> None:
        if not await self._mailbox.outbox.wait(self._config.look_every):
            # One of them may have got a namesake that is meant for us.
            self._left_alone.clear()

    async def _rest(self) -> None:
        count = len(self._in_hand) + len(self._left_alone)
        if count > FEW:
            await self._ports.clock.sleep(count * PAUSE_PER_LETTER)

    async def _look(self) -> None:
        while True:
            found = await self._mailbox.outbox.pending(
                LOOK_LIMIT, skip=self._in_hand | self._left_alone
            )
            for letter in found:
                self._take(letter)
            if len(found) < LOOK_LIMIT:
                break
        if not self._is_swept:
            await self._intents.sweep(self._mailbox.name, self._in_hand | self._left_alone)
            self._is_swept = True

    def _take(self, letter: Letter) -> None:
        if letter.name in self._in_hand:  # came in hand while the look went on
            return
        if not self._is_ours(letter):
            self._left_alone.add(letter.name)
            return
        mailing = Mailing(self._mailbox, letter, self._in_hand)
        mailing.is_found_delivered = mailing.is_delivered
        self._spread(mailing)

    def _is_ours(self, letter: Letter) -> bool:
        """Whether its channel is served here; a letter to everybody may need none in particular."""
        if letter.chat_id is None and letter.channel is None:
            return True
        return self._channel_of(letter) in self._ports.channels

    def _channel_of(self, letter: Letter) -> str:
        return letter.channel or self._config.default_channel

    def _spread(self, mailing: Mailing) -> None:
        """Give the letter to everybody who does not have it yet."""
        addresses = {chat_of(address): address for address in self._addresses(mailing.letter)}
        for chat, address in addresses.items():
            if mailing.has(chat):
                continue
            key = Intents.key(mailing.mailbox.name, mailing.name, chat)
            lost = self._intents.lost(key, mailing.next_part(chat))
            if lost is not None:  # on record: nobody is told again
                mailing.lost[chat] = Verdict(lost)
                continue
            mailing.is_found_delivered = False
            self._to_lane(self._letters.parcel(mailing, address))
        if not mailing.waiting:
            if mailing.is_delivered or mailing.lost:
                self._to_finish(mailing)
            else:
                self._homeless.append(mailing)
                self._found_somebody.set()

    def _addresses(self, letter: Letter) -> Sequence[Address]:
        if letter.chat_id is not None:
            channel = self._channel_of(letter)
            return [Address(channel=channel, chat_id=letter.chat_id, topic=letter.topic)]
        return [
            address
            for address in self._ports.recipients()
            if address.channel in self._ports.channels and letter.channel in {None, address.channel}
        ]

    # ---- letters without anybody to go to

    async def find_homes(self) -> None:
        """Look for people as long as a letter to everybody has nobody to go to."""
        while True:
            self._found_somebody = anyio.Event()
            if not self._homeless:
                await self._found_somebody.wait()
                continue
            await wait_for_event(
                self._found_somebody, self._ports.clock, self._config.recipients_every
            )
            homeless, self._homeless = self._homeless, []
            for mailing in homeless:
                self._spread(mailing)

    def people_changed(self) -> None:
        """Look for people now."""
        self._found_somebody.set()

    # ---- letters on their way out of the outbox

    def through(self, parcel: Parcel) -> None:
        """Hear that a parcel needs no more."""
        mailing = parcel.mailing
        mailing.waiting.discard(parcel.chat)
        if mailing.waiting:
            return
        if mailing.is_delivered or mailing.lost:
            self._to_finish(mailing)
        else:  # whom it was for may not read it any more
            self._homeless.append(mailing)
            self._found_somebody.set()

    def let_go(self, mailing: Mailing) -> None:
        """Hear that a letter has left the outbox."""
        mailing.let_go()
        if not self._in_hand:
            # One of them may have got a namesake while it was in hand and was skipped.
            self._look_again.set()
