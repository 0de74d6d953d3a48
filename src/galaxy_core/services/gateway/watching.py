"""Showing people how their orders get on, from a second after they came to their answer.

Nothing here is a record: what it shows is made of the catalogue and the progress feed, which
outlive the gateway, so after a restart it goes on where it was.  The message that shows an order is
remembered by the courier.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta

import anyio
import anyio.abc
import structlog
from attrs import define, evolve, field, frozen

from galaxy_core.domain.ask import short_id
from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.letter import Button, ButtonStyle, Letter, Receipt
from galaxy_core.domain.message import Address
from galaxy_core.domain.operations import OrderView, Progress
from galaxy_core.domain.order import Order
from galaxy_core.domain.progress import add_to_progress
from galaxy_core.domain.run import PermissionRequested, QuestionAsked, RequestResolved
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.status import Draft, OrderStatus, Typing
from galaxy_core.services._concurrency import either, wait_for_event
from galaxy_core.services.backlog import ALL_UP_TO, Backlog, live_orders
from galaxy_core.services.gateway.asks import AskDesk
from galaxy_core.services.gateway.config import GatewayConfig, GatewayPorts, MachinePorts
from galaxy_core.services.gateway.requests import RequestDesk
from galaxy_core.services.gateway.shows import Shows
from galaxy_core.services.kept import Kept

log = structlog.get_logger(__name__)

CANCEL = "c"
"""How the data of a status message's button begins."""
LOOK_AGAIN = timedelta(seconds=30)
"""How often orders are looked for that came by another way: dropped into the folder with a chat."""
WATCHED = ALL_UP_TO
"""Orders up to which such a look takes waiting ones in; those that begin are shown in any case."""
FRESH = timedelta(seconds=1)
"""Shortest time between two states: what changes faster is not read."""
OLDEST = timedelta(seconds=60)
LAST_LOOK = timedelta(milliseconds=250)
LAST_LOOKS = 80
"""Looks at an order whose answer has arrived, until it is archived: some twenty seconds."""
WAITING_LOOK = timedelta(seconds=3)
"""How often a waiting order's place is looked up."""
CROWDED_LOOK = timedelta(seconds=30)
"""The same where so many wait that places are not told; of its beginning the feed tells at once."""
CARD = "card"
"""Kind of the courier's notes on messages."""
KEY = "order:"
ORDER_OVER = "_The order is over._"


@frozen
class _Seen:
    """What a look at a machine's live orders saw."""

    backlog: Backlog
    waiting: Mapping[OrderId, OrderView]


