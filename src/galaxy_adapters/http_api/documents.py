"""What the API answers: one attrs class a document, made from the core's values.

Members are never left out: what is not known is null.  Durations are seconds and say so.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Annotated

from attrs import field, frozen

from galaxy_adapters.http_api.schema import Anything, named
from galaxy_core.domain.audit import AuditEvent, AuditSeverity
from galaxy_core.domain.insight import AuditPage, Finding, Level, MachineInsight, Overview
from galaxy_core.domain.operations import Cancellation, OrderView, Progress
from galaxy_core.domain.order import Attachment, JSONValue, Order
from galaxy_core.domain.response import Ending, Outcome, Response, Usage
from galaxy_core.domain.run import PermissionRequested, Todo
from galaxy_core.domain.session import Session
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import FoundOrder
from galaxy_core.wire.structure import to_json

# ---- orders


@frozen(kw_only=True)
class OrderEnding:
    """How an order ended."""

    outcome: Outcome
    finished_at: datetime
    started_at: datetime | None
    attempts: int
    acknowledged_by: str
    session_id: str | None
    reason: Annotated[str | None, "Why it did not succeed, in one sentence."]
    tokens: Annotated[int | None, "All tokens of the run, cached ones included."]
    cost_usd: float | None
    may_have_run_twice: bool
    is_demo: Annotated[bool, "Whether the built-in scripted agent answered, not a model."]

    @classmethod
    def of(cls, ending: Ending) -> OrderEnding:
        """From the core's value."""
        return cls(
            outcome=ending.outcome,
            finished_at=ending.finished_at,
            started_at=ending.started_at,
            attempts=ending.attempts,
            acknowledged_by=ending.acknowledged_by,
            session_id=ending.session_id,
            reason=ending.reason,
            tokens=ending.usage.total_tokens if ending.usage else None,
            cost_usd=ending.usage.cost_usd if ending.usage else None,
            may_have_run_twice=ending.may_have_run_twice,
            is_demo=ending.is_demo,
        )


@frozen(kw_only=True)
class OrderAttachment:
    """One file that comes with an order: a path on the machine or an address."""

    path: str | None
    url: str | None
    name: str | None
    mime: str | None

    @classmethod
    def of(cls, item: Attachment) -> OrderAttachment:
        """From the core's value."""
        return cls(path=item.path, url=item.url, name=item.name, mime=item.mime)


@frozen(kw_only=True)
class OrderResponse:
    """The one answer to an order, success or not."""

    text: Annotated[str, "Markdown."]
    machine: str
    finished_at: datetime

    @classmethod
    def of(cls, response: Response) -> OrderResponse:
        """From the core's value."""
        return cls(text=response.text, machine=response.machine, finished_at=response.finished_at)


