"""Orders as the API shows them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from attrs import field, frozen

from galaxy_adapters.http_api.documents import seconds
from galaxy_adapters.http_api.schema import Anything, named
from galaxy_core.domain.operations import Cancellation, OrderView
from galaxy_core.domain.order import Attachment, JSONValue, Order
from galaxy_core.domain.response import Ending, Outcome, Response
from galaxy_core.domain.state import OrderState
from galaxy_core.ports.front_desk import FoundOrder


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
            timeout_s=seconds(order.timeout),
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
