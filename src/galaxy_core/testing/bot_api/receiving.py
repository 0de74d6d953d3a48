"""Updates: kept until a later poll with a higher offset, or posted to a webhook.

As in the real server a poll that waits is thrown out by the next one, whichever process it comes
from, and nothing is forgotten because an answer was lost.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable
from datetime import timedelta

from galaxy_core.testing.bot_api.arguments import Arguments
from galaxy_core.testing.bot_api.errors import ApiError
from galaxy_core.testing.bot_api.state import Json, State

_MOST = 100
LONGEST_POLL = timedelta(seconds=50)
_ON_REQUEST = frozenset({"chat_member", "message_reaction", "message_reaction_count"})
"""Kinds that come only when they are asked for by name."""


class Updates:
    """The updates of one bot."""

    def __init__(
        self, state: State, changed: Callable[[], None], longest: timedelta = LONGEST_POLL
    ) -> None:
        self._state = state
        self._changed = changed
        self._longest = longest.total_seconds()
        self._waiting: asyncio.Future[str | None] | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether a poll waits."""
        return self._waiting is not None

    def push(self, kind: str, content: Json) -> Json | None:
        """Keep an update for the bot; None when it does not want that kind."""
        allowed = self._state.allowed_updates
        if kind not in allowed if allowed else kind in _ON_REQUEST:
            return None
        update = {"update_id": self._state.next_update_id, kind: content}
        self._state.next_update_id += 1
        self._state.updates.append(update)
        self._wake(None)
        self._changed()
        return update

    def redeliver(self, count: int) -> None:
        """Let the last confirmed updates come again."""
        if count > 0:
            again = self._state.confirmed[-count:]
            del self._state.confirmed[-count:]
            self._state.updates[:0] = again
            self._wake(None)

    def conflict(self, reason: str) -> None:
        """Throw the poll out that waits."""
        self._wake(reason)

    async def get(self, a: Arguments, *, forgets: bool = True) -> list[Json]:
        """Answer a poll; `forgets=False` overlooks its offset."""
        if self._state.webhook.url:
            raise ApiError(
                409,
                "Conflict: can't use getUpdates method while webhook is active; use deleteWebhook"
                " to delete the webhook first",
            )
        self._take_allowed(a)
        if forgets:
            self._forget(a.integer("offset"))
        limit = min(max(a.integer("limit", _MOST), 1), _MOST)
        timeout = min(max(a.integer("timeout"), 0), self._longest)
        self._wake(
            "terminated by other getUpdates request; make sure that only one bot instance"
            " is running"
        )
        if not self._state.updates and timeout:
            await self._wait(timeout)
        return self._state.updates[:limit]

    def allow(self, kinds: list[object]) -> None:
        """Remember what the bot wants; holds for what happens from now on."""
        self._state.allowed_updates = [str(kind) for kind in kinds] or None

    def forget_all(self) -> None:
        """Drop what waits."""
        self._state.updates.clear()

    def forget_first(self) -> None:
        """The first one was delivered."""
        self._state.confirmed.append(self._state.updates.pop(0))

    def _take_allowed(self, a: Arguments) -> None:
        if a.has("allowed_updates"):
            self.allow(a.objects("allowed_updates", "allowed_updates"))

    def _forget(self, offset: int) -> None:
        updates = self._state.updates
        if offset < 0:
            count = max(len(updates) + offset, 0)
        else:
            count = sum(1 for update in updates if update["update_id"] < offset)
        self._state.confirmed += updates[:count]
        del updates[:count]

    def _wake(self, reason: str | None) -> None:
        if self._waiting is not None and not self._waiting.done():
            self._waiting.set_result(reason)

    async def _wait(self, timeout: float) -> None:
        waiting = asyncio.get_running_loop().create_future()
        self._waiting = waiting
        self._changed()
        try:
            async with asyncio.timeout(timeout):
                reason = await waiting
        except TimeoutError:
            return
        finally:
            if self._waiting is waiting:
                self._waiting = None
        if reason is not None:
            raise ApiError(409, f"Conflict: {reason}")


def pause_after(failures: int) -> float:
    """Seconds until a webhook is called again: growing, at most a minute."""
    return min(60.0, 0.05 * math.pow(2, failures))
