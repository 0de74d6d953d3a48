"""How much one person may ask for, and what is said when it is too much."""

from __future__ import annotations

import math
from collections import Counter, deque
from datetime import timedelta
from functools import partial

from attrs import define, field

from galaxy_core.domain.message import InboundMessage
from galaxy_core.domain.state import WAITING
from galaxy_core.ports.clock import Clock
from galaxy_core.services.gateway.config import GatewayConfig, MachinePorts
from galaxy_core.services.kept import Kept

MINUTE = timedelta(minutes=1)
LOOKED_AT = 1_000
"""Newest waiting orders that are looked at: a backlog of other making must not slow people down."""
_Person = tuple[str | None, str | None]


@define
class PersonLimits:
    """Counts in memory: a restart forgives.  A message that is tried again counts once."""

    _config: GatewayConfig
    _clock: Clock
    _recent: dict[str, deque[tuple[float, str]]] = field(factory=dict, init=False)
    """Monotonic seconds and keys of the messages of the last minute, by person."""
    _counted: dict[str, Kept[Counter[_Person]]] = field(factory=dict, init=False)
    """How many orders of each person waited in a folder, and were let through since.  Its machines
    share them."""

    async def why_not(self, message: InboundMessage, machine: MachinePorts) -> str | None:
        """Why no further order is taken now, in a sentence; None counts one more order."""
        if sentence := await self._why_too_many_wait(message, machine):
            return sentence
        return self._why_too_fast(message)

    async def _why_too_many_wait(
        self, message: InboundMessage, machine: MachinePorts
    ) -> str | None:
        limit, person = self._config.waiting_orders, (message.channel, message.sender_id)
        look = Kept(self._clock, partial(_count, machine))
        kept = self._counted.setdefault(str(machine.layout.repo_path), look)
        # Whoever would be refused may have cancelled some, or had some done, since.
        counted = await kept.get(unless=lambda seen: seen[person] >= limit)
        own = counted[person]
        if own < limit:
            counted[person] += 1
            return None
        return (
            f"You have {own} orders waiting on **{machine.name}**; that is as many as I keep for "
            "one person. Send this again when some are done, or /cancel some: /queue lists them."
        )

    def _why_too_fast(self, message: InboundMessage) -> str | None:
        now, limit = self._clock.monotonic(), self._config.orders_per_minute
        recent = self._recent.setdefault(f"{message.channel}:{message.sender_id}", deque())
        while recent and recent[0][0] <= now - MINUTE.total_seconds():
            recent.popleft()
        if any(key == message.key for _, key in recent):
            return None
        if len(recent) < limit:
            recent.append((now, message.key))
            return None
        wait = max(1, math.ceil(recent[0][0] + MINUTE.total_seconds() - now))
        return (
            f"That is more than {limit} orders in a minute. "
            f"Please send this again in {wait} seconds; I have not kept it."
        )


async def _count(machine: MachinePorts) -> Counter[_Person]:
    waiting = await machine.catalogue.list(states=WAITING, limit=LOOKED_AT)
    return Counter((view.order.channel, view.order.person_id) for view in waiting)
