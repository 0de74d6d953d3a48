"""Values and JSON as hypothesis makes them, with the nasty ones likelier than chance has them."""

import json
from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from galaxy_core.domain.ids import OrderId, why_not_an_order_id
from galaxy_core.domain.order import Attachment, Order, Priority


def _joined(text: str) -> str:
    """The text with halves that stand side by side as one character: JSON cannot tell them."""
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "surrogatepass")


any_text = st.text(alphabet=st.characters(), max_size=30).map(_joined)
"""With control characters and lone surrogates."""

words = st.text(alphabet=st.characters(), min_size=1, max_size=20).map(_joined)
times = st.datetimes(
    min_value=datetime(1971, 1, 1),  # noqa: DTZ001 - the zone comes with `timezones`
    max_value=datetime(9000, 1, 1),  # noqa: DTZ001
    timezones=st.just(UTC),
)
marked_text = st.lists(
    any_text | st.sampled_from(["🔴", "⚡", "🔵", "⏸️", "⏰2h", "⏰99999999999d", " #main", "#42"]),
    max_size=4,
).map(lambda parts: _joined("".join(parts)))
order_ids = words.filter(lambda text: why_not_an_order_id(text) is None).map(OrderId)

json_values = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | any_text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(any_text, inner, max_size=3),
    max_leaves=8,
)

KNOWN_KEYS = (
    *("type", "from", "sender_id", "target", "command", "payload"),
    *("timestamp", "acknowledged", "order_id", "priority", "project", "media"),
    *("chat_id", "channel", "reply_to", "topic", "message_thread_id", "session"),
    *("agent", "model", "not_before", "scheduled_for", "expires_at", "timeout_s"),
    *("idempotency_key", "after", "markers", "outcome", "acknowledged_at", "finished_at"),
    *("started_at", "attempts", "tokens", "cost_usd", "reason", "message"),
    *("severity", "format", "files", "sent", "receipts", "session_id"),
    *("updated_at", "conversations", "status", "last_heartbeat_at", "running", "pid"),
    *("order_payload",),
)
plausible = st.sampled_from(
    ["galaxy_order", "urgent", "2026-02-02T12:00:00Z", "1770033600", "0", "", "a", "../a", "true"]
) | st.sampled_from([0, 1, -1, 1770033600, 1770033600000, 10**400, 1.5])
objects = st.dictionaries(
    st.sampled_from(KNOWN_KEYS) | any_text, plausible | json_values | marked_text, max_size=12
)
"""Objects that look like ours at a glance."""

outside_bytes = (
    st.binary(max_size=200)
    | objects.map(lambda members: json.dumps(members).encode())
    | json_values.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass"))
    | st.builds(lambda members, at: json.dumps(members).encode()[:at], objects, st.integers(0, 400))
)
"""What somebody may have put into a file."""

attachments = st.builds(
    lambda is_url, place, name, mime: Attachment(
        path=None if is_url else place, url=place if is_url else None, name=name, mime=mime
    ),
    st.booleans(),
    words,
    st.none() | words,
    st.none() | words,
)
orders = st.builds(
    Order,
    id=order_ids,
    payload=marked_text,
    sender=any_text,
    target=st.none() | words,
    command=words,
    agent=st.none() | words,
    model=st.none() | words,
    timestamp=st.none() | times,
    priority=st.sampled_from(Priority),
    project=st.none() | words,
    media=st.lists(attachments, max_size=2).map(tuple),
    channel=st.none() | words,
    chat_id=st.none() | words,
    topic=st.none() | words,
    reply_to=st.none() | words,
    session=st.none() | words,
    not_before=st.none() | times,
    expires_at=st.none() | times,
    timeout=st.none() | st.timedeltas(timedelta(milliseconds=1), timedelta(days=1000)),
    idempotency_key=st.none() | words,
    after=st.lists(order_ids.map(lambda text: OrderId(f"{text}+")), max_size=2).map(tuple),
)
