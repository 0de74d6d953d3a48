"""From a JSON object to an `Order`: every shape that has ever been written.

The shapes, newest first: ours; the canonical one of `/order` (`type`, `from`, `target`,
`command`, `payload`, `timestamp`, `acknowledged`); the same with `priority`, `project`, `media`,
`scheduled_for`; plain messages of a chat (`sender_id`, `chat_id`, `channel`, no `type`); orders of
the web page (the same, with a `timestamp` of 0).  One reader does for all: absent, null and empty
mean the same, and an older name is asked where the newer one is absent.

What can be read but not accepted goes into `Order.refusals`; nothing here raises.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from galaxy_core.domain.ids import OrderId, safe_order_id, why_not_an_order_id
from galaxy_core.domain.order import DEFAULT_COMMAND, Attachment, JSONObject, Order, Priority
from galaxy_core.wire.fields import FieldReader, kind_of
from galaxy_core.wire.markers import NO_MARKERS, Markers, read_markers

__all__ = ["ANSWERED_BEFORE", "is_answered", "order_from"]

ANSWERED_BEFORE = (
    "The file says `acknowledged: true`, so it was answered before: to run it again, write "
    "`acknowledged: false` and give it a new name."
)

_PRIORITIES = {priority.word: priority for priority in Priority}
_TYPES = frozenset({"galaxy_order", "galaxy-order", "order"})
_ATTACHMENT_KEYS = ("path", "url", "name", "mime")
_URL_BEGINNINGS = ("http://", "https://", "file://", "data:")


def order_from(
    wire: JSONObject, *, name: str, received_at: datetime, is_archived: bool = False
) -> Order:
    """Read an order; `name` is the stem of its file, the id of an order that gives none.

    `received_at` is when its file arrived: what a delay mark counts from without a `timestamp`.
    """
    read = FieldReader(wire)
    refusals = read.refusals
    if not is_archived and is_answered(wire):
        refusals.append(ANSWERED_BEFORE)
    if (kind := wire.get("type")) and kind != "galaxy_order":
        _check_type(str(kind), refusals)
    # A file of the archive is named after the id, which may be a numbered one by then.
    order_id = safe_order_id(name) if is_archived else _order_id(read, name)
    payload = read.text("payload") or ""
    timestamp = read.time("timestamp")
    priority = _priority(read)
    project = read.word("project")
    not_before = read.time("not_before", "scheduled_for")
    if wire.get("markers") is not False and not (payload.isascii() and "#" not in payload):
        marks = read_markers(payload)
        if marks is not NO_MARKERS:
            # A member that is wrong is refused, not overruled.
            if not read.is_given("priority"):
                priority = marks.priority
            if not read.is_given("project"):
                project = marks.project
            if not read.is_given("not_before", "scheduled_for"):
                not_before = _delayed(marks, timestamp or received_at, refusals)
    return Order(
        id=order_id,
        payload=payload,
        sender=read.word("from", "sender_id") or "",
        person_id=read.word("person_id"),
        target=read.word("target"),
        command=read.word("command") or DEFAULT_COMMAND,
        agent=read.word("agent"),
        model=read.word("model"),
        timestamp=timestamp,
        priority=Priority.NORMAL if priority is None else priority,
        project=project,
        media=_media(read) if wire.get("media") is not None else (),
        channel=read.word("channel"),
        chat_id=read.word("chat_id"),
        topic=read.word("topic", "message_thread_id"),
        reply_to=read.word("reply_to"),
        session=read.word("session"),
        not_before=not_before,
        expires_at=read.time("expires_at"),
        timeout=_timeout(read) if wire.get("timeout_s") is not None else None,
        idempotency_key=read.word("idempotency_key"),
        after=_after(read, order_id) if wire.get("after") is not None else (),
        refusals=tuple(refusals),
        wire=wire,
    )


def is_answered(wire: JSONObject) -> bool:
    """Whether the object says that the order was answered already."""
    return FieldReader(wire).flag("acknowledged")


def _check_type(kind: str, refusals: list[str]) -> None:
    if kind.casefold() in _TYPES:
        return
    if kind == "notification":
        refusals.append(
            "`type` is notification: letters to people belong into galaxy-outbox/, not here."
        )
    else:
        refusals.append("`type` is unknown: write galaxy_order, or leave it out.")


def _order_id(read: FieldReader, name: str) -> OrderId:
    given = read.word("order_id")
    if given is None:
        return safe_order_id(name)
    problem = why_not_an_order_id(given)
    if problem is None:
        return OrderId(given)
    read.refusals.append(
        f"`order_id` cannot be used: {problem}. Leave it out, or write letters, digits, - and _."
    )
    return safe_order_id(name)


def _priority(read: FieldReader) -> Priority | None:
    word = read.word("priority")
    if word is None:
        return None
    found = _PRIORITIES.get(word) or _PRIORITIES.get(word.strip().casefold())
    if found is None:
        import difflib  # noqa: PLC0415 - only for the rare fault

        near = difflib.get_close_matches(word.casefold(), _PRIORITIES, n=1)
        hint = f"did you mean {near[0]}? Write" if near else "write"
        read.refusals.append(f"`priority` is unknown: {hint} low, normal, high or urgent.")
    return found


def _delayed(marks: Markers, since: datetime, refusals: list[str]) -> datetime | None:
    if marks.problem:
        refusals.append(marks.problem)
    if marks.delay is None:
        return None
    try:
        return since + marks.delay
    except OverflowError:
        refusals.append("The wait asked for ends beyond the year 9999: shorten it.")
        return None


def _timeout(read: FieldReader) -> timedelta | None:
    word = read.word("timeout_s")
    if word is None:
        return None
    try:
        timeout = timedelta(seconds=float(word))
    except (ValueError, OverflowError):
        timeout = timedelta(0)
    if timeout > timedelta(0):
        return timeout
    read.refusals.append(
        "`timeout_s` is no time limit: write a number of seconds greater than 0, or leave it out."
    )
    return None


def _after(read: FieldReader, order_id: OrderId) -> tuple[OrderId, ...]:
    found = []
    for item in read.items("after"):
        text = str(item) if type(item) is int else item
        if type(text) is not str or why_not_an_order_id(text) is not None:
            read.refusals.append(
                "`after` holds something that is no order's id: list the ids of orders."
            )
        elif text == order_id:
            read.refusals.append("`after` names the order itself: it would wait for ever.")
        else:
            found.append(OrderId(text))
    return tuple(found)


def _media(read: FieldReader) -> tuple[Attachment, ...]:
    found = []
    for number, item in enumerate(read.items("media"), start=1):
        if type(item) is str and item:
            is_url = item.startswith(_URL_BEGINNINGS)
            found.append(Attachment(url=item) if is_url else Attachment(path=item))
        elif type(item) is dict:
            values = {key: item.get(key) for key in _ATTACHMENT_KEYS}
            texts = {key: v for key, v in values.items() if type(v) is str and v}
            if [key for key, v in values.items() if v is not None and type(v) is not str]:
                read.refusals.append(
                    f"Attachment {number}: write path, url, name and mime as texts."
                )
            elif ("path" in texts) == ("url" in texts):
                read.refusals.append(f"Attachment {number}: give it either a path or a url.")
            else:
                found.append(Attachment(**texts))
        else:
            read.refusals.append(
                f"Attachment {number} is {kind_of(item)}: write an object with path or url."
            )
    return tuple(found)
