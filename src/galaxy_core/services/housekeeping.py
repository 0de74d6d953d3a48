"""A daemon's own tidying: soon after its start, then once a day, what its settings call old.

Nobody has to think of it, so it errs on the side of keeping: only kinds that have an age, only
what nobody needs (`may_go`), on record first.  Cut short anywhere, the next round takes the rest.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import timedelta

import structlog
from attrs import define

from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.tidying import OldKind
from galaxy_core.ports.clock import Clock
from galaxy_core.services.tidying import Tidier

__all__ = ["BY", "GATEWAY_KINDS", "HERMES_KINDS", "Housekeeper"]

log = structlog.get_logger(__name__)

FIRST_AFTER = timedelta(minutes=2)
"""A start has more urgent things to do, and a daemon that dies at once need not begin with it."""
EVERY = timedelta(days=1)
AGAIN_AFTER = timedelta(hours=1)
"""After a round that a full disk or the like cut short; what fails again waits for the next day."""
JUMP = timedelta(days=1)
"""A time of day that has gained so much while we slept was set, or the machine slept too: it is
believed a day later, when whoever set it wrongly has had time to see that."""
BY = "retention"
"""Who did it, in the trail."""

GATEWAY_KINDS = frozenset({OldKind.NOTES, OldKind.WEB})
"""What only the gateway writes."""
HERMES_KINDS = frozenset(OldKind) - GATEWAY_KINDS
"""What lies in a machine's folder, whoever has put it there: one of the two removes each kind."""


@define
class Housekeeper:
    """Tidies one folder for as long as its daemon runs."""

    _tidier: Tidier
    _clock: Clock
    _ages: Mapping[OldKind, timedelta]
    """By kind; a kind without an age is left alone."""
    _kinds: Collection[OldKind]
    """Those that this daemon looks after."""

    async def run(self) -> None:
        """Go round until cancelled."""
        ages = {kind: age for kind, age in self._ages.items() if kind in self._kinds}
        if not ages:
            return
        pause, is_put_off, is_again = FIRST_AFTER, False, False
        while True:
            gained = await self._sleep(pause)
            if gained > JUMP and not is_put_off:
                log.warning("housekeeping.put_off", clock_gained_seconds=gained.total_seconds())
                pause, is_put_off = EVERY, True
                continue
            is_again = not await self._go_round(ages) and not is_again
            pause, is_put_off = AGAIN_AFTER if is_again else EVERY, False

    async def _sleep(self, duration: timedelta) -> timedelta:
        """Sleep; by how much more the time of day went on."""
        clock = self._clock
        now, began = clock.now(), clock.monotonic()
        await clock.sleep(duration)
        return clock.now() - now - timedelta(seconds=clock.monotonic() - began)

    async def _go_round(self, ages: Mapping[OldKind, timedelta]) -> bool:
        """Tidy once; whether it could be done to its end."""
        try:
            done = await self._tidier.tidy(ages, self._clock.now(), by=BY)
        except TransientError as error:
            log.warning("housekeeping.failed", error=str(error))
            return False
        except Exception:
            # Supervision point: a bug in tidying must not end the daemon.
            log.exception("housekeeping.crashed")
            return False
        removed = {each.kind.value: each.old.count for each in done if each.old.count}
        if removed:
            size = sum(each.old.size for each in done)
            log.info("housekeeping.done", removed=removed, bytes=size)
        return True
