"""Values with sane contents and ids of their own, for tests that care about one field."""

# ruff: noqa: ANN401 - overrides are whatever the value's own constructor takes

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from galaxy_core.domain.audit import AuditEvent
from galaxy_core.domain.delivery import Delivery, Settlement, Ticket
from galaxy_core.domain.ids import ConversationKey, LeaseToken, OrderId
from galaxy_core.domain.incident import Incident
from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address, ButtonPressed, InboundMessage
from galaxy_core.domain.operations import CancelRequested, Heartbeat
from galaxy_core.domain.order import Order
from galaxy_core.domain.response import Ending, Outcome, Response
from galaxy_core.domain.run import RunRequest
from galaxy_core.domain.session import Session
from galaxy_core.domain.state import OrderState
from galaxy_core.domain.status import OrderStatus
from galaxy_core.testing.clock import START

_numbers = itertools.count(1)


def unique(stem: str) -> str:
    """A name that no other call of this process gets."""
    return f"{stem}-{next(_numbers)}"


def make_order(**overrides: Any) -> Order:
    """A plain order of a chat of its own, so that orders do not wait for each other."""
    order_id = overrides.pop("id", None) or unique("order")
    values: dict[str, Any] = {
        "payload": f"Do what {order_id} asks",
        "sender": "tester",
        "timestamp": START,
        "session": f"conversation-of-{order_id}",
    }
    return Order(id=OrderId(order_id), **(values | overrides))


def make_ending(**overrides: Any) -> Ending:
    """The end of an order that succeeded at its first attempt."""
    values: dict[str, Any] = {
        "outcome": Outcome.SUCCEEDED,
        "finished_at": START,
        "acknowledged_by": "Hermes (test)",
        "attempts": 1,
    }
    return Ending(**(values | overrides))


def make_delivery(**overrides: Any) -> Delivery:
    """The first attempt at an order, for what needs no queue."""
    values: dict[str, Any] = {
        "attempt": 1,
        "token": LeaseToken(unique("token")),
        "claimed_at": START,
    }
    if "order" not in overrides:
        values["order"] = make_order()
    return Delivery(**(values | overrides))


def make_response(**overrides: Any) -> Response:
    """A short answer."""
    values: dict[str, Any] = {
        "text": "Done.",
        "machine": "test",
        "finished_at": START,
        "payload": "Do it",
        "order_timestamp": START.isoformat(),
    }
    order_id = overrides.pop("order_id", None) or unique("order")
    return Response(order_id=OrderId(order_id), **(values | overrides))


def make_letter(**overrides: Any) -> Letter:
    """A plain notification."""
    values: dict[str, Any] = {"message": "Hello", "sender": "tester", "timestamp": START}
    name = overrides.pop("name", None) or unique("letter")
    return Letter(name=name, **(values | overrides))


def make_receipt(**overrides: Any) -> Receipt:
    """Proof of a delivery of one whole letter to one chat."""
    values: dict[str, Any] = {
        "channel": "memory",
        "chat_id": "chat-1",
        "message_ids": (unique("message"),),
        "at": START,
    }
    return Receipt(**(values | overrides))


def make_session(**overrides: Any) -> Session:
    """A conversation with a session of its own."""
    conversation = overrides.pop("conversation", None) or unique("conversation")
    values: dict[str, Any] = {
        "session_id": unique("ses"),
        "updated_at": START,
        "dispatcher": "memory",
    }
    return Session(conversation=ConversationKey(conversation), **(values | overrides))


def make_ticket(**overrides: Any) -> Ticket:
    """The first message of an order."""
    values: dict[str, Any] = {
        "dispatcher": "memory",
        "session_id": unique("ses"),
        "message_id": unique("msg"),
        "attempt": 1,
        "created_at": START,
    }
    return Ticket(**(values | overrides))


def make_settlement(**overrides: Any) -> Settlement:
    """The decision that an order succeeded."""
    order_id = overrides.pop("order_id", None) or unique("order")
    values: dict[str, Any] = {"text": "Done."}
    if "ending" not in overrides:
        values["ending"] = make_ending()
    return Settlement(order_id=OrderId(order_id), **(values | overrides))


def make_run_request(**overrides: Any) -> RunRequest:
    """A message for an agent that works in the current folder."""
    order_id = overrides.pop("order_id", None) or unique("order")
    values: dict[str, Any] = {"prompt": f"Prompt of {order_id}", "directory": Path()}
    return RunRequest(order_id=OrderId(order_id), **(values | overrides))


def make_cancel(order_id: str, **overrides: Any) -> CancelRequested:
    """Somebody's wish that the order stop."""
    values: dict[str, Any] = {"at": START, "by": "tester"}
    return CancelRequested(order_id=OrderId(order_id), **(values | overrides))


def make_event(**overrides: Any) -> AuditEvent:
    """One line of the audit trail."""
    values: dict[str, Any] = {
        "timestamp": START,
        "event_type": "order_received",
        "machine": "test",
    }
    return AuditEvent(**(values | overrides))


def make_incident(**overrides: Any) -> Incident:
    """Something that a person should hear of."""
    values: dict[str, Any] = {
        "kind": "order_quarantined",
        "message": "A file cannot be read",
        "key": unique("incident"),
    }
    return Incident(**(values | overrides))


def make_message(**overrides: Any) -> InboundMessage:
    """A person's message in a chat."""
    values: dict[str, Any] = {
        "key": unique("update"),
        "channel": "memory",
        "chat_id": "chat-1",
        "sender_id": "person-1",
        "text": "Echo hello world",
        "sent_at": START,
    }
    return InboundMessage(**(values | overrides))


def make_press(**overrides: Any) -> ButtonPressed:
    """A person presses a button below one of our messages."""
    values: dict[str, Any] = {
        "key": unique("update"),
        "channel": "memory",
        "chat_id": "chat-1",
        "sender_id": "person-1",
        "sent_at": START,
        "data": "a:1",
        "press_id": unique("press"),
    }
    return ButtonPressed(**(values | overrides))


def make_address(**overrides: Any) -> Address:
    """The chat in which `make_message` is said."""
    values: dict[str, Any] = {"channel": "memory", "chat_id": "chat-1"}
    return Address(**(values | overrides))


def make_status(**overrides: Any) -> OrderStatus:
    """An order that runs."""
    order_id = overrides.pop("order_id", None) or unique("order")
    values: dict[str, Any] = {
        "state": OrderState.RUNNING,
        "machine": "test",
        "elapsed": timedelta(seconds=5),
    }
    return OrderStatus(order_id=OrderId(order_id), **(values | overrides))


def make_heartbeat(**overrides: Any) -> Heartbeat:
    """A daemon that runs."""
    values: dict[str, Any] = {
        "status": "running",
        "machine": "test",
        "started_at": START,
        "last_heartbeat_at": START,
    }
    return Heartbeat(**(values | overrides))


def at(minutes: float) -> datetime:
    """The moment `minutes` after the start of a `ManualClock`."""
    return START + timedelta(minutes=minutes)
