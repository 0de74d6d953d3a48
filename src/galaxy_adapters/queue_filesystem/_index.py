"""Which waiting order comes next: in memory, at a cost that does not grow with their number.

Conversations are lanes, each a heap by arrival, but that an order which was begun comes before all
others: they must not go on in its session while it is broken off.  A lane that may give out an
order stands in a heap by urgency; one whose first order waits for another attempt, in a heap by
time.  An order that waits for its own time, for other orders or for another machine has not joined
its lane.  What leaves is marked and dropped when it comes to the top.

Does no I/O and reads no clock.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime, timedelta

from attrs import define, field

from galaxy_adapters.queue_filesystem._paths import ENDING, lane_key
from galaxy_adapters.queue_filesystem._reader import Stamp
from galaxy_core.domain.ids import OrderId, numbered
from galaxy_core.domain.order import Order, Priority

Arrival = tuple[int, str]
"""Change time of the file in ns, then its name: the order of arrival."""
Turn = tuple[bool, Arrival]
"""Whether it was never begun, and its arrival: the order within a conversation."""
Place = tuple[int, Arrival] | float
"""Urgency and arrival of a lane that may give out an order; else the second of its next try."""

_FEW = 64
"""So many outdated places are never worth a tidying."""


@define(eq=False)
class Lane:
    """One conversation's waiting orders."""

    key: str
    waiting: list[tuple[Turn, int, Entry]] = field(factory=list)
    by_priority: list[int] = field(factory=lambda: [0] * len(Priority))
    held: int = 0
    """Orders of it that we hold."""
    is_busy: bool = False
    """Whether another worker holds one."""
    version: int = 0
    """Places in heaps that were taken with an older version do not count."""
    place: Place | None = None
    """Where it stands in a heap now."""

    def head(self) -> Entry | None:
        """The first order; drops those that left."""
        while self.waiting:
            entry = self.waiting[0][2]
            if entry.is_listed and entry.has_joined:
                return entry
            heapq.heappop(self.waiting)
        return None


@define(eq=False)
class Entry:
    """One waiting order, without its text."""

    name: str
    stamp: Stamp
    wanted_id: OrderId
    order_id: OrderId
    lane: Lane
    priority: Priority
    not_before: datetime | None
    after: tuple[OrderId, ...]
    is_foreign: bool
    """Whether another Hermes serves its machine from this folder."""
    is_begun: bool = False
    """Whether somebody has had it before.  A date can place others before it: a clock that was set
    back, a file that was moved in."""
    retry_at: float | None = None
    """Monotonic second before which it is not given out again."""
    given_back_at: datetime | None = None
    known_wish: datetime | None = None
    """The newest wish to cancel it that was known when it was given back."""
    is_listed: bool = True
    has_joined: bool = False

    @property
    def arrival(self) -> Arrival:
        """Its place in time."""
        return (self.stamp[0], self.name)

    @property
    def turn(self) -> Turn:
        """Its place in its conversation."""
        return (not self.is_begun, self.arrival)


