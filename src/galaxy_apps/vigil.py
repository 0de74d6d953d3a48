"""A watch over the main loops of a daemon, and the word of it to the service manager.

The manager's watchdog is fed by a task of the event loop itself, and only while no main loop is
overdue: a frozen process, a blocked event loop and a loop that waits for ever for what never comes
all end the feeding, and with it the process.  A loop that ends ends the process anyway.

The loops are seen from outside, by their calls at the ports: a call that was begun must return in
time, and where the loop always has a next call, that one must come in time too.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, cast, runtime_checkable

from attrs import define, evolve, field

from galaxy_apps.notify import ServiceManager
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.ports.presence import Presence

if TYPE_CHECKING:
    from galaxy_core.domain.delivery import Delivery
    from galaxy_core.ports.order_queue import OrderQueue
    from galaxy_core.ports.outbox import Outbox
    from galaxy_core.services.gateway.config import GatewayPorts

PATIENCE = timedelta(seconds=60)
"""How long a step may take that takes milliseconds: a disk may be busy, it is stuck after that."""
STATUS_EVERY = timedelta(seconds=5)
_A_THIRD = 3
"""Feedings that the watchdog waits for: two of them may come late."""


@runtime_checkable
class Asking(Protocol):
    """A channel that asks somebody for messages, over and over."""

    def stuck_for(self) -> timedelta | None:
        """How long one question has taken that should be over; None when all is well."""


@define(eq=False)
class Vigil:
    """Knows by when each loop must have got on."""

    manager: ServiceManager = field(factory=ServiceManager)
    _time: Callable[[], float] = time.monotonic
    _due: dict[str, float] = field(factory=dict, init=False)
    _checks: list[Callable[[], str | None]] = field(factory=list, init=False)
    _status: str = field(default="", init=False)
    _told: str = field(default="", init=False)
    _is_stopping: bool = field(default=False, init=False)

    # ---- what is known

    def expect(self, what: str, within: timedelta) -> None:
        """From now on `what` must be heard of again in time."""
        self._due[what] = self._time() + within.total_seconds()

    def done(self, what: str) -> None:
        """Nothing is expected of it for now."""
        self._due.pop(what, None)

    @contextmanager
    def during(self, what: str, within: timedelta) -> Iterator[None]:
        """It must be over in time."""
        self.expect(what, within)
        try:
            yield
        finally:
            self.done(what)

    def check(self, question: Callable[[], str | None]) -> None:
        """Ask this too: a sentence says what is stuck."""
        self._checks.append(question)

    def overdue(self) -> tuple[str, ...]:
        """What should have been heard of; nothing any more once the end was asked for."""
        if self._is_stopping:
            return ()
        now = self._time()
        late = [what for what, due in self._due.items() if now > due]
        return (*late, *filter(None, (question() for question in self._checks)))

    # ---- what is told

    def say(self, status: str) -> None:
        """Have this shown as the daemon's state, soon."""
        self._status = status

    def ready(self, status: str) -> None:
        """The daemon works."""
        self._status = self._told = status
        self.manager.ready(status)

    def stopping(self, within: timedelta) -> None:
        """The end was asked for, and may take so long."""
        self._is_stopping = True
        self.manager.stopping("stopping: what runs may come to its end", within)

    async def keep(self) -> None:
        """Feed the watchdog and tell the state until cancelled; nothing where nobody listens."""
        import anyio
        import structlog

        log = structlog.get_logger(__name__)
        if not self.manager.is_there:
            return
        every, was_stuck = STATUS_EVERY, False
        if self.manager.watchdog is not None:
            every = min(every, self.manager.watchdog / _A_THIRD)
        while True:
            late = self.overdue()
            if late and not was_stuck:
                log.error("daemon.stuck", parts=list(late), consequence="the watchdog is not fed")
            elif not late:
                self.manager.alive()
            was_stuck = bool(late)
            if self._status != self._told:
                self._told = self._status
                self.manager.status(self._status)
            await anyio.sleep(every.total_seconds())

    # ---- Hermes' loops

    def over_presence(self, presence: Presence) -> Presence:
        """The same, heard of at each beat; the first one says that Hermes works."""
        return _WatchedPresence(presence, self)

    def over_queue(self, queue: OrderQueue) -> OrderQueue:
        """The same, with the loop that claims heard of."""
        return cast("OrderQueue", _WatchedQueue(queue, self))

    # ---- the gateway's loops

    def over_gateway(self, ports: GatewayPorts) -> GatewayPorts:
        """The same, with the courier's looks into its outboxes and the channels' ears heard of."""
        # What stands before a channel (masking) need not have all of it.
        for name, channel in {**ports.channels, **ports.reports}.items():
            if isinstance(channel, Asking):
                self.check(partial(_stuck, name, channel))
        return evolve(
            ports,
            mailboxes=[
                evolve(box, outbox=cast("Outbox", _WatchedOutbox(box.outbox, self, box.name)))
                for box in ports.mailboxes
            ],
        )


