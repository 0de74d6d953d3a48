"""Conversations' sessions and the audit trail, as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from attrs import frozen

from galaxy_adapters.http_api.schema import Anything
from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.insight import AuditPage
from galaxy_core.domain.session import Session


@frozen(kw_only=True)
class SessionDocument:
    """Which agent session serves a conversation."""

    machine: str
    conversation: str
    session_id: str | None
    updated_at: datetime | None
    dispatcher: str | None
    agent: str | None
    model: str | None

    @classmethod
    def of(cls, machine: str, session: Session) -> SessionDocument:
        """From the core's value."""
        return cls(
            machine=machine,
            conversation=session.conversation,
            session_id=session.session_id,
            updated_at=session.updated_at,
            dispatcher=session.dispatcher,
            agent=session.agent,
            model=session.model,
        )


@frozen(kw_only=True)
class SessionList:
    """Sessions of every conversation, the one used last first."""

    sessions: tuple[SessionDocument, ...]


@frozen(kw_only=True)
class AuditDocument:
    """One line of the audit trail."""

    timestamp: datetime
    event_type: str
    severity: AuditSeverity
    machine: str | None
    order_id: str | None
    data: Mapping[str, Anything]

    @classmethod
    def of(cls, machine: str, event: AuditEvent) -> AuditDocument:
        """From the core's value."""
        return cls(
            timestamp=event.timestamp,
            event_type=event.event_type,
            severity=event.severity,
            machine=event.machine or machine,
            order_id=event.order_id,
            data=event.data,  # type: ignore[arg-type]  # JSON is anything
        )


@frozen(kw_only=True)
class AuditList:
    """Lines of the trail that match, newest first."""

    events: tuple[AuditDocument, ...]
    cursor: Annotated[str | None, "Asks for the next page; null at the end."]

    @classmethod
    def of(cls, page: AuditPage) -> AuditList:
        """From the core's value."""
        return cls(
            events=tuple(AuditDocument.of(machine, event) for machine, event in page.events),
            cursor=page.cursor,
        )
