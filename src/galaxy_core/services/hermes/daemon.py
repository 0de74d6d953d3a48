"""Hermes itself: claims orders, has workers carry them out, keeps the leases, and stops well.

If the process dies anywhere in here, every order it held goes back by itself (the queue's leases)
and the next attempt finds what this one wrote down.
"""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

import anyio
import anyio.abc
import structlog
from attrs import define, field

from galaxy_core.domain.audit import AuditType
from galaxy_core.domain.errors import LeaseLost, TransientError
from galaxy_core.domain.ids import LeaseToken
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.operations import ControlCommand, Heartbeat
from galaxy_core.domain.response import Outcome
from galaxy_core.ports.agent_care import AgentCare
from galaxy_core.services._concurrency import either
from galaxy_core.services.hermes.config import HermesConfig, HermesPorts
from galaxy_core.services.hermes.worker import Left, Worker
from galaxy_core.services.settlement import SettlementDesk
from galaxy_core.services.trail import IncidentDesk, Trail

log = structlog.get_logger(__name__)

FORGET_COMMANDS_AFTER = timedelta(days=1)
"""Age at which a command for an order that nobody knows is dropped."""


class Claimed(enum.Enum):
    """What a look at the queue brought."""

    ORDER = enum.auto()
    NOTHING = enum.auto()
    FAILED = enum.auto()