@define(eq=False)
class Index:
    """All waiting orders that are known.

    `names` and `others` are machines' names, casefolded: our own, and those that another Hermes
    serves.  `has_ended` asks whether an order is in the archive.
    """

    machine: str
    names: frozenset[str]
    others: frozenset[str]
    has_ended: Callable[[OrderId], bool]
    is_taken: Callable[[OrderId, str, int], bool] = lambda _id, _name, _modified_ns: False
    """Asks whether an id belongs to another order than that in the file of this name and time."""
    newest_ns: int = 0
    """The latest change time of a file seen so far."""
    _entries: dict[str, Entry] = field(factory=dict)
    _by_id: dict[OrderId, Entry] = field(factory=dict)
    _lanes: dict[str, Lane] = field(factory=dict)
    _ready: list[tuple[int, Arrival, int, int, Lane]] = field(factory=list)
    _delayed: list[tuple[float, int, int, Lane]] = field(factory=list)
    _timed: list[tuple[datetime, int, Entry]] = field(factory=list)
    _dependants: dict[OrderId, list[Entry]] = field(factory=dict)
    _cancelled: dict[OrderId, datetime] = field(factory=dict)
    _next_number: dict[OrderId, int] = field(factory=dict)
    _tie: Iterator[int] = field(factory=itertools.count)

    def __len__(self) -> int:
        return len(self._entries)

    # ---- orders come and go

    def add(
        self,
        name: str,
        order: Order,
        stamp: Stamp,
        *,
        wanted_id: OrderId | None = None,
        is_begun: bool = False,
    ) -> Entry:
        """Note a waiting order; the newest content of `name` counts."""
        self.remove(name)
        key = lane_key(order.conversation(self.machine))
        target = order.target.casefold() if order.target else ""
        entry = Entry(
            name=name,
            stamp=stamp,
            wanted_id=wanted_id or order.id,
            order_id=wanted_id or order.id,
            lane=self._lane(key),
            priority=order.priority,
            not_before=order.not_before,
            after=order.after,
            is_foreign=target in self.others and target not in self.names,
            is_begun=is_begun,
        )
        self._entries[name] = entry
        self.newest_ns = max(self.newest_ns, stamp[0])
        self._give_id(entry)
        self._settle(entry)
        return entry

    def remove(self, name: str) -> Entry | None:
        """Forget a waiting order."""
        entry = self._entries.pop(name, None)
        if entry is None:
            return None
        entry.is_listed = False
        if self._by_id.get(entry.order_id) is entry:
            del self._by_id[entry.order_id]
        if entry.has_joined:
            entry.lane.by_priority[entry.priority] -= 1
        self._rank(entry.lane)
        return entry

    def get(self, name: str) -> Entry | None:
        """The order in the file `name`."""
        return self._entries.get(name)

    def find(self, order_id: OrderId) -> Entry | None:
        """The order with this id."""
        return self._by_id.get(order_id)

    def file_names(self) -> Iterable[str]:
        """The files of all orders."""
        return self._entries.keys()

    def delay(
        self,
        entry: Entry,
        *,
        until: float,
        given_back_at: datetime | None,
        known_wish: datetime | None,
    ) -> None:
        """Give the order out no sooner; later ones of its lane wait behind it.

        A wish to cancel it that is newer than `known_wish` is obeyed all the same.
        """
        entry.retry_at = until
        entry.given_back_at = given_back_at
        entry.known_wish = known_wish
        self._rank(entry.lane)

    # ---- lanes

    def hold(self, entry: Entry) -> Lane:
        """The order is ours now: it leaves the index, and its lane stands still."""
        lane = self._lane(entry.lane.key)
        lane.held += 1
        self.remove(entry.name)
        self._rank(lane)
        return lane

    def let_go(self, lane: Lane) -> None:
        """An order of the lane is not ours any more."""
        lane.held -= 1
        self._rank(lane)

    def mark_busy(self, key: str) -> None:
        """Another worker holds an order of the lane; remembered also for orders to come."""
        lane = self._lane(key)
        if not lane.is_busy:
            lane.is_busy = True
            self._rank(lane)

    def is_busy(self, key: str) -> bool:
        """Whether another worker holds an order of the lane, as far as was heard."""
        lane = self._lanes.get(key)
        return lane is not None and lane.is_busy

    def mark_free(self, key: str) -> bool:
        """No other worker holds one any more; whether an order waited for that."""
        lane = self._lanes.get(key)
        if lane is None or not lane.is_busy:
            return False
        lane.is_busy = False
        self._rank(lane)
        return lane.place is not None

    def set_busy(self, keys: frozenset[str]) -> None:
        """Exactly these lanes are held by other workers."""
        for key, lane in list(self._lanes.items()):
            if lane.is_busy and key not in keys:
                self.mark_free(key)
        for key in keys:
            self.mark_busy(key)

    # ---- wishes and ends

    def set_cancelled(self, cancelled: dict[OrderId, datetime]) -> bool:
        """Orders that people want cancelled, and since when; whether that is news."""
        is_news = cancelled != self._cancelled
        self._cancelled = cancelled
        return is_news

    def wish(self, order_id: OrderId) -> datetime | None:
        """When somebody wanted the order cancelled; None when nobody did."""
        return self._cancelled.get(order_id)

    def note_end(self, order_id: OrderId) -> bool:
        """An order is in the archive now; whether others wait for that."""
        waiting = self._dependants.pop(order_id, ())
        for entry in waiting:
            if entry.is_listed and not entry.has_joined:
                self._settle(entry)
        return bool(waiting)

    def check_ends(self) -> None:
        """Look whether orders that others wait for have ended."""
        for order_id in [o for o in self._dependants if self.has_ended(o)]:
            self.note_end(order_id)

    # ---- the next one

    def next(self, now: float, day: datetime) -> Entry | None:
        """The order to be claimed now; it stays in the index.  `now` is monotonic."""
        wanted = self.next_cancelled(now)
        if wanted is not None:
            return wanted
        self._wake(now, day)
        while self._ready:
            _, _, version, _, lane = self._ready[0]
            if version == lane.version:
                head = lane.head()
                if head is not None:
                    return head
            heapq.heappop(self._ready)
        return None

    def next_cancelled(self, now: float) -> Entry | None:
        """The oldest order that is to be given out for being ended."""
        found = [
            entry
            for order_id, asked_at in self._cancelled.items()
            if (entry := self._by_id.get(order_id)) is not None
            # Given back after the wish was known (its answer could not be stored, say): the
            # delay stands, or the worker would spin.
            and (
                entry.retry_at is None
                or entry.retry_at <= now
                or entry.known_wish is None
                or asked_at > entry.known_wish
            )
        ]
        return min(found, key=lambda entry: entry.arrival, default=None)

    def until_next(self, now: float, day: datetime) -> timedelta | None:
        """Time until `next` may change by itself; None when only an event can change it."""
        self._wake(now, day)
        while self._timed and not self._timed[0][2].is_listed:
            heapq.heappop(self._timed)
        moments = [timedelta(seconds=self._delayed[0][0] - now)] if self._delayed else []
        if self._timed:
            moments.append(self._timed[0][0] - day)
        return min(moments, default=None)

    # ---- inside

    def _lane(self, key: str) -> Lane:
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = Lane(key)
        return lane

    def _settle(self, entry: Entry) -> None:
        """Let the order wait for what it waits for, or join its lane."""
        if entry.is_foreign:
            return
        unmet = next((o for o in entry.after if not self.has_ended(o)), None)
        if unmet is not None:
            self._dependants.setdefault(unmet, []).append(entry)
            return
        if entry.not_before is not None:
            heapq.heappush(self._timed, (entry.not_before, next(self._tie), entry))
            if len(self._timed) > 2 * len(self._entries) + _FEW:
                self._timed = [item for item in self._timed if item[2].is_listed]
                heapq.heapify(self._timed)
            return
        self._join(entry)

    def _join(self, entry: Entry) -> None:
        # Its lane may have been forgotten and made anew while the order stood outside.
        entry.lane = self._lane(entry.lane.key)
        entry.has_joined = True
        entry.lane.by_priority[entry.priority] += 1
        heapq.heappush(entry.lane.waiting, (entry.turn, next(self._tie), entry))
        self._rank(entry.lane)

    def _rank(self, lane: Lane) -> None:
        """Give the lane its place anew, after anything about it changed."""
        head = lane.head()
        place = None if lane.held or lane.is_busy or head is None else _place_of(lane, head)
        # One that comes in behind others changes nothing: were it to leave an outdated place
        # behind all the same, later claims would have to clear away as many as there are orders.
        if place != lane.place:
            lane.version += 1
            self._put(lane, place)
        if head is None and not lane.held and not lane.is_busy:
            self._drop_if_unused(lane)

    def _put(self, lane: Lane, place: Place | None) -> None:
        lane.place = place
        if isinstance(place, tuple):
            heapq.heappush(self._ready, (*place, lane.version, next(self._tie), lane))
        elif place is not None:
            heapq.heappush(self._delayed, (place, lane.version, next(self._tie), lane))
        self._clear_heaps()

    def _clear_heaps(self) -> None:
        """Drop outdated places when most are: who only hands orders in never asks for the next."""
        most = 2 * len(self._lanes) + _FEW
        if len(self._ready) > most:
            self._ready = [item for item in self._ready if item[2] == item[4].version]
            heapq.heapify(self._ready)
        if len(self._delayed) > most:
            self._delayed = [item for item in self._delayed if item[1] == item[3].version]
            heapq.heapify(self._delayed)

    def _drop_if_unused(self, lane: Lane) -> None:
        """Forget an empty lane, so that old conversations cost nothing."""
        if self._lanes.get(lane.key) is lane:
            del self._lanes[lane.key]

    def _wake(self, now: float, day: datetime) -> None:
        """Let those join or be ready whose time has come."""
        while self._timed and (not self._timed[0][2].is_listed or self._timed[0][0] <= day):
            entry = heapq.heappop(self._timed)[2]
            if entry.is_listed and not entry.has_joined:
                self._join(entry)
        while self._delayed:
            due, version, _, lane = self._delayed[0]
            if version == lane.version and due > now:
                return
            heapq.heappop(self._delayed)
            if version == lane.version:
                head = lane.head()
                if head is not None:
                    head.retry_at = None
                    self._put(lane, _place_of(lane, head))

    def _give_id(self, entry: Entry) -> None:
        """Find the id under which the order is known while it waits.

        The file that was claimed under an id keeps it; then the one that is named after it has
        the best claim, then the one that was here first; the others are numbered.
        """
        is_taken = self._is_taken(entry.wanted_id, entry)
        rival = self._by_id.get(entry.wanted_id)
        if rival is not None and not is_taken and f"{entry.wanted_id}{ENDING}" == entry.name:
            entry.order_id = entry.wanted_id
            self._by_id[entry.wanted_id] = entry
            entry, rival = rival, entry
        if rival is not None or is_taken:
            number = self._next_number.get(entry.wanted_id, 2)
            candidate = numbered(entry.wanted_id, number)
            while candidate in self._by_id or self._is_taken(candidate, entry):
                number += 1
                candidate = numbered(entry.wanted_id, number)
            self._next_number[entry.wanted_id] = number
            entry.order_id = candidate
        self._by_id[entry.order_id] = entry

    def _is_taken(self, order_id: OrderId, entry: Entry) -> bool:
        return self.is_taken(order_id, entry.name, entry.stamp[0])


def _place_of(lane: Lane, head: Entry) -> Place:
    if head.retry_at is not None:
        return head.retry_at
    highest = max(p for p in Priority if lane.by_priority[p])
    return (-highest, head.arrival)