def _stuck(name: str, channel: Asking) -> str | None:
    since = channel.stuck_for()
    return None if since is None else f"{name} (one question has taken {since.seconds} s)"


@define(eq=False)
class _WatchedPresence(Presence):
    _inner: Presence
    _vigil: Vigil
    _is_ready: bool = field(default=False, init=False)

    async def beat(self, heartbeat: Heartbeat) -> None:
        """Port `Presence`."""
        self._vigil.expect("heartbeat", PATIENCE)
        await self._inner.beat(heartbeat)
        status = (
            f"{heartbeat.status}: {len(heartbeat.running)} at work, "
            f"{heartbeat.orders_processed} done, {heartbeat.failure_count} failed"
        )
        if heartbeat.status == "stopped":
            self._vigil.done("heartbeat")
        elif not self._is_ready:
            self._is_ready = True
            self._vigil.ready(status)
        else:
            self._vigil.say(status)

    async def read(self) -> Heartbeat | None:
        """Port `Presence`."""
        return await self._inner.read()


@define(eq=False)
class _Watched:
    """A port of which some calls are heard of; all else goes straight through."""

    _inner: Any

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 - any attribute of any port
        return getattr(self._inner, name)


@define(eq=False)
class _WatchedQueue(_Watched):
    _vigil: Vigil

    async def claim(self, **options: Any) -> Delivery | None:  # noqa: ANN401 - the port's
        """Port `OrderQueue`; what is heard of next is a wait, unless an order was found."""
        with self._vigil.during("claim", PATIENCE):
            delivery: Delivery | None = await self._inner.claim(**options)
        if delivery is None:
            self._vigil.expect("claim", PATIENCE)
        return delivery

    async def wait(self, timeout: timedelta | None = None) -> bool:  # noqa: ASYNC109  the port's
        """Port `OrderQueue`; what is heard of next is a claim."""
        if timeout is None:
            return bool(await self._inner.wait())
        with self._vigil.during("claim", timeout + PATIENCE):
            is_awake = bool(await self._inner.wait(timeout))
        self._vigil.expect("claim", PATIENCE)
        return is_awake


@define(eq=False)
class _WatchedOutbox(_Watched):
    _vigil: Vigil
    _name: str

    async def pending(self, *positions: Any, **options: Any) -> Any:  # noqa: ANN401 - the port's
        """Port `Outbox`."""
        with self._vigil.during(f"outbox {self._name}", PATIENCE):
            return await self._inner.pending(*positions, **options)

    async def wait(self, timeout: timedelta | None = None) -> bool:  # noqa: ASYNC109  the port's
        """Port `Outbox`."""
        if timeout is None:
            return bool(await self._inner.wait())
        with self._vigil.during(f"outbox {self._name}", timeout + PATIENCE):
            return bool(await self._inner.wait(timeout))
