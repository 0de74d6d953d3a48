"""Messages of one chat one after the other, chats side by side."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Coroutine

import anyio.abc
from attrs import define, field

from galaxy_core.domain.message import Inbound


@define
class ChatLanes:
    """Hands messages on in the order of their arrival; a chat has a task while there is work."""

    _take: Callable[[Inbound], Coroutine[None, None, None]]
    _tasks: anyio.abc.TaskGroup
    _waiting: dict[tuple[str, str], deque[Inbound]] = field(factory=dict, init=False)

    def put(self, inbound: Inbound) -> None:
        """Hand it on when what came before it in its chat is done."""
        key = (inbound.channel, inbound.chat_id)
        if key in self._waiting:
            self._waiting[key].append(inbound)
            return
        self._waiting[key] = deque([inbound])
        self._tasks.start_soon(self._work, key, name=f"chat-{inbound.channel}")

    async def _work(self, key: tuple[str, str]) -> None:
        waiting = self._waiting[key]
        try:
            while waiting:
                await self._take(waiting.popleft())
        finally:
            del self._waiting[key]
