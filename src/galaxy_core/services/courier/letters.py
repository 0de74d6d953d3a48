"""Delivering letters: what is written before what.

| step | written | if the process dies after it |
|---|---|---|
| 1 | intent | not sent, or sent: unknown, so it is repeated once, marked |
| 2 | the call | the same |
| 3 | receipt, in the letter | the part is not sent again |
| 4 | line in the trail, once everybody has it | the line is written again, marked |
| 5 | `on_delivered`, then the letter leaves the outbox | it is called again, until it has left |

A part is sent at most three times while its outcome is not known, the last time after a long
pause; then the letter is given up, and the owners hear of it.  That is written down as well: a
letter to many may wait for others for days, and the owners must not hear at each start.

A channel that is down is waited for, however long that takes, and the order of the letters stays.
A letter that fails for some minutes is stuck: each time that it fails again the one behind it is
tried as well.  When that one arrives, the fault is the letter's own: the chat goes on without it,
and after three such proofs it is given up.  All this is in memory: a restart begins it anew.
"""

from __future__ import annotations

import random

import structlog
from attrs import define

from galaxy_core.domain.audit import AuditSeverity, AuditType
from galaxy_core.domain.errors import (
    ChatUnreachable,
    DeliveryUnknown,
    PermanentError,
    StorageUnavailable,
    TransientError,
)
from galaxy_core.domain.letter import Receipt
from galaxy_core.domain.message import Address
from galaxy_core.domain.order import JSONValue
from galaxy_core.services.courier.config import CourierConfig, CourierPorts
from galaxy_core.services.courier.intents import SENDINGS, Intents
from galaxy_core.services.courier.mailing import Mailing, Parcel, Verdict
from galaxy_core.services.courier.pacing import Holds, chat_of
from galaxy_core.services.courier.returns import ReturnDesk
from galaxy_core.services.courier.steps import Steps

log = structlog.get_logger(__name__)


