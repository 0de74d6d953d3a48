"""A watcher: looks at everything again and again, each thing at its own pace, and tells the desk.

Each look has a task of its own, so that one that takes long holds up no other; one that does not
come to its end is itself a finding.  The watcher changes nothing in what it watches but by
`AgentCare.revive`; everything else repairs itself, or is told to people.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import timedelta

import anyio
import structlog
from attrs import define, field, frozen

from galaxy_core.domain.errors import GalaxyError
from galaxy_core.domain.health import Check, Sight
from galaxy_core.domain.insight import Level
from galaxy_core.ports.clock import Clock
from galaxy_core.services.health.alerts import AlertDesk
from galaxy_core.services.trail import Trail

log = structlog.get_logger(__name__)

TICK = timedelta(seconds=1)
BLOCKED_AFTER = timedelta(seconds=5)
"""A second that takes so much longer: something blocked the event loop, or froze the process."""
STUCK_AFTER = timedelta(seconds=30)
"""A look that takes so long beyond its pace does not come to its end."""
LOOP_BLOCKED = "event_loop_blocked"
"""Event type in the trail."""


@frozen(kw_only=True)
class Probe:
    """One kind of look."""

    name: str
    look: Callable[[], Awaitable[Iterable[Sight]]]
    every: timedelta = TICK


@define(eq=False)
class Watch:
    """Watches for one daemon until cancelled."""

    _probes: Sequence[Probe]
    _desk: AlertDesk
    _trail: Trail
    _clock: Clock
    _seen: dict[str, dict[str, Sight]] = field(factory=dict, init=False)
    """By probe and key."""
    _looked_at: dict[str, float] = field(factory=dict, init=False)

    async def run(self) -> None:
        """Watch."""
        await self._desk.open()
        begun = self._clock.monotonic()
        self._looked_at = {probe.name: begun for probe in self._probes}
        async with anyio.create_task_group() as tasks:
            for probe in self._probes:
                tasks.start_soon(self._keep_looking, probe, name=f"look-{probe.name}")
            while True:
                before = self._clock.monotonic()
                await self._clock.sleep(TICK)
                await self._note_blocking(before)
                await self._tell()

    async def _tell(self) -> None:
        sights = [sight for seen in self._seen.values() for sight in seen.values()]
        sights += self._stuck()
        is_complete = len(self._seen) == len(self._probes)
        try:
            await self._desk.look(sights, is_complete=is_complete)
        except Exception:
            # Supervision point: a defect in telling must not end the daemon that is watched.
            log.exception("watch.telling_crashed")

    async def _keep_looking(self, probe: Probe) -> None:
        while True:
            try:
                self._seen[probe.name] = {s.check.key: s for s in await probe.look()}
            except GalaxyError as error:
                log.warning("watch.look_failed", probe=probe.name, error=str(error))
            except Exception:
                # Supervision point: as above; the other looks go on.
                log.exception("watch.look_crashed", probe=probe.name)
            self._looked_at[probe.name] = self._clock.monotonic()
            await self._clock.sleep(probe.every)

    def _stuck(self) -> list[Sight]:
        now, found = self._clock.monotonic(), []
        for probe in self._probes:
            late = now - self._looked_at[probe.name] - probe.every.total_seconds()
            is_stuck = late > STUCK_AFTER.total_seconds()
            check = Check(
                key=f"look:{probe.name}",
                level=Level.UNWELL if is_stuck else Level.WELL,
                text=f"A look at {probe.name} does not come to its end",
                remedy="A disk or a network folder may hang: see whether `ls` in the folder does.",
            )
            found.append(Sight(check=check))
        return found

    async def _note_blocking(self, before: float) -> None:
        late = self._clock.monotonic() - before - TICK.total_seconds()
        if late < BLOCKED_AFTER.total_seconds():
            return
        # While we were away no look could come to its end.
        self._looked_at = dict.fromkeys(self._looked_at, self._clock.monotonic())
        log.warning("event_loop.blocked", seconds=round(late, 1))
        await self._trail.try_record(self._trail.event(LOOP_BLOCKED, seconds=round(late, 1)))