@define
class Hermes:
    """Runs the orders of one machine until it is told to stop.

    `stop()` may be called from a signal handler's task: nothing more is claimed, running orders
    get `drain_budget` to finish, the rest goes back to the queue.  A second `stop()` skips the
    waiting.
    """

    _ports: HermesPorts
    _config: HermesConfig
    _version: str = ""
    _pid: int | None = None
    _incidents: IncidentDesk = field(init=False)
    _trail: Trail = field(init=False)
    _desk: SettlementDesk = field(init=False)
    _workers: dict[LeaseToken, Worker] = field(factory=dict, init=False)
    """By lease: an order that was given back may be held again before its first worker is done."""
    _stopping: anyio.Event = field(factory=anyio.Event, init=False)
    _hurrying: anyio.Event = field(factory=anyio.Event, init=False)
    _slot_freed: anyio.Event = field(factory=anyio.Event, init=False)
    _started_at: datetime = field(init=False)
    _has_left_runs: bool = field(default=False, init=False)
    _processed: int = field(default=0, init=False)
    _failed: int = field(default=0, init=False)
    _agent_answers: bool | None = field(default=None, init=False)

    def __attrs_post_init__(self) -> None:
        ports, machine = self._ports, self._config.machine
        self._trail = Trail(ports.audit, ports.clock, machine)
        self._incidents = IncidentDesk(self._trail, ports.outbox, ports.clock, machine)
        self._desk = SettlementDesk(
            ports.queue,
            ports.responses,
            ports.outbox,
            ports.journal,
            ports.control,
            self._trail,
            ports.clock,
            machine,
            ports.files,
            self._config.directory,
        )
        self._started_at = ports.clock.now()

    @property
    def has_left_runs(self) -> bool:
        """Whether runs were given back unfinished: the agent should be let work on them."""
        return self._has_left_runs

    def report(self, incident: Incident) -> None:
        """Port `IncidentSink`: adapters tell Hermes what a person should hear of."""
        self._incidents.report(incident)

    def stop(self) -> None:
        """Ask for the end; asked twice, running orders are not waited for."""
        if self._stopping.is_set():
            self._hurrying.set()
        self._stopping.set()

    async def run(self, *, until_idle: bool = False) -> None:
        """Work until `stop()`; with `until_idle`, until nothing can be claimed any more.

        Orders that wait for a time, or for another attempt, are left waiting by `until_idle`.
        """
        await self._trail.try_record(self._trail.event(AuditType.DAEMON_STARTED, pid=self._pid))
        await self._sweep()
        await self._beat("running")
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._incidents.run, name="incidents")
            if self._config.warms_up:
                tasks.start_soon(self._warm_up, name="warm-up")
            tasks.start_soon(self._keep_leases, name="leases")
            tasks.start_soon(self._keep_beating, name="heartbeat")
            if isinstance(self._ports.dispatcher, AgentCare):
                tasks.start_soon(self._keep_asking_agent, self._ports.dispatcher, name="agent")
            tasks.start_soon(self._hear_people, tasks, name="control")
            async with anyio.create_task_group() as workers:
                await self._claim_until_stopped(workers, until_idle=until_idle)
                await self._drain()
            tasks.cancel_scope.cancel()
        with anyio.move_on_after(self._config.stop_deadline.total_seconds()):
            await self._incidents.flush()
        await self._trail.try_record(
            self._trail.event(
                AuditType.DAEMON_STOPPED, processed=self._processed, failed=self._failed
            )
        )
        await self._beat("stopped")

    async def _sweep(self) -> None:
        """Forget what a crash between archiving and forgetting has left in the journal."""
        try:
            for order_id in await self._ports.journal.list():
                view = await self._ports.catalogue.get(order_id)
                if view is not None and view.state.is_final:
                    await self._ports.journal.forget(order_id)
        except TransientError as error:
            log.warning("journal.sweep_failed", error=str(error))

    async def _warm_up(self) -> None:
        """Have the agent started, if it is one that has to be; its first order would else wait."""
        health = await self._ports.dispatcher.check()
        if health.problem is not None:
            log.warning("agent.doubtful", problem=health.problem)

    # ---- claiming

    async def _claim_until_stopped(self, workers: anyio.abc.TaskGroup, *, until_idle: bool) -> None:
        async with anyio.create_task_group() as tasks:
            tasks.start_soon(self._cancel_when_stopping, tasks.cancel_scope, name="stop-claiming")
            while not self._stopping.is_set():
                if len(self._workers) >= self._config.workers:
                    await self._slot_freed.wait()
                    continue
                # Looked at before the claim: an order that ends meanwhile may free another one.
                was_idle = not self._workers
                claimed = await self._claim_one(workers)
                if claimed is Claimed.NOTHING and until_idle and was_idle:
                    break
                # Behind an order there is mostly none: asking whether one waits takes less than
                # looking for what could be claimed, and the order's worker has its turn sooner.
                if claimed is Claimed.NOTHING or (claimed is Claimed.ORDER and not until_idle):
                    await self._wait_for_work(until_idle=until_idle)
            tasks.cancel_scope.cancel()

    async def _cancel_when_stopping(self, scope: anyio.CancelScope) -> None:
        await self._stopping.wait()
        scope.cancel()

    async def _claim_one(self, workers: anyio.abc.TaskGroup) -> Claimed:
        """Claim an order and put a worker on it."""
        try:
            # A claim is never cut in half: the order would be held with nobody working on it.
            with anyio.CancelScope(shield=True):
                delivery = await self._ports.queue.claim()
        except TransientError as error:
            log.error("queue.claim_failed", error=str(error))
            await self._ports.clock.sleep(self._config.renew_every)
            return Claimed.FAILED
        if delivery is None:
            return Claimed.NOTHING
        worker = Worker(delivery, self._ports, self._config, self._trail, self._desk)
        self._workers[delivery.token] = worker
        workers.start_soon(self._work, worker, name=f"order-{delivery.order.id}")
        return Claimed.ORDER

    async def _wait_for_work(self, *, until_idle: bool) -> None:
        """Until the queue may have something; with `until_idle`, also until an order has ended."""
        queue, longest = self._ports.queue, self._config.rescan_every
        try:
            if until_idle:
                await either(lambda: queue.wait(longest), self._slot_freed.wait)
            else:
                # The queue itself hears what an end sets free, and one wait wakes up sooner.
                await queue.wait(longest)
        except TransientError as error:
            log.error("queue.wait_failed", error=str(error))
            await self._ports.clock.sleep(self._config.renew_every)

    async def _drain(self) -> None:
        """Let running orders finish within the budget; then they are given back."""
        clock, budget = self._ports.clock, self._config.drain_budget.total_seconds()
        deadline = clock.monotonic() + budget
        while self._workers and not self._hurrying.is_set():
            left = deadline - clock.monotonic()
            if left <= 0:
                break
            await either(
                lambda: clock.sleep(timedelta(seconds=left)),  # noqa: B023 - awaited right here
                self._slot_freed.wait,
                self._hurrying.wait,
            )
        for worker in list(self._workers.values()):
            worker.leave(Left.STOPPING)

    async def _work(self, worker: Worker) -> None:
        try:
            await worker.work()
        finally:
            del self._workers[worker.delivery.token]
            self._has_left_runs = self._has_left_runs or worker.was_left_running
            if worker.outcome is not None:
                self._processed += 1
                self._failed += worker.outcome in {Outcome.FAILED, Outcome.DEAD}
            freed, self._slot_freed = self._slot_freed, anyio.Event()
            freed.set()

    # ---- beside the workers

    async def _keep_leases(self) -> None:
        while True:
            await self._ports.clock.sleep(self._config.renew_every)
            for worker in list(self._workers.values()):
                try:
                    await self._ports.queue.renew(worker.delivery)
                except LeaseLost:
                    worker.leave(Left.LEASE_LOST)
                except TransientError as error:
                    log.error("queue.renew_failed", error=str(error))
                except Exception:
                    # Supervision point: the leases of all the other orders hang on this loop.
                    log.exception("queue.renew_crashed", order_id=worker.delivery.order.id)

    async def _keep_beating(self) -> None:
        while True:
            await self._ports.clock.sleep(self._config.heartbeat_every)
            await self._beat("draining" if self._stopping.is_set() else "running")

    async def _beat(self, status: str) -> None:
        now = self._ports.clock.now()
        await self._ports.presence.beat(
            Heartbeat(
                status=status,
                machine=self._config.machine,
                started_at=self._started_at,
                last_heartbeat_at=now,
                last_poll_at=now,
                stopped_at=now if status == "stopped" else None,
                orders_processed=self._processed,
                failure_count=self._failed,
                running=tuple(worker.delivery.order.id for worker in self._workers.values()),
                pid=self._pid,
                version=self._version or None,
                dispatcher=self._ports.dispatcher.name,
                agent_answers=self._agent_answers,
            )
        )

    async def _keep_asking_agent(self, agent: AgentCare) -> None:
        """Know whether the agent answers; a beat must not wait for it."""
        while True:
            try:
                health = await agent.look()
                self._agent_answers = None if health is None else health.is_ready
            except Exception:
                # Supervision point: a look that breaks must not end the orders that run.
                log.exception("agent.look_crashed")
                self._agent_answers = False
            await self._ports.clock.sleep(self._config.heartbeat_every)

    async def _hear_people(self, tasks: anyio.abc.TaskGroup) -> None:
        """Hand people's commands to the orders they are meant for.

        A command for an order that waits stays where it is: the order's claim looks for it.
        Each is carried out in a task of its own: stopping a tool may take seconds.
        """
        control, busy = self._ports.control, set[ControlCommand]()

        async def hand_over(worker: Worker, command: ControlCommand) -> None:
            try:
                await worker.take(command)
            except TransientError as error:
                log.error("control.failed", order_id=command.order_id, error=str(error))
            except Exception:
                # Supervision point: one command that cannot be carried out is one order's matter.
                log.exception("control.crashed", order_id=command.order_id)
            finally:
                busy.discard(command)

        while True:
            try:
                commands = [c for c in await control.pending() if c not in busy]
                for command in commands:
                    worker = self._worker_of(command.order_id)
                    if worker is None:
                        await self._drop_if_over(command)
                    elif not worker.is_told(command):
                        busy.add(command)
                        tasks.start_soon(hand_over, worker, command, name="command")
                # What could not be carried out now is tried again soon.
                pause = self._config.renew_every if commands else self._config.rescan_every
                await control.wait(pause)
            except TransientError as error:
                log.error("control.failed", error=str(error))
                await self._ports.clock.sleep(self._config.renew_every)
            except Exception:
                # Supervision point: without this loop nobody could cancel anything.
                log.exception("control.crashed")
                await self._ports.clock.sleep(self._config.renew_every)

    def _worker_of(self, order_id: str) -> Worker | None:
        """The newest worker of an order."""
        found = (w for w in reversed(self._workers.values()) if w.delivery.order.id == order_id)
        return next(found, None)

    async def _drop_if_over(self, command: ControlCommand) -> None:
        """A command that came too late, or for an order that nobody knows, is done with."""
        is_old = self._ports.clock.now() - command.at > FORGET_COMMANDS_AFTER
        # Asked for again and again: all that waits is searched through once, before it is dropped.
        view = await self._ports.catalogue.get(command.order_id, only_enqueued=not is_old)
        is_over = view is not None and view.state.is_final
        is_lost = view is None and is_old
        if is_over or is_lost:
            await self._ports.control.done(command)