@define
class OrderWatcher:
    """Watches the orders that came from channels."""

    _config: GatewayConfig
    _ports: GatewayPorts
    _courier: Shows
    _asks: AskDesk
    _requests: RequestDesk
    _watches: dict[tuple[str, OrderId], _Watch] = field(factory=dict, init=False)
    _seen: dict[str, Kept[_Seen]] = field(factory=dict, init=False)
    """By machine: read once for all that are watched, else each would have the others read."""
    _tasks: anyio.abc.TaskGroup | None = field(default=None, init=False)

    def watch(self, machine: MachinePorts, order: Order) -> None:
        """Show this order from now on; never waits.  Safe twice."""
        machine = self._runner(machine, order)
        address = self._address(order)
        key = (machine.name, order.id)
        if self._tasks is None or address is None or key in self._watches:
            return
        watch = _Watch(
            machine,
            order,
            address,
            self._config,
            self._ports,
            self._courier,
            self._requests,
            self._asks,
            self._seen_at(machine),
        )
        self._watches[key] = watch
        self._tasks.start_soon(self._serve, watch, name=f"watch-{order.id}")

    async def find(self, digest: str) -> tuple[MachinePorts, Order] | None:
        """The live order that is meant by the button of its status message."""
        for watch in self._watches.values():
            if short_id(watch.order.id) == digest:
                return watch.machine, watch.order
        # Not watched at this moment: somebody looks again soon, but the button is pressed now.
        for machine, order_id, _ in await self._cards():
            if short_id(order_id) == digest:
                view = await machine.catalogue.get(order_id)
                return None if view is None or view.state.is_final else (machine, view.order)
        for machine in self._ports.machines.values():
            for view in (await live_orders(machine.catalogue, newest=True)).views:
                if short_id(view.order.id) == digest:
                    return machine, view.order
        return None

    async def run(self) -> None:
        """Watch until cancelled, those first that were there before we were."""
        async with anyio.create_task_group() as tasks:
            self._tasks = tasks
            try:
                is_tidy = False
                while True:
                    await self._look()
                    is_tidy = is_tidy or await self._tidied_up()
                    await self._ports.clock.sleep(LOOK_AGAIN)
            finally:
                self._tasks = None

    async def delivered(self, letter: Letter, receipts: Sequence[Receipt]) -> None:
        """Hear that a letter was delivered: with the answer its order need not be shown."""
        del receipts
        if letter.order_id is None or not letter.name.startswith("hermes-"):
            return
        for (_, order_id), watch in list(self._watches.items()):
            if order_id == letter.order_id:
                watch.is_answered.set()

    def _runner(self, machine: MachinePorts, order: Order) -> MachinePorts:
        """Of the machines that list the order, since they share a folder, the one that runs it."""
        sharing = self._ports.sharing(machine)
        meant = (each for each in sharing if order.target and order.is_for(each.names))
        return next(meant, sharing[0])

    def _address(self, order: Order) -> Address | None:
        if not order.channel or order.channel not in self._ports.channels or not order.chat_id:
            return None
        return Address(channel=order.channel, chat_id=order.chat_id, topic=order.topic)

    async def _serve(self, watch: _Watch) -> None:
        try:
            await watch.run()
        except TransientError as error:
            # The next look watches it again.
            log.warning("order.watch_failed", order_id=watch.order.id, error=str(error))
        except Exception:
            # Supervision point: an order that cannot be shown is answered all the same.
            log.exception("order.watch_crashed", order_id=watch.order.id)
        finally:
            self._watches.pop((watch.machine.name, watch.order.id), None)

    async def _look(self) -> None:
        for machine in self._ports.machines.values():
            try:
                backlog = (await self._seen_at(machine).renew()).backlog
                waiting = [v for v in backlog.waiting if self._address(v.order) is not None]
                # Of very many that wait, as many as can be followed; what begins, in any case.
                room = max(0, WATCHED - len(self._watches)) if backlog.unseen else len(waiting)
                for view in (*backlog.held, *waiting[:room]):
                    self.watch(machine, view.order)
            except TransientError as error:
                log.warning("order.look_failed", machine=machine.name, error=str(error))

    async def _tidied_up(self) -> bool:
        """Whether what was left of orders that ended while nobody watched is put away."""
        try:
            await self._tidy_up()
        except TransientError as error:
            log.warning("order.tidying_failed", error=str(error))
            return False
        return True

    async def _tidy_up(self) -> None:
        for open_ask in await self._asks.all_open():
            ask = open_ask.ask
            machine = self._ports.machines.get(ask.machine or "")
            if machine is None or ask.order_id is None:
                continue
            view = await machine.catalogue.get(ask.order_id)
            if view is None or view.state.is_final:
                await self._asks.close(ask.id, ORDER_OVER)
        for machine, order_id, key in await self._cards():
            if (machine.name, order_id) in self._watches:
                continue
            view = await machine.catalogue.get(order_id)
            if view is not None and not view.state.is_final:  # of very many, not all were seen
                self.watch(machine, view.order)
                continue
            status = None if view is None else _status(machine, view, None, elapsed=_ran(view))
            self._courier.retire(key, status)

    async def _cards(self) -> Sequence[tuple[MachinePorts, OrderId, str]]:
        """Orders whose status is shown in some message, and the key of that."""
        found = []
        for note in await self._ports.notes.list(CARD):
            if note.key.startswith(KEY):
                name, _, order_id = note.key.removeprefix(KEY).partition(":")
                machine = self._ports.machines.get(name)
                if machine is not None:
                    found.append((machine, OrderId(order_id), note.key))
        return found

    def _seen_at(self, machine: MachinePorts) -> Kept[_Seen]:
        async def look() -> _Seen:
            backlog = await live_orders(machine.catalogue, newest=True)
            return _Seen(backlog, {view.order.id: view for view in backlog.waiting})

        return self._seen.setdefault(machine.name, Kept(self._ports.clock, look))


