"""What each watcher looks at.  Every part is watched by somebody else than itself.

The gateway looks at each Hermes, at its own ways to people and at its outboxes; each Hermes looks
at the gateway, its agent, its queue and its disk.  So one can speak while the other cannot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from functools import partial

import anyio.abc
from attrs import define, field

from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.health import Check, Sight, Way
from galaxy_core.domain.insight import Level
from galaxy_core.domain.letter import Severity
from galaxy_core.domain.operations import ChannelSign
from galaxy_core.domain.run import DispatcherHealth
from galaxy_core.domain.state import WAITING
from galaxy_core.ports.agent_care import AgentCare
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.machine_folder import MachineFolder
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.outbox import Outbox
from galaxy_core.ports.reporting import Reporting
from galaxy_core.services.backlog import waiting_backlog
from galaxy_core.services.folders import age_key
from galaxy_core.services.health import checks
from galaxy_core.services.health.pulse import Pulse
from galaxy_core.services.health.watch import Probe
from galaxy_core.services.kept import Kept

SLOWLY = timedelta(seconds=10)
"""For what costs a look into files: still within a quarter of a minute."""
AGENT_EVERY = timedelta(seconds=2)
MISSES = 2
"""Looks in a row that an agent may leave unanswered: it may just be starting again."""
STOPPED_GRACE = timedelta(minutes=2)
"""Somebody who stops a daemon knows it; a restart must wake nobody."""
PASSING = timedelta(minutes=1)
"""A network that is away for less is no matter for people."""


@define(eq=False)
class HermesLook:
    """The gateway's look at one Hermes."""

    name: str
    _pulse: Pulse
    _catalogue: OrderCatalogue
    _clock: Clock
    _waiting: Kept[int] = field(init=False)

    def __attrs_post_init__(self) -> None:
        self._waiting = Kept(self._clock, self._count)

    async def __call__(self) -> Sequence[Sight]:
        """Look."""
        heartbeat = await self._pulse.look()
        is_meant_to_run = heartbeat is not None and heartbeat.status != checks.STOPPED
        silence = self._pulse.silence if self._pulse.is_silent else None
        waiting = 0 if is_meant_to_run else await self._waiting.get()
        check = checks.hermes(self.name, heartbeat, silence, waiting=waiting)
        if is_meant_to_run:
            has_work = bool(heartbeat and heartbeat.running)
            severity = Severity.CRITICAL if has_work else Severity.ALERT
            return [Sight(check=check, severity=severity)]
        if not waiting:  # nobody misses it
            check = Check(key=check.key, level=Level.WELL, text=check.text, machine=self.name)
        return [Sight(check=check, grace_seconds=STOPPED_GRACE.total_seconds())]

    async def _count(self) -> int:
        """Orders that could begin, as far as the newest twenty tell."""
        views = await self._catalogue.list(states=WAITING, limit=20)
        return sum(view.waits_until is None for view in views)


@define(eq=False)
class GatewayLook:
    """A Hermes' look at the gateway that serves its folder, if there is one."""

    _pulse: Pulse

    async def __call__(self) -> Sequence[Sight]:
        """Look."""
        heartbeat = await self._pulse.look()
        if heartbeat is None or heartbeat.status == checks.STOPPED:
            check = Check(key="gateway", level=Level.WELL, text="No gateway is meant to run")
            return [Sight(check=check, way=Way.AFTERWARDS)]
        silence = self._pulse.silence if self._pulse.is_silent else None
        check = checks.gateway(heartbeat, silence)
        gateway = Sight(
            check=check, severity=Severity.CRITICAL, way=Way.AFTERWARDS, is_way_blocked=True
        )
        return [gateway]


def channels_look(
    reports: Mapping[str, Reporting], *, has_others: bool
) -> Callable[[], Awaitable[Sequence[Sight]]]:
    """The gateway's look at its ways to people; `has_others` says that there are other ones."""

    async def look() -> Sequence[Sight]:
        # People who have no other way cannot be told by it.
        signs = [each.sign() for each in reports.values()]
        return [_channel(sign, has_other=has_others or len(reports) > 1) for sign in signs]

    return look


