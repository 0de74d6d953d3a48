"""Any `OrderQueue`, driven at random through a worker's life, against a simple model.

    class FileQueueMachine(OrderQueueStateMachine):
        async def start(self) -> QueueHarness: ...
        async def stop(self, harness: QueueHarness) -> None: ...

    TestFileQueue = FileQueueMachine.TestCase
    TestFileQueue.settings = settings(max_examples=30, stateful_step_count=30, deadline=None)

Needs hypothesis (the extra `galaxy-protocol[testing]`), a queue with several workers and
takeover, and a harness whose time is exact: a `ManualClock`.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import partial
from typing import ParamSpec, TypeVar

import hypothesis.strategies as st
from attrs import frozen
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    precondition,
    rule,
)

from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.errors import LeaseLost, OrderNotRetryable
from galaxy_core.domain.ids import OrderId, numbered
from galaxy_core.domain.order import Order, Priority
from galaxy_core.domain.response import Outcome
from galaxy_core.domain.state import HELD, OrderState
from galaxy_core.ports.order_catalogue import CancelResult, OrderCatalogue
from galaxy_core.ports.order_queue import OrderQueue
from galaxy_core.testing.contracts.order_queue.harness import QueueHarness
from galaxy_core.testing.factories import make_ending, make_order
from galaxy_core.testing.one_task import OneTask
from galaxy_core.testing.queue_model import ModelOrder, QueueModel

_Result = TypeVar("_Result")
_Arguments = ParamSpec("_Arguments")

CONVERSATIONS = ("red", "green", "blue")
ENDS = (Outcome.SUCCEEDED, Outcome.FAILED, Outcome.CANCELLED, Outcome.EXPIRED, Outcome.DEAD)
CALLS = ("renew", "ack", "nack", "dead_letter")
_TICKS = st.integers(min_value=0, max_value=20)


@frozen
class _Kind:
    """What is random about a new order."""

    conversation: str
    priority: Priority
    ticks: int | None
    """Time until it is due; None for at once."""
    waits: bool
    """Whether it comes after other orders."""
    is_elsewhere: bool


# Most orders are plain ones, or they would hardly ever meet.
_KINDS = st.builds(
    _Kind,
    conversation=st.sampled_from(CONVERSATIONS),
    priority=st.sampled_from(Priority),
    ticks=st.sampled_from((None, None, None, 0, 5, 20)),
    waits=st.sampled_from((False, False, False, True)),
    is_elsewhere=st.sampled_from((False, False, False, False, False, True)),
)


class OrderQueueStateMachine(RuleBasedStateMachine):
    """Two workers that enqueue, claim, settle, freeze and die, in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.model = QueueModel()
        self._task = OneTask()
        self._queues: dict[str, OrderQueue] = {}
        self._stale: list[tuple[str, Delivery, str]] = []
        """Deliveries that are over: worker, delivery, the call that ended it."""
        self._names = 0
        self._is_started = False

    @abstractmethod
    async def start(self) -> QueueHarness:
        """Make an empty queue."""
        raise NotImplementedError

    async def stop(self, harness: QueueHarness) -> None:
        """Close what `start` and the harness have opened; called in the same task."""

    # ---- rules: orders

    @initialize()
    def begin(self) -> None:
        """Two workers open an empty queue."""
        self._task.__enter__()
        self._is_started = True
        self.harness = self._run(self.start)
        self.catalogue: OrderCatalogue = self._run(self.harness.catalogue)
        self._open()
        self._open()

    @rule(kinds=st.lists(_KINDS, min_size=1, max_size=4), data=st.data())
    def enqueue(self, kinds: list[_Kind], data: st.DataObject) -> None:
        """New orders come in."""
        for kind in kinds:
            known = sorted(self.model.orders)
            after = (
                data.draw(st.lists(st.sampled_from(known), max_size=2))
                if kind.waits and known
                else []
            )
            delay = None if kind.ticks is None else self.harness.tick * kind.ticks
            order = make_order(
                id=f"{kind.conversation}-{len(known)}",
                session=kind.conversation,
                priority=kind.priority,
                not_before=None if delay is None else self.harness.now() + delay,
                after=tuple(after),
                target=self.harness.other_machine if kind.is_elsewhere else None,
            )
            enqueued = self._run(self._some(data).enqueue, order)
            assert (enqueued.order_id, enqueued.is_new) == (order.id, True)
            due = self.model.now + (delay or timedelta(0))
            self.model.add(order, due=due, is_elsewhere=kind.is_elsewhere)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data())
    def enqueue_again(self, data: st.DataObject) -> None:
        """The sender of an order sends it once more, wherever the order stands."""
        known = self._any_order(data).order
        enqueued = self._run(self._some(data).enqueue, known)
        assert (enqueued.order_id, enqueued.is_new) == (known.id, False)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data())
    def enqueue_under_a_used_id(self, data: st.DataObject) -> None:
        """Another order comes in under an id that is taken."""
        known = self._any_order(data).order
        order = make_order(id=known.id, payload=f"other {len(self.model.orders)}")
        expected = next(
            candidate
            for number in range(2, 1000)
            if (candidate := numbered(known.id, number)) not in self.model.orders
        )
        enqueued = self._run(self._some(data).enqueue, order)
        assert (enqueued.order_id, enqueued.is_new) == (expected, True)
        self._add_as(order, expected)

    # ---- rules: work

    @rule(times=st.integers(min_value=1, max_value=5), data=st.data())
    def claim(self, times: int, data: st.DataObject) -> None:
        """Workers take what comes next."""
        for _ in range(times):
            worker = self._worker(data)
            expected = self.model.acceptable()
            if expected:
                assert self._run(self._queues[worker].wait, timedelta(days=1))
            delivery = self._run(self._queues[worker].claim)
            found = set() if delivery is None else {delivery.order.id}
            assert found <= expected, f"{found} came, {expected or 'nothing'} was next"
            assert bool(found) == bool(expected), f"nothing came, {expected} was next"
            if delivery is not None:
                self._take(worker, delivery)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data())
    def claim_only(self, data: st.DataObject) -> None:
        """A worker asks for one order in particular."""
        worker, wanted = self._worker(data), self._any_order(data)
        delivery = self._run(self._queues[worker].claim, only=wanted.order.id)
        is_to_be_had = wanted.end is None and wanted.holder is None
        assert (delivery is not None) == is_to_be_had
        if delivery is not None:
            assert delivery.order.id == wanted.order.id
            self._take(worker, delivery)

    @precondition(lambda self: self._held())
    @rule(data=st.data(), outcome=st.sampled_from(ENDS))
    def end(self, data: st.DataObject, outcome: Outcome) -> None:
        """A worker ends an order that it holds."""
        worker, delivery = self._delivery(data)
        call = "dead_letter" if outcome is Outcome.DEAD else "ack"
        self._run(self._call, worker, call, delivery, outcome)
        self.model.ended(delivery, outcome.state)
        self._stale.append((worker, delivery, call))

    @precondition(lambda self: self._held())
    @rule(data=st.data(), ticks=_TICKS, is_counted=st.booleans())
    def give_back(
        self,
        data: st.DataObject,
        ticks: int,
        is_counted: bool,  # noqa: FBT001 - rules are called by name
    ) -> None:
        """A worker gives an order back."""
        worker, delivery = self._delivery(data)
        delay = self.harness.tick * ticks
        self._run(self._queues[worker].nack, delivery, delay=delay, is_counted=is_counted)
        self.model.given_back(delivery, delay=delay, is_counted=is_counted)
        self._stale.append((worker, delivery, "nack"))

    @precondition(lambda self: self._stale)
    @rule(data=st.data(), call=st.sampled_from(CALLS))
    def call_too_late(self, data: st.DataObject, call: str) -> None:
        """A worker comes back to a delivery that is over."""
        worker, delivery, ended_by = data.draw(st.sampled_from(self._stale))
        # Ending what one has ended oneself is safe twice; everything else is refused.
        if call == ended_by and call != "nack":
            outcome = Outcome.DEAD if call == "dead_letter" else Outcome.SUCCEEDED
            self._run(self._call, worker, call, delivery, outcome)
        elif not {call, ended_by} <= {"ack", "dead_letter"}:
            self._refused(worker, call, delivery)

    # ---- rules: trouble

    @rule(data=st.data())
    def kill(self, data: st.DataObject) -> None:
        """A worker dies, and another one is started."""
        worker = self._worker(data)
        self._run(self.harness.kill, self._queues.pop(worker))
        self.model.died(worker)
        self._stale = [stale for stale in self._stale if stale[0] != worker]
        self._open()
        self._elapse(self.harness.lease * 2)

    @rule(data=st.data())
    def freeze(self, data: st.DataObject) -> None:
        """A worker sleeps through its leases; another takes all of its orders; it wakes up."""
        worker = self._worker(data)
        other = next(name for name in self._queues if name != worker)
        self._run(self.harness.freeze, self._queues[worker])
        lost = self.model.died(worker)
        self._elapse(self.harness.lease * 2)
        for delivery in lost:
            order_id = delivery.order.id
            taken = self._run(self._queues[other].claim, only=order_id)
            assert taken is not None, f"{order_id} is not given up by a frozen worker"
            self._take(other, taken)
        self._run(self.harness.thaw, self._queues[worker])
        for delivery in lost:
            self._refused(worker, data.draw(st.sampled_from(CALLS)), delivery)

    @rule()
    def restart(self) -> None:
        """Everything stops at once and is started anew."""
        self._run(self.harness.restart)
        for worker in self._queues:
            self.model.died(worker)
        self._queues.clear()
        self._stale.clear()
        self.catalogue = self._run(self.harness.catalogue)
        self._open()
        self._open()
        self._elapse(self.harness.lease * 2)

    @rule(ticks=st.integers(min_value=1, max_value=30))
    def elapse(self, ticks: int) -> None:
        """Time passes while the workers say that they live."""
        self._elapse(self.harness.tick * ticks)

    # ---- rules: people

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        """A person wants an order to stop."""
        wanted = self._any_order(data)
        self._let_a_moment_pass()
        result = self._run(self.catalogue.cancel, wanted.order.id)
        if wanted.end is not None:
            assert result is CancelResult.ALREADY_ENDED
        else:
            assert result is CancelResult.REQUESTED
            self.model.cancelled(wanted.order.id)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data())
    def retry(self, data: st.DataObject) -> None:
        """A person wants an order to be tried again."""
        wanted = self._any_order(data)
        if wanted.end in (None, OrderState.SUCCEEDED):
            try:
                self._run(self.catalogue.retry, wanted.order.id)
            except OrderNotRetryable:
                return
            raise AssertionError(f"{wanted.order.id} was retried although it is {wanted.end}")
        self._let_a_moment_pass()
        new_id = self._run(self.catalogue.retry, wanted.order.id)
        if wanted.successor is not None:
            assert new_id == wanted.successor
            return
        assert new_id not in self.model.orders
        wanted.successor = new_id
        view = self._run(self.catalogue.get, new_id)
        assert view is not None
        self.model.add(view.order, is_elsewhere=wanted.is_elsewhere)

    @precondition(lambda self: self.model.orders)
    @rule(data=st.data())
    def look(self, data: st.DataObject) -> None:
        """A person looks at an order."""
        self._check(self._any_order(data))

    def teardown(self) -> None:
        """Every order stands where it should, and nothing else is there."""
        if not self._is_started:
            return
        try:
            # After a failed rule the model is behind, and a second failure would hide the first.
            if sys.exception() is None:
                for order in self.model.orders.values():
                    self._check(order)
                views = self._run(self.catalogue.list, limit=None)
                assert {view.order.id for view in views} == set(self.model.orders)
        finally:
            try:
                self._run(self.stop, self.harness)
            finally:
                self._task.__exit__(None, None, None)

    # ---- what the rules are made of

    def _run(
        self,
        function: Callable[_Arguments, Awaitable[_Result]],
        *args: _Arguments.args,
        **kwargs: _Arguments.kwargs,
    ) -> _Result:
        return self._task.call(partial(function, *args, **kwargs))

    def _open(self) -> None:
        self._names += 1
        name = f"worker-{self._names}"
        self._queues[name] = self._run(self.harness.open, name)

    def _elapse(self, duration: timedelta) -> None:
        async def pass_time() -> None:
            left = duration
            while left > timedelta(0):
                step = min(left, self.harness.lease / 4)
                await self.harness.elapse(step)
                left -= step
                for worker, queue in self._queues.items():
                    for delivery in self.model.held_by(worker):
                        await queue.renew(delivery)

        self._run(pass_time)
        self.model.now += duration

    def _let_a_moment_pass(self) -> None:
        """People come after what was before: a queue may see that by the time of day alone."""
        self._elapse(self.harness.tick)

    async def _call(self, worker: str, call: str, delivery: Delivery, outcome: Outcome) -> None:
        queue = self._queues[worker]
        match call:
            case "renew":
                await queue.renew(delivery)
            case "nack":
                await queue.nack(delivery)
            case "ack":
                await queue.ack(delivery, make_ending(outcome=outcome))
            case _:
                await queue.dead_letter(delivery, make_ending(outcome=Outcome.DEAD))

    def _refused(self, worker: str, call: str, delivery: Delivery) -> None:
        try:
            self._run(self._call, worker, call, delivery, Outcome.FAILED)
        except LeaseLost:
            return
        raise AssertionError(f"{call} of {delivery.order.id} went through under an old lease")

    def _take(self, worker: str, delivery: Delivery) -> None:
        self.model.claimed(worker, delivery)
        known = self.model.orders[delivery.order.id]
        assert delivery.order == known.order
        assert delivery.attempt == known.attempts

    def _check(self, expected: ModelOrder) -> None:
        view = self._run(self.catalogue.get, expected.order.id)
        assert view is not None
        if expected.end is not None:
            assert view.state is expected.end
        elif expected.holder is not None:
            assert view.state in HELD
        else:
            assert view.state is OrderState.PENDING
        assert view.attempts == expected.attempts
        assert view.order == expected.order

    def _add_as(self, order: Order, order_id: OrderId) -> None:
        view = self._run(self.catalogue.get, order_id)
        assert view is not None
        assert view.order.payload == order.payload
        self.model.add(view.order)

    def _held(self) -> list[tuple[str, Delivery]]:
        return [(w, delivery) for w in self._queues for delivery in self.model.held_by(w)]

    def _delivery(self, data: st.DataObject) -> tuple[str, Delivery]:
        return data.draw(st.sampled_from(self._held()))

    def _any_order(self, data: st.DataObject) -> ModelOrder:
        return self.model.orders[data.draw(st.sampled_from(sorted(self.model.orders)))]

    def _worker(self, data: st.DataObject) -> str:
        return data.draw(st.sampled_from(sorted(self._queues)))

    def _some(self, data: st.DataObject) -> OrderQueue:
        return self._queues[self._worker(data)]