@define
class _Watch:
    """One order, from its arrival to its answer."""

    machine: MachinePorts
    order: Order
    address: Address
    _config: GatewayConfig
    _ports: GatewayPorts
    _courier: Shows
    _requests: RequestDesk
    _asks: AskDesk
    _seen: Kept[_Seen]
    is_answered: anyio.Event = field(factory=anyio.Event, init=False)
    _changed: anyio.Event = field(factory=anyio.Event, init=False)
    _progress: Progress = field(init=False)
    _asked: dict[str, tuple[str, ...]] = field(factory=dict, init=False)
    """Ids of asks, by the agent's own id of the request."""
    _shown_text: str = field(default="", init=False)

    def __attrs_post_init__(self) -> None:
        self._progress = Progress(order_id=self.order.id)

    @property
    def _key(self) -> str:
        return f"{KEY}{self.machine.name}:{self.order.id}"

    async def run(self) -> None:
        await either(self._follow, self._show, self.is_answered.wait)
        view = await self._last_view()
        status = None if view is None else evolve(self._status(view), buttons=())
        self._courier.retire(self._key, status)
        await self._asks.close_of_order(self.machine.name, self.order.id, ORDER_OVER)

    async def _last_view(self) -> OrderView | None:
        """The order as it ended: its answer is posted, and may arrive, before it is archived."""
        for _ in range(LAST_LOOKS):
            view = await self.machine.catalogue.get(self.order.id)
            if view is None or view.state.is_final:
                return view
            await self._ports.clock.sleep(LAST_LOOK)
        return view

    # ---- hearing

    async def _follow(self) -> None:
        """Keep the progress, and ask what the agent asks; an order may run more than once."""
        number = 0
        while True:
            async for item in self.machine.progress.follow(self.order.id, after=number):
                number = item.number
                self._progress = add_to_progress(self._progress, item)
                await self._hear(item.event)
                self._ring()
            # The run is over; another attempt goes on in the same feed.
            await self._ports.clock.sleep(FRESH)

    async def _hear(self, event: object) -> None:
        if isinstance(event, PermissionRequested | QuestionAsked):
            self._asked[event.request_id] = await self._requests.ask(
                self.machine, self.order, self.address, event
            )
        elif isinstance(event, RequestResolved):
            for ask_id in self._asked.pop(event.request_id, ()):
                await self._asks.close(ask_id, f"_{event.how.capitalize()}._")

    def _ring(self) -> None:
        rung, self._changed = self._changed, anyio.Event()
        rung.set()

    # ---- showing

    async def _show(self) -> None:
        """Until the order is over; then its answer is waited for, which has no status."""
        clock = self._ports.clock
        await clock.sleep(self._config.status_after)
        async with anyio.create_task_group() as group:
            group.start_soon(self._type, name="typing")
            while (view := await self._view()) is not None and not view.state.is_final:
                self._courier.show(self._key, self._status(view), self.address)
                self._draft()
                changed = self._changed
                await clock.sleep(FRESH)
                await wait_for_event(changed, clock, self._pause(view))
            group.cancel_scope.cancel()
        # Its answer may have been delivered before we began to listen.
        await clock.sleep(OLDEST)

    def _pause(self, view: OrderView) -> timedelta:
        """How long a state may stand when nothing changes but the time."""
        if view.state is OrderState.PENDING:
            return WAITING_LOOK if view.place is not None else CROWDED_LOOK
        return min(max((self._elapsed() or FRESH) / 10, WAITING_LOOK), OLDEST)

    async def _type(self) -> None:
        while True:
            if self._is_running():
                self._courier.hint(Typing(), self.address)
            await self._ports.clock.sleep(self._config.typing_every)

    def _draft(self) -> None:
        text = self._progress.text
        if self._config.has_drafts and self._is_running() and text and text != self._shown_text:
            self._shown_text = text
            self._courier.hint(Draft(order_id=self.order.id, text=text), self.address)

    def _is_running(self) -> bool:
        return self._progress.started_at is not None and not self._progress.is_over

    async def _view(self) -> OrderView | None:
        view = None
        if self._progress.started_at is None:
            view = (await self._seen.get()).waiting.get(self.order.id)
        return view or await self.machine.catalogue.get(self.order.id)

    def _elapsed(self) -> timedelta | None:
        started = self._progress.started_at
        return None if started is None else self._ports.clock.now() - started

    def _status(self, view: OrderView) -> OrderStatus:
        is_known = self._progress.started_at is not None
        progress = self._progress if is_known else None
        status = _status(self.machine, view, progress, elapsed=_ran(view) or self._elapsed())
        if view.state.is_final:
            return status
        # A claimed order whose agent works is running to everybody but the queue.
        state = OrderState.RUNNING if self._is_running() else view.state
        button = Button("Cancel", f"{CANCEL}:{short_id(self.order.id)}", ButtonStyle.NEGATIVE)
        return evolve(status, state=state, buttons=((button,),))


def _status(
    machine: MachinePorts,
    view: OrderView,
    progress: Progress | None,
    *,
    elapsed: timedelta | None,
) -> OrderStatus:
    if progress is None and view.ending is not None and view.ending.usage is not None:
        progress = Progress(order_id=view.order.id, usage=view.ending.usage, is_over=True)
    return OrderStatus(
        order_id=view.order.id,
        state=view.state,
        machine=machine.name,
        place=view.place,
        waits_until=view.waits_until,
        elapsed=elapsed,
        progress=progress,
        reply_to=view.order.reply_to,
    )


def _ran(view: OrderView) -> timedelta | None:
    ending = view.ending
    if ending is None or ending.started_at is None:
        return None
    return ending.finished_at - ending.started_at