def _channel(sign: ChannelSign, *, has_other: bool) -> Sight:
    return Sight(
        check=checks.channel(sign),
        way=Way.LETTER if has_other else Way.PUSH,
        grace_seconds=PASSING.total_seconds(),
        is_way_blocked=True,
    )


@define(eq=False)
class AgentLook:
    """A Hermes' look at its agent, which it has replaced when it hangs."""

    _name: str
    _agent: AgentCare
    _tasks: anyio.abc.TaskGroup
    _misses: int = field(default=0, init=False)
    _is_reviving: bool = field(default=False, init=False)

    async def __call__(self) -> Sequence[Sight]:
        """Look."""
        health = await self._agent.look()
        is_well = health is None or health.is_ready
        self._misses = 0 if is_well else self._misses + 1
        if not is_well and not self._is_reviving:
            # It makes sure by itself, with more patience than this look has.
            self._is_reviving = True
            self._tasks.start_soon(self._revive, name="revive-agent")
        if self._misses < MISSES:
            health = None if health is None else _as_ready(health)
        return [Sight(check=checks.agent(self._name, health))]

    async def _revive(self) -> None:
        try:
            await self._agent.revive()
        finally:
            self._is_reviving = False


def _as_ready(health: DispatcherHealth) -> DispatcherHealth:
    return DispatcherHealth(is_ready=True, name=health.name, version=health.version)


def queue_look(
    name: str, catalogue: OrderCatalogue, clock: Clock, limit: timedelta
) -> Callable[[], Awaitable[Sequence[Sight]]]:
    """A Hermes' look at the orders that wait for it."""
    kept = Kept(clock, partial(waiting_orders, catalogue, clock))

    async def look() -> Sequence[Sight]:
        waiting, oldest = await kept.get()
        check = checks.queue(name, waiting, oldest, limit)
        return [Sight(check=check, severity=Severity.WARNING)]

    return look


async def waiting_orders(catalogue: OrderCatalogue, clock: Clock) -> tuple[int, timedelta | None]:
    """How many orders wait, and for how long the oldest of those that could begin.

    Of very many only the oldest are looked at, and where all of those wait for a time to come, the
    newest too.  So with hundreds of such orders before the first that could begin, the age is too
    low: that of the oldest among the newest; or None, where none of these could begin either.
    """
    backlog = await waiting_backlog(catalogue)
    ages = [age_key(view) for view in backlog.waiting if view.waits_until is None]
    oldest = max(clock.now() - min(ages), timedelta(0)) if ages else None
    return backlog.number_waiting, oldest


def disk_look(
    name: str, folder: MachineFolder, little: int
) -> Callable[[], Awaitable[Sequence[Sight]]]:
    """A look at a disk."""

    async def look() -> Sequence[Sight]:
        try:
            space = await folder.space()
        except TransientError:
            space = None
        check = checks.disk(name, space, little)
        is_full = check.level is Level.UNWELL
        # Where nothing can be written, no letter can.
        return [
            Sight(
                check=check,
                severity=Severity.CRITICAL if is_full else Severity.WARNING,
                is_way_blocked=is_full,
            )
        ]

    return look


def outbox_look(
    outboxes: Mapping[str, Outbox],
) -> Callable[[], Awaitable[Sequence[Sight]]]:
    """The gateway's look at its outboxes.

    Letters that pile up are not told by one more; of undeliverable ones the courier tells the
    owners itself, so that only the second way is left for them.
    """

    async def look() -> Sequence[Sight]:
        sights = []
        for name, outbox in outboxes.items():
            count = await outbox.count()
            sights += [
                Sight(check=check, severity=Severity.WARNING, way=Way.PUSH)
                for check in (checks.outbox(name, count), checks.undeliverable(name, count))
            ]
        return sights

    return look


def slowly(name: str, look: Callable[[], Awaitable[Sequence[Sight]]]) -> Probe:
    """A probe of what costs a look into files."""
    return Probe(name=name, look=look, every=SLOWLY)
