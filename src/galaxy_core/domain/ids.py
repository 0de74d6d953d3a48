"""Names of things: which strings may be an order's id, and what to do with those that may not.

An order's id becomes part of file names (`galaxy-order-response-<id>.md`), so it must never be
able to leave its folder, hide itself or break a listing.
"""

from __future__ import annotations

import hashlib
from typing import NewType

OrderId = NewType("OrderId", str)
ConversationKey = NewType("ConversationKey", str)
"""Names the conversation an order belongs to: one order at a time in each."""
MachineName = NewType("MachineName", str)
LeaseToken = NewType("LeaseToken", str)
"""Fencing token of one claim: never given out twice, compared for equality only."""
RequestId = NewType("RequestId", str)
"""Names one permission request or question of a running agent."""

MAX_ID_BYTES = 180
"""Longest id in UTF-8 bytes: a file name holds 255 (POSIX NAME_MAX), prefixes, endings and the
suffix of a repeated id need the rest."""

_FORBIDDEN = frozenset("/\\\0")


def why_not_an_order_id(text: str) -> str | None:  # noqa: PLR0911 - one return a reason
    """Say why `text` cannot be an order's id; None when it can."""
    if not text:
        return "it is empty"
    if text.startswith("."):
        return "it begins with a dot"
    if text != text.strip():
        return "it begins or ends with white space"
    if any(c in _FORBIDDEN for c in text):
        return "it holds a slash, a backslash or a NUL"
    if not text.isprintable():
        return "it holds a character that does not print (a line break, perhaps)"
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        return "it is not valid Unicode text"
    if size > MAX_ID_BYTES:
        return f"it is longer than {MAX_ID_BYTES} bytes"
    return None


def safe_order_id(text: str) -> OrderId:
    """Make an id out of any text: itself when it is one, else a cleaned form with a digest."""
    if why_not_an_order_id(text) is None:
        return OrderId(text)
    digest = hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:10]
    kept = "".join(c if c.isalnum() and c.isascii() else "-" for c in text[:60]).strip("-")
    return OrderId(f"{kept}-{digest}" if kept else f"order-{digest}")


def numbered(order_id: str, number: int) -> OrderId:
    """The id that a repeated `order_id` gets instead: `name-2`, `name-3`, ..."""
    tail = f"-{number}"
    head = order_id
    while len(head.encode()) + len(tail) > MAX_ID_BYTES:
        head = head[:-1]
    return OrderId(head + tail)
