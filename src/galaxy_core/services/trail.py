"""Hermes' pen: audit lines with the machine's name on them, and incidents of adapters.

An incident is written twice if Hermes dies before the adapter hears that it is on record; its
letter has a name made of the incident's key, so people get it once.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import deque
from datetime import timedelta

import anyio
import structlog
from attrs import define, field

from galaxy_core.domain.audit import AuditEvent, AuditSeverity, AuditType
from galaxy_core.domain.delivery import Delivery
from galaxy_core.domain.errors import TransientError
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.letter import Letter, LetterFormat, Severity
from galaxy_core.domain.order import JSONValue
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.outbox import Outbox

log = structlog.get_logger(__name__)

_LETTER_SEVERITY = {
    AuditSeverity.INFO: Severity.INFO,
    AuditSeverity.WARNING: Severity.WARNING,
    AuditSeverity.ERROR: Severity.ALERT,
    AuditSeverity.CRITICAL: Severity.CRITICAL,
}
RETRY_PAUSE = timedelta(seconds=5)
PREVIEW_CHARACTERS = 100


def preview(text: str) -> str:
    """The beginning of an order's text, one line, for the trail."""
    return " ".join(text[: PREVIEW_CHARACTERS * 2].split())[:PREVIEW_CHARACTERS]


@define
class Trail:
    """Makes and records audit events of one machine."""

    _audit: AuditSink
    _clock: Clock
    _machine: str

    def event(
        self,
        event_type: AuditType | str,
        order_id: str | None = None,
        *,
        severity: AuditSeverity = AuditSeverity.INFO,
        **data: JSONValue,
    ) -> AuditEvent:
        """An event that happens now; data that is None is left out."""
        return AuditEvent(
            timestamp=self._clock.now(),
            event_type=str(event_type),
            severity=severity,
            order_id=order_id,
            machine=self._machine,
            data={key: value for key, value in data.items() if value is not None},
        )

    def receipt(self, delivery: Delivery, *, is_repeated: bool = False) -> AuditEvent:
        """The line that says an order has come in, written by whoever holds it first."""
        order = delivery.order
        return self.event(
            AuditType.ORDER_RECEIVED,
            order.id,
            sender=order.sender or None,
            channel=order.channel,
            chat_id=order.chat_id,
            priority=order.priority.word,
            payload_preview=preview(order.payload),
            # Whether whoever held it before had written its receipt is not known.
            is_repeated=is_repeated or delivery.is_redelivered or None,
        )

    async def record(self, *events: AuditEvent) -> None:
        """Write them; they are durable on return.  Raises `StorageUnavailable`."""
        await self._audit.record(events)

    async def try_record(self, *events: AuditEvent) -> None:
        """Write lines whose lack must not stop an order; a failure is logged."""
        try:
            await self._audit.record(events)
        except TransientError as error:
            log.error("audit.write_failed", error=str(error), events=[e.event_type for e in events])


@define
class Opening:
    """Lines that wait for the next one to be written, so that they cost no sync of their own."""

    lines: list[AuditEvent] = field(factory=list)

    async def write(self, trail: Trail, *more: AuditEvent) -> None:
        """Write what waits, then `more`.  When it fails, what waited goes on waiting."""
        await trail.record(*self.lines, *more)
        self.lines.clear()

    async def try_write(self, trail: Trail, *more: AuditEvent) -> None:
        """The same, where the lack of a line must not stop an order."""
        try:
            await self.write(trail, *more)
        except TransientError as error:
            log.error("audit.write_failed", error=str(error))


@define
class IncidentDesk:
    """Takes incidents from any thread, and sees that trail and people hear of them.

    An incident leaves the line only when it is written down, so one that could not be, or whose
    writing was cut short, is written later: perhaps its line twice, its letter once.
    """

    _trail: Trail
    _outbox: Outbox
    _clock: Clock
    _machine: str
    _speaker: str = "Hermes"
    """Who its letters are from."""
    _waiting: deque[Incident] = field(factory=deque, init=False)
    _loop: asyncio.AbstractEventLoop | None = field(default=None, init=False)
    _bell: anyio.Event = field(factory=anyio.Event, init=False)

    def report(self, incident: Incident) -> None:
        """Port `IncidentSink`."""
        self._waiting.append(incident)
        loop = self._loop
        if loop is not None:
            # Adapters report from worker threads too; only the loop's own thread may ring.
            with contextlib.suppress(RuntimeError):  # the loop has just been closed
                loop.call_soon_threadsafe(self._ring)

    def _ring(self) -> None:
        self._bell.set()

    async def run(self) -> None:
        """Write down what is reported, until cancelled."""
        self._loop = asyncio.get_running_loop()
        try:
            while True:
                self._bell = anyio.Event()
                if await self.flush():
                    await self._bell.wait()
                else:
                    await self._clock.sleep(RETRY_PAUSE)
        finally:
            self._loop = None

    async def flush(self) -> bool:
        """Write down what was reported so far; False when the store refuses now."""
        while self._waiting:
            incident = self._waiting[0]
            try:
                await self._trail.record(self._line(incident))
                if incident.is_for_people:
                    await self._outbox.post(self._letter(incident))
            except TransientError as error:
                log.error("incident.write_failed", kind=incident.kind, error=str(error))
                return False
            self._waiting.popleft()
            if incident.on_told is not None:
                incident.on_told()
        return True

    def _line(self, incident: Incident) -> AuditEvent:
        return self._trail.event(
            incident.kind,
            incident.order_id,
            severity=incident.severity,
            message=incident.message,
            **dict(incident.data),
        )

    def _letter(self, incident: Incident) -> Letter:
        digest = hashlib.sha256(incident.key.encode("utf-8", "replace")).hexdigest()[:16]
        return Letter(
            name=f"alert-{incident.kind.replace('_', '-')}-{digest}",
            message=incident.message,
            severity=_LETTER_SEVERITY[incident.severity],
            sender=f"{self._speaker} ({self._machine})",
            timestamp=self._clock.now(),
            order_id=incident.order_id,
            format=LetterFormat.PLAIN,
        )
