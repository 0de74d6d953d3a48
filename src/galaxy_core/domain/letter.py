"""Letters to people: what lies in the outbox, and the receipt once it was delivered."""

from __future__ import annotations

import enum
from datetime import datetime
from typing import TypeAlias

from attrs import field, frozen

from galaxy_core.domain.order import EMPTY, JSONObject


class Severity(enum.StrEnum):
    """How loud a letter is."""

    INFO = "info"
    SUCCESS = "success"
    WARNING = "warning"
    ALERT = "alert"
    CRITICAL = "critical"


class LetterFormat(enum.StrEnum):
    """How the text is marked up."""

    HTML = "html"
    """The old default of letters written by hand."""
    MARKDOWN = "markdown"
    PLAIN = "plain"


class ButtonStyle(enum.StrEnum):
    """What pressing a button means; a channel may show it by colour."""

    PLAIN = "plain"
    POSITIVE = "positive"
    NEGATIVE = "negative"


@frozen
class Button:
    """Something to press below a message."""

    text: str
    data: str
    """Comes back when it is pressed: at most 64 bytes in UTF-8 (the limit of the Bot API)."""
    style: ButtonStyle = ButtonStyle.PLAIN


Buttons: TypeAlias = tuple[tuple[Button, ...], ...]
"""Rows of buttons, from top to bottom."""


@frozen(kw_only=True)
class Letter:
    """One message to people.

    `name` is the file's name without `.json`: the key by which posting twice is noticed.
    `wire` is the JSON object as it was read, as for an order.
    """

    name: str
    message: str
    severity: Severity = Severity.INFO
    sender: str = ""
    timestamp: datetime | None = None
    order_id: str | None = None
    chat_id: str | None = None
    """Where it goes; None means every authorised person."""
    channel: str | None = None
    topic: str | None = None
    reply_to: str | None = None
    order_payload: str | None = None
    format: LetterFormat = LetterFormat.HTML
    files: tuple[str, ...] = ()
    """Paths; relative ones start at the `repo_path` of the outbox it lies in."""
    buttons: Buttons = ()
    """Below the last part."""
    is_sent: bool = False
    receipts: tuple[Receipt, ...] = ()
    """What has been delivered so far: a long letter may be sent in parts."""
    wire: JSONObject = field(default=EMPTY, eq=False, repr=False)


@frozen(kw_only=True)
class Receipt:
    """Proof that one part of a letter was delivered to one chat."""

    channel: str
    chat_id: str
    message_ids: tuple[str, ...]
    at: datetime
    part: int = 1
    """1-based number of the part."""
    is_last: bool = True
    """Whether this chat has the whole letter with this part."""