@define(eq=False)
class LetterDesk:
    """Carries parcels on, one step at a time."""

    _ports: CourierPorts
    _config: CourierConfig
    _intents: Intents
    _holds: Holds
    _returns: ReturnDesk
    _steps: Steps

    def parcel(self, mailing: Mailing, address: Address) -> Parcel:
        """The letter, made ready for one chat."""
        chat = chat_of(address)
        key = Intents.key(mailing.mailbox.name, mailing.name, chat)
        wait = self._intents.wait_after_restart(key, mailing.next_part(chat))
        mailing.waiting.add(chat)
        due = self._ports.clock.monotonic() + wait.total_seconds()
        return Parcel(mailing=mailing, address=address, key=key, due=due, gives_way=bool(wait))

    async def advance(self, parcel: Parcel) -> bool:
        """Send the next part, or do again what failed; True when the parcel needs no more."""
        try:
            is_through = await self._advance(parcel)
        except TransientError as error:
            log.error("letter.write_failed", letter=parcel.letter.name, error=str(error))
            self._ports.on_written(parcel.key, error)
            self._put_off(parcel)
        except Exception:
            # Supervision point: whatever is wrong with this letter is no other chat's matter.
            log.exception("letter.delivery_crashed", letter=parcel.letter.name)
            self._put_off(parcel)
        else:
            self._ports.on_written(parcel.key, None)
            return is_through
        return False

    async def _advance(self, parcel: Parcel) -> bool:
        if parcel.receipt is None and parcel.verdict is None:
            if not self._is_wanted(parcel):
                return True
            await self._send(parcel)
        if parcel.verdict is not None:
            await self._returns.report(parcel, parcel.verdict)
            await self._intents.give_up(parcel.key, parcel.verdict.reason)
            parcel.mailing.lost[parcel.chat] = parcel.verdict
            return True
        if parcel.receipt is not None:
            return await self._record(parcel, parcel.receipt)
        return False

    def _is_wanted(self, parcel: Parcel) -> bool:
        """Whether the address is still one of those who are authorised."""
        if not parcel.mailing.is_for_all:
            return True
        return any(chat_of(address) == parcel.chat for address in self._ports.recipients())

    # ---- one part

    async def _send(self, parcel: Parcel) -> None:
        mailing, part = parcel.mailing, parcel.mailing.next_part(parcel.chat)
        unknown = self._intents.unknown(parcel.key, part)
        if unknown >= SENDINGS:  # the last of them was cut by a crash
            await self._take_as_unknown(parcel, part, "the gateway was stopped while it was sent")
            return
        await self._intents.begin(parcel.key, mailing.mailbox.name, mailing.name, part)
        mailing.is_repeat = mailing.is_repeat or unknown > 0
        channel = self._ports.channels[parcel.address.channel]
        try:
            parcel.receipt = await channel.send(
                mailing.for_channel(), parcel.address, part=part, is_repeat=unknown > 0
            )
            parcel.count_as_sent()
        except DeliveryUnknown as error:
            await self._take_as_unknown(parcel, part, str(error))
            await self._hold(parcel, error)
        except StorageUnavailable as error:
            # A store of our own: others may go past it, but it is waited for, and people hear.
            await self._intents.take_back(parcel.key)
            self._lose_patience(parcel, error)
            raise
        except TransientError as error:
            await self._intents.take_back(parcel.key)
            log.warning("letter.send_failed", letter=mailing.letter.name, error=str(error))
            if not await self._hold(parcel, error):
                self._put_off(parcel)
                self._lose_patience(parcel, error)
        except PermanentError as error:
            parcel.verdict = Verdict(str(error), is_about_chat=isinstance(error, ChatUnreachable))
        except Exception as error:
            # Supervision point: an adapter that breaks may have broken after the call.
            log.exception("channel.crashed", channel=parcel.address.channel)
            await self._take_as_unknown(parcel, part, f"the channel broke ({type(error).__name__})")

    def _lose_patience(self, parcel: Parcel, error: TransientError) -> None:
        """The channel failed once more: perhaps it never takes this letter."""
        now = self._ports.clock.monotonic()
        if parcel.failing_since is None:
            parcel.failing_since = now
        failing_for = now - parcel.failing_since
        parcel.times_overtaken += parcel.is_overtaken
        parcel.is_overtaken = False
        parcel.is_stuck = failing_for >= self._config.stuck_after.total_seconds()
        parcel.gives_way = parcel.is_stuck
        is_ours = isinstance(error, StorageUnavailable)
        if parcel.times_overtaken >= self._config.times_overtaken and not is_ours:
            parcel.verdict = Verdict(
                f"it failed {parcel.attempts} times within {max(1, round(failing_for / 60))} min, "
                f"while other messages reached the chat: {error}"
            )

    async def _hold(self, parcel: Parcel, error: TransientError) -> bool:
        """Leave the chat alone for as long as the channel asked for; False when it did not."""
        if error.retry_after is None or error.retry_after.total_seconds() <= 0:
            return False
        await self._holds.hold(parcel.chat, error.retry_after)
        channel, chat_id = parcel.chat
        trail = self._returns.trail(parcel.mailing.mailbox.name)
        await trail.try_record(
            trail.event(
                AuditType.RATE_LIMITED,
                parcel.letter.order_id,
                severity=AuditSeverity.WARNING,
                letter=parcel.letter.name,
                channel=channel,
                chat_id=chat_id,
                wait_s=error.retry_after.total_seconds(),
            )
        )
        return True

    async def _take_as_unknown(self, parcel: Parcel, part: int, error: str) -> None:
        """Nobody can tell whether the part arrived: it is sent again, but not for ever."""
        unknown = self._intents.unknown(parcel.key, part)
        letter, (channel, chat_id) = parcel.letter, parcel.chat
        log.warning("letter.delivery_unknown", letter=letter.name, error=error)
        if unknown >= SENDINGS:
            parcel.verdict = Verdict(
                f"it was sent {unknown} times, and nobody can tell whether it arrived: {error}"
            )
        elif unknown == SENDINGS - 1:
            self._wait(parcel, self._config.last_try_after.total_seconds())
            parcel.gives_way = True
        else:
            self._put_off(parcel)
        trail = self._returns.trail(parcel.mailing.mailbox.name)
        await trail.try_record(
            trail.event(
                AuditType.DELIVERY_UNKNOWN,
                letter.order_id,
                severity=AuditSeverity.WARNING,
                letter=letter.name,
                channel=channel,
                chat_id=chat_id,
                part=part,
                sendings=unknown,
            )
        )

    async def _record(self, parcel: Parcel, receipt: Receipt) -> bool:
        mailing = parcel.mailing
        async with mailing.lock:
            mailing.letter = await mailing.mailbox.outbox.record(mailing.letter, receipt)
            mailing.remember_name()
        parcel.receipt = None
        parcel.attempts = 0
        return receipt.is_last

    def _put_off(self, parcel: Parcel) -> None:
        parcel.attempts += 1
        delay = self._config.retry.delay(parcel.attempts, draw=random.random())  # noqa: S311 - jitter, not a secret
        self._wait(parcel, delay.total_seconds())

    def _wait(self, parcel: Parcel, seconds: float) -> None:
        parcel.due = self._ports.clock.monotonic() + seconds

    # ---- the whole letter

    async def finish(self, mailing: Mailing) -> None:
        """Take a letter out of the outbox whose parcels are all through; tries until it is."""
        attempt = 0
        while True:
            try:
                with self._steps.uncut():
                    await self._finish(mailing)
                    self._ports.on_written(f"{mailing.mailbox.name}/{mailing.name}", None)
                    return  # in here: not after it was cut
            except TransientError as error:
                log.error("letter.finish_failed", letter=mailing.letter.name, error=str(error))
                self._ports.on_written(f"{mailing.mailbox.name}/{mailing.name}", error)
            except Exception:
                # Supervision point: the letter is delivered; what fails here is tried again.
                log.exception("letter.finish_crashed", letter=mailing.letter.name)
            attempt += 1
            delay = self._config.retry.delay(attempt, draw=random.random())  # noqa: S311 - jitter, not a secret
            await self._ports.clock.sleep(delay)

    async def _finish(self, mailing: Mailing) -> None:
        outbox = mailing.mailbox.outbox
        if mailing.is_delivered:
            await self._put_on_record(mailing)
            await self._tell(mailing)
            await outbox.mark_sent(mailing.letter)
        else:
            reasons = {verdict.reason for verdict in mailing.lost.values()}
            await outbox.set_aside(mailing.letter, "; ".join(sorted(reasons)))
        chats = {(receipt.channel, receipt.chat_id) for receipt in mailing.letter.receipts}
        await self._intents.forget(
            Intents.key(mailing.mailbox.name, mailing.name, chat)
            for chat in chats | mailing.lost.keys()
        )

    async def _put_on_record(self, mailing: Mailing) -> None:
        if mailing.is_recorded:
            return
        letter, trail = mailing.letter, self._returns.trail(mailing.mailbox.name)
        receipts: list[JSONValue] = [
            {
                "channel": receipt.channel,
                "chat_id": receipt.chat_id,
                "part": receipt.part,
                "message_ids": list(receipt.message_ids),
            }
            for receipt in letter.receipts
        ]
        await trail.record(
            trail.event(
                AuditType.LETTER_DELIVERED,
                letter.order_id,
                letter=letter.name,
                # For reading; a letter to many has the chats in its receipts.
                channel=letter.receipts[0].channel if mailing.has_one_chat else None,
                chat_id=letter.receipts[0].chat_id if mailing.has_one_chat else None,
                receipts=receipts,
                is_repeat=mailing.is_repeat or None,
                # Whether the line was written before the crash is not known.
                is_repeated=mailing.is_found_delivered or None,
            )
        )
        mailing.is_recorded = True

    async def _tell(self, mailing: Mailing) -> None:
        if self._ports.on_delivered is None:
            return
        try:
            await self._ports.on_delivered(mailing.letter, mailing.letter.receipts)
        except TransientError:
            raise
        except Exception:
            # Supervision point: a listener's bug must not have the letter sent for ever.
            log.exception("letter.listener_crashed", letter=mailing.letter.name)
