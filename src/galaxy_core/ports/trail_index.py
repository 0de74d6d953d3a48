"""Port: figures and searches over audit trails, without reading them each time."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime, timedelta
from typing import Protocol

from attrs import field, frozen

from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.insight import AuditPage, Histogram, Slot
from galaxy_core.domain.state import OrderState


@frozen(kw_only=True)
class TrailTotals:
    """What an index has counted so far."""

    ended: Mapping[tuple[str, OrderState], int] = field(factory=dict)
    """Orders that ended, by machine and final state; those of `earlier` left out."""
    earlier: Mapping[tuple[str, OrderState], int] = field(factory=dict)
    """Orders that ended before there was a trail."""
    events: Mapping[str, int] = field(factory=dict)
    run_seconds: Histogram
    delivery_seconds: Histogram


@frozen(kw_only=True)
class AuditSearch:
    """Which lines are wanted; an empty text and None are no restriction."""

    text: str = ""
    """Stands somewhere in the line, capital or not."""
    event_type: str | None = None
    severity: AuditSeverity | None = None
    machine: str | None = None
    since: datetime | None = None


class TrailFeeder(Protocol):
    """The right to add to an index; at most one process has it."""

    @abstractmethod
    async def marks(self) -> Mapping[str, str]:
        """How far each trail is known, by the trail's name; as `add` was told."""

    @abstractmethod
    async def add(self, trail: str, events: Sequence[AuditEvent], mark: str) -> None:
        """Add the next lines of a trail, and how far it is known with them: both, or neither."""

    @abstractmethod
    async def add_earlier(self, machine: str, ended: Mapping[OrderState, int]) -> None:
        """Count orders that ended before there was a trail; in place of what was said before."""

    @abstractmethod
    async def has_earlier(self, machine: str) -> bool:
        """Whether `add_earlier` was called for the machine."""

    @abstractmethod
    async def forget_before(self, trail: str, first: AuditEvent) -> int:
        """Forget lines of the trail that were added before this one, with which it now begins.

        Some of them: how many; 0 when there are none left, or that line is not known.  `of_order`
        and `search` find them no more; all that is counted stays, and so do ends and marks.
        """

    @abstractmethod
    async def begin_anew(self) -> None:
        """Forget everything."""


class TrailIndex(Protocol):
    """An index that can be thrown away and made again from the trails at any time.

    Safe for several tasks and processes: all read, one feeds.  Methods that read cost little,
    however many orders have ended, and see what was added whole.  An end that is told twice
    counts once.  Each raises `StorageUnavailable` when the store refuses.
    """

    @abstractmethod
    def feeder(self) -> AbstractAsyncContextManager[TrailFeeder | None]:
        """Be the one that feeds it, until the context is left; None when somebody else does."""
        ...

    @abstractmethod
    async def totals(self) -> TrailTotals:
        """All that is counted."""

    @abstractmethod
    async def of_order(self, order_id: OrderId) -> Sequence[AuditEvent]:
        """Every line about the order, oldest first; empty when there is none."""

    @abstractmethod
    async def ended(
        self,
        *,
        machines: frozenset[str] | None = None,
        states: frozenset[OrderState] | None = None,
        limit: int = 50,
        skip: int = 0,
    ) -> Sequence[OrderId]:
        """The orders that ended last, newest first, those of `earlier` left out.

        A machine is the one whose Hermes wrote the end down.
        """

    @abstractmethod
    async def search(
        self, wanted: AuditSearch, *, cursor: str | None = None, limit: int = 100
    ) -> AuditPage:
        """Lines that match, newest first, after the `cursor` of the page before.

        A page may hold fewer than `limit` and yet have a cursor: a search looks at so many lines
        at a time.  A cursor that cannot be read begins at the newest line.
        """

    @abstractmethod
    async def slots(self, since: datetime, width: timedelta, number: int) -> Sequence[Slot]:
        """So many pieces of time from `since` on, those in which nothing ended included."""