@frozen(kw_only=True)
class OrderDocument:
    """An order, where it stands, and its answer once it has one."""

    order_id: str
    machine: str
    state: OrderState
    conversation: str
    payload: str
    sender: Annotated[str, "Who asked: for people, not for access."] = field(metadata=named("from"))
    priority: str
    target: str | None
    command: str
    agent: str | None
    model: str | None
    project: str | None
    channel: str | None
    chat_id: str | None
    media: tuple[OrderAttachment, ...]
    timestamp: Annotated[datetime | None, "When it was written according to its writer."]
    received_at: datetime | None
    not_before: datetime | None
    expires_at: datetime | None
    timeout_s: float | None
    after: Annotated[tuple[str, ...], "Orders that must have succeeded before it begins."]
    idempotency_key: str | None
    attempts: int
    place: Annotated[int | None, "1-based place among those that wait in its conversation."]
    waits_until: datetime | None
    ending: OrderEnding | None
    response: Annotated[OrderResponse | None, "Null in lists, and before the end."]
    members: Annotated[
        Mapping[str, Anything] | None,
        "The order as it was written, members nobody knows included. Null in lists.",
    ]

    @classmethod
    def of(cls, found: FoundOrder, *, is_whole: bool = True) -> OrderDocument:
        """From the core's value; in lists without answer and members."""
        view: OrderView = found.view
        order: Order = view.order
        members: Mapping[str, JSONValue] | None = order.wire if is_whole and order.wire else None
        is_answered = is_whole and found.response is not None
        return cls(
            order_id=order.id,
            machine=found.machine,
            state=view.state,
            conversation=order.conversation(found.machine),
            payload=order.payload,
            sender=order.sender,
            priority=order.priority.word,
            target=order.target,
            command=order.command,
            agent=order.agent,
            model=order.model,
            project=order.project,
            channel=order.channel,
            chat_id=order.chat_id,
            media=tuple(OrderAttachment.of(item) for item in order.media),
            timestamp=order.timestamp,
            received_at=view.received_at,
            not_before=order.not_before,
            expires_at=order.expires_at,
            timeout_s=_seconds(order.timeout),
            after=tuple(order.after),
            idempotency_key=order.idempotency_key,
            attempts=view.attempts,
            place=view.place,
            waits_until=view.waits_until,
            ending=OrderEnding.of(view.ending) if view.ending else None,
            response=OrderResponse.of(found.response) if is_answered and found.response else None,
            members=members,  # type: ignore[arg-type]  # JSON is anything
        )


@frozen(kw_only=True)
class OrderList:
    """The newest orders that match."""

    orders: tuple[OrderDocument, ...]


@frozen(kw_only=True)
class CancelDocument:
    """What became of the wish to cancel."""

    result: Annotated[
        Cancellation,
        "`ended`: it is over. `requested`: it is being stopped. `already_ended`: too late.",
    ]
    order: OrderDocument


@frozen(kw_only=True)
class RetryDocument:
    """The order that was made to try again."""

    order: OrderDocument
    retry_of: str


# ---- progress


@frozen(kw_only=True)
class TodoDocument:
    """One item of the agent's own list."""

    content: str
    status: str
    priority: str

    @classmethod
    def of(cls, todo: Todo) -> TodoDocument:
        """From the core's value."""
        return cls(content=todo.content, status=todo.status, priority=todo.priority)


@frozen(kw_only=True)
class RequestDocument:
    """Something that the agent asks, and waits for."""

    request_id: str
    kind: Annotated[str, "`permission` or `question`."]
    content: Annotated[Mapping[str, Anything], "Its members as the agent gave them."]


@frozen(kw_only=True)
class ProgressDocument:
    """Where a running order stands; its text comes in events of its own."""

    state: OrderState
    started_at: datetime | None
    updated_at: datetime | None
    tool: Annotated[str | None, "What it is doing now, in one line."]
    note: str | None
    steps: int
    tokens: int
    cost_usd: float
    todos: tuple[TodoDocument, ...]
    waiting_for: tuple[RequestDocument, ...]

    @classmethod
    def of(cls, state: OrderState, progress: Progress | None) -> ProgressDocument:
        """From the core's value; an order that only waits has no progress."""
        usage = progress.usage if progress else Usage()
        return cls(
            state=state,
            started_at=progress.started_at if progress else None,
            updated_at=progress.updated_at if progress else None,
            tool=progress.tool if progress else None,
            note=progress.note if progress else None,
            steps=progress.steps if progress else 0,
            tokens=usage.total_tokens,
            cost_usd=usage.cost_usd,
            todos=tuple(TodoDocument.of(todo) for todo in (progress.todos if progress else ())),
            waiting_for=tuple(
                RequestDocument(
                    request_id=request.request_id,
                    kind="permission" if isinstance(request, PermissionRequested) else "question",
                    content=to_json(request),  # type: ignore[arg-type]  # JSON is anything
                )
                for request in (progress.waiting_for if progress else ())
            ),
        )


@frozen(kw_only=True)
class TextDocument:
    """A piece of the answer as it is being written."""

    offset: Annotated[int, "Where it begins, in characters; what was known from there on is void."]
    text: str


# ---- the whole


