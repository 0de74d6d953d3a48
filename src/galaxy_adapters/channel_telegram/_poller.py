"""Asks Telegram for updates, for as long as the channel is open, whatever happens.

The offset moves only past what is stored; telling Telegram a higher offset is what makes it forget.
No offset outlives the process: the first question has none, Telegram answers from its first
unconfirmed update, and what is known is noticed by its key.  (After a week of silence the ids
begin anew at a random number; a remembered offset could throw messages away.)

A process that dies in the middle has confirmed nothing that is not stored.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Never, Protocol

import structlog
from attrs import define, field

from galaxy_adapters.channel_telegram._errors import CallFailed, CallRefused, Trouble
from galaxy_adapters.channel_telegram._health import Health
from galaxy_adapters.channel_telegram._updates import ALLOWED
from galaxy_core.domain.errors import StorageUnavailable
from galaxy_core.ports.clock import Clock

_log = structlog.get_logger(__name__)

_PAUSES = {
    Trouble.CONFLICT: timedelta(seconds=10),
    Trouble.WEBHOOK: timedelta(seconds=2),
    Trouble.TOKEN: timedelta(minutes=1),
}
"""For the rest: doubled from the shortest to the longest."""
_SHORTEST = timedelta(seconds=1)
_LONGEST = timedelta(seconds=30)
_TOO_LONG = timedelta(minutes=2)
"""So much longer than it may wait for news a question cannot take: all of its parts are limited."""
_LATE = timedelta(seconds=4)
"""After the time for which Telegram may hold a question, so much later its answer is missed."""
_SILENCE = timedelta(hours=24)
"""After that Telegram keeps nothing that the offset could confirm, and it is forgotten here too:
ids may begin anew below it."""


class Call(Protocol):
    """`BotApi.call`."""

    async def __call__(
        self,
        method: str,
        parameters: dict[str, object] | None = None,
        *,
        patience: timedelta | None = None,
    ) -> Any:  # noqa: ANN401 - JSON
        """Call a method."""


class Store(Protocol):
    """Where updates go."""

    @property
    def wants_look(self) -> bool:
        """Whether something waits only until it is known that nothing more lies at Telegram."""

    def looked(self) -> None:
        """Nothing more lies there."""

    async def store(self, updates: Sequence[object]) -> int | None:
        """Store a batch; the highest id in it.  Raises `StorageUnavailable`."""


@define(eq=False)
class Poller:
    """The loop."""

    _call: Call
    _store: Store
    _clock: Clock
    _health: Health
    _timeout: timedelta
    _offset: int | None = field(default=None, init=False)
    _last_news: float = field(default=0.0, init=False)
    _pause: timedelta = field(default=timedelta(0), init=False)
    _asking_since: float | None = field(default=None, init=False)

    def is_overdue(self) -> bool:
        """Whether a question has taken longer than it does while Telegram can be reached."""
        if self._asking_since is None:
            return False
        taken = self._clock.monotonic() - self._asking_since
        return taken > (self._timeout + _LATE).total_seconds()

    def stuck_for(self) -> timedelta | None:
        """How long a question has taken that should be over; None when all is well."""
        if self._asking_since is None:
            return None
        taken = timedelta(seconds=self._clock.monotonic() - self._asking_since)
        return taken if taken > self._timeout + _TOO_LONG else None

    async def run(self) -> Never:
        """Take updates in until cancelled."""
        self._last_news = self._clock.monotonic()
        while True:
            pause = await self._round()
            if pause:
                # Jitter: not every bot of a machine should come back at the same moment.  Only
                # upwards: a told time is waited for whole.
                await self._clock.sleep(pause * random.uniform(1.0, 1.3))  # noqa: S311

    async def _round(self) -> timedelta:
        """Ask once; how long to wait before asking again."""
        self._asking_since = self._clock.monotonic()
        try:
            return await self._answered()
        finally:
            self._asking_since = None

    async def _answered(self) -> timedelta:
        try:
            await self._ask()
        except CallFailed as error:
            return await self._after(error.trouble, error, error.retry_after)
        except CallRefused as error:
            # Nothing in the question depends on anything: the server is none that we know.
            return await self._after(Trouble.ANSWER, error)
        except StorageUnavailable as error:
            return await self._after(Trouble.STORAGE, error)
        except Exception as error:  # noqa: BLE001 - nobody would see the loop end
            _log.exception("telegram.poll_broken")
            return await self._after(Trouble.BUG, error)
        self._health.fine()
        self._pause = timedelta(0)
        return timedelta(0)

    async def _ask(self) -> None:
        if self._clock.monotonic() - self._last_news >= _SILENCE.total_seconds():
            self._offset, self._last_news = None, self._clock.monotonic()
        is_look = self._store.wants_look
        timeout = timedelta(0) if is_look else self._timeout
        question: dict[str, object] = {
            "timeout": int(timeout.total_seconds()),
            "allowed_updates": list(ALLOWED),
        }
        if self._offset is not None:
            question["offset"] = self._offset
        updates = await self._call("getUpdates", question, patience=timeout)
        if not isinstance(updates, list):
            raise CallFailed("getUpdates: the answer is no list", Trouble.ANSWER)
        if not updates:
            if is_look:
                self._store.looked()
            return
        self._last_news = self._clock.monotonic()
        highest = await self._store.store(updates)
        if highest is None:
            raise CallFailed("getUpdates: updates without ids", Trouble.ANSWER)
        self._offset = highest + 1

    async def _after(
        self, trouble: Trouble, error: Exception, retry_after: timedelta | None = None
    ) -> timedelta:
        self._health.trouble(trouble)
        _log.warning("telegram.poll_failed", trouble=str(trouble), error=type(error).__name__)
        if trouble is Trouble.WEBHOOK:
            await self._remove_webhook()
        if retry_after is not None:
            return retry_after + _SHORTEST
        if trouble in _PAUSES:
            return _PAUSES[trouble]
        self._pause = min(_LONGEST, max(_SHORTEST, 2 * self._pause))
        return self._pause

    async def _remove_webhook(self) -> None:
        try:
            await self._call("deleteWebhook", {"drop_pending_updates": False})
        except (CallFailed, CallRefused) as error:  # the next question tells whether it is gone
            _log.warning("telegram.webhook_not_removed", error=type(error).__name__)
