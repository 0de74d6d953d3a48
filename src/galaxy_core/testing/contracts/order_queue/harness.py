"""What a queue's author provides so that the suite can play days, deaths and takeovers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from datetime import datetime, timedelta

import anyio
from attrs import frozen

from galaxy_core.domain.delivery import Delivery
from galaxy_core.ports.control import Control
from galaxy_core.ports.order_catalogue import OrderCatalogue
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.contracts.contract import PROMPT_SECONDS


@frozen(kw_only=True)
class QueueFeatures:
    """What a queue can do beyond the bare contract."""

    has_several_workers: bool = True
    """Several processes may open the queue and claim from it at the same time."""
    has_takeover: bool = True
    """What a dead or frozen worker held is given to another one within a few lease times."""
    survives_restart: bool = True
    """Everything accepted is still there after every process has ended."""
    has_other_machines: bool = True
    """It can be told which targets another Hermes serves; the harness's queue is told
    `QueueHarness.other_machine`."""
    cancels_through_control: bool = True
    """`OrderCatalogue.cancel` leaves a `CancelRequested` with the machine's `Control`, where
    whoever holds or claims the order hears of it.  Else the caller has to send that too."""


class QueueHarness(ABC):
    """One fresh, empty queue of the machine `machine`, as the suite sees it.

    Everything that takes time goes through `elapse`.  With a `ManualClock` that is its own
    `elapse`; a queue behind a server may set its lease time to a fraction of a second and wait.
    """

    machine: str = "test"
    other_machine: str = "elsewhere"
    """A machine whose orders another Hermes serves from the same place."""
    lease: timedelta = timedelta(seconds=60)
    """Time after which a silent worker's orders may be taken over."""
    tick: timedelta = timedelta(seconds=1)
    """A short time: much shorter than `lease`, long enough to be told apart."""

    @abstractmethod
    async def open(self, worker: str = "worker-1") -> OrderQueue:
        """Open the queue as a worker process of this name does; names are used once."""

    @abstractmethod
    def now(self) -> datetime:
        """The time of day, as the queue sees it."""

    @abstractmethod
    async def elapse(self, duration: timedelta) -> None:
        """Let time pass for the queue and for whoever waits in it.

        Returns when what that sets going is done, a takeover in the background for example: the
        state machine expects the next claim to see it.
        """

    @abstractmethod
    async def catalogue(self) -> OrderCatalogue:
        """The catalogue of the same orders."""

    async def control(self) -> Control:
        """The control of the same machine, as Hermes opens it."""
        raise NotImplementedError

    async def kill(self, queue: OrderQueue) -> None:
        """End the worker as `kill -9` does: nothing is given back, nothing tidied up."""
        raise NotImplementedError

    async def freeze(self, queue: OrderQueue) -> None:
        """Stop the worker as SIGSTOP does; the suite makes no call to it until `thaw`."""
        raise NotImplementedError

    async def thaw(self, queue: OrderQueue) -> None:
        """Let the worker go on, unaware of the time that has passed."""
        raise NotImplementedError

    async def restart(self) -> None:
        """End every process that has the queue open; `open` afterwards finds what was stored."""
        raise NotImplementedError

    # ---- what suites do with it

    async def claim(self, queue: OrderQueue) -> Delivery:
        """Claim what must be there."""
        delivery = await queue.claim()
        assert delivery is not None, "nothing could be claimed"
        return delivery

    async def claim_in_time(self, queue: OrderQueue) -> Delivery:
        """Claim what must be there within a few lease times."""
        for _ in range(4):
            delivery = await queue.claim()
            if delivery is not None:
                return delivery
            await self.elapse(self.lease)
        raise AssertionError("nothing could be claimed within four lease times")

    async def next(self, queue: OrderQueue) -> Delivery:
        """Wait for the next delivery as Hermes does: claim, and `wait` when there is none."""
        with anyio.fail_after(PROMPT_SECONDS):
            while (delivery := await queue.claim()) is None:
                await queue.wait(timedelta(days=1))
        return delivery

    async def elapse_alive(
        self, duration: timedelta, queue: OrderQueue, *deliveries: Delivery
    ) -> None:
        """Let time pass while the worker goes on renewing what it holds."""
        step = self.lease / 4
        while duration > timedelta(0):
            await self.elapse(min(step, duration))
            duration -= step
            for delivery in deliveries:
                await queue.renew(delivery)