@frozen(kw_only=True)
class StatusDocument:
    """The original's status, with true values."""

    pending: Annotated[int, "Orders that wait or run."]
    processed: Annotated[int, "Orders that ended, however they ended."]
    failed: Annotated[int, "Those of them that failed, expired, or were given up."]
    uptime_human: Annotated[str, "How long Hermes has run; `N/A` when it does not."]
    opencode_healthy: Annotated[bool, "Whether the machine's Hermes works and takes orders."]
    galaxy_mcp_running: Annotated[bool, "False: there is no such daemon any more."]
    disk_usage: Annotated[str, "Used part of the disk, as `26%`."]
    outbox_count: Annotated[int, "Letters that wait to be delivered."]
    machine: str
    timestamp: Annotated[str, "Time of day in UTC, as `12:34:56`."]


@frozen(kw_only=True)
class FindingDocument:
    """One thing that is not as it should be."""

    level: Level
    what: str
    remedy: Annotated[str, "What to do about it."]
    machine: str | None

    @classmethod
    def of(cls, finding: Finding) -> FindingDocument:
        """From the core's value."""
        return cls(
            level=finding.level, what=finding.what, remedy=finding.remedy, machine=finding.machine
        )


@frozen(kw_only=True)
class MachineDocument:
    """One machine now."""

    name: str
    level: Level
    status: Annotated[str | None, "What Hermes said last: `running`, `draining`, `stopped`."]
    started_at: datetime | None
    last_heartbeat_at: datetime | None
    version: str | None
    dispatcher: str | None
    orders: Annotated[Mapping[str, int], "How many there are in each state, ended ones included."]
    oldest_waiting_s: float | None
    outbox: Annotated[int, "Letters that wait to be delivered."]
    undeliverable: int
    disk_free_bytes: int
    disk_total_bytes: int

    @classmethod
    def of(cls, machine: MachineInsight) -> MachineDocument:
        """From the core's value."""
        beat = machine.heartbeat
        return cls(
            name=machine.name,
            level=machine.level,
            status=beat.status if beat else None,
            started_at=beat.started_at if beat else None,
            last_heartbeat_at=beat.last_heartbeat_at if beat else None,
            version=beat.version if beat else None,
            dispatcher=beat.dispatcher if beat else None,
            orders={state.value: machine.counts.get(state, 0) for state in OrderState},
            oldest_waiting_s=_seconds(machine.oldest_waiting),
            outbox=machine.outbox,
            undeliverable=machine.undeliverable,
            disk_free_bytes=machine.disk_free_bytes,
            disk_total_bytes=machine.disk_total_bytes,
        )


@frozen(kw_only=True)
class MachineList:
    """Every machine served here, the default one first."""

    machines: tuple[MachineDocument, ...]


@frozen(kw_only=True)
class OverviewDocument:
    """Whether everything is well, and if not, what to do."""

    at: datetime
    level: Annotated[Level, "The worst of all findings."]
    findings: Annotated[tuple[FindingDocument, ...], "The worst first."]
    machines: tuple[MachineDocument, ...]
    is_gateway_up: Annotated[bool | None, "Null where there is no gateway to be up."]

    @classmethod
    def of(cls, overview: Overview) -> OverviewDocument:
        """From the core's value."""
        return cls(
            at=overview.at,
            level=overview.level,
            findings=tuple(FindingDocument.of(each) for each in overview.findings),
            machines=tuple(MachineDocument.of(each) for each in overview.machines),
            is_gateway_up=overview.is_gateway_up,
        )


@frozen(kw_only=True)
class HealthDocument:
    """A sign of life."""

    status: str


# ---- records


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


@frozen(kw_only=True)
class ProblemDocument:
    """Problem details (RFC 9457); without a `type`, so the status says what kind it is."""

    title: str
    status: int
    detail: Annotated[str, "What is wrong and what to do about it, in sentences."]


def _seconds(duration: timedelta | None) -> float | None:
    return None if duration is None else duration.total_seconds()
