"""Questions to people: what was asked, whom, and what the buttons below it mean."""

from __future__ import annotations

import hashlib
from datetime import datetime

from attrs import field, frozen

from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.letter import ButtonStyle
from galaxy_core.domain.message import Address
from galaxy_core.domain.order import EMPTY, JSONObject
from galaxy_core.domain.people import Deed

ID_CHARACTERS = 16
"""Of a SHA-256 in hexadecimal: short enough for a button's 64 bytes, long enough never to meet."""


def short_id(*about: str) -> str:
    """The id of a question (or button) about these things: the same for the same things."""
    text = "\0".join(about)
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:ID_CHARACTERS]


@frozen(kw_only=True)
class Choice:
    """One answer that a question offers as a button."""

    label: str
    value: str
    """What it means to whoever asked."""
    style: ButtonStyle = ButtonStyle.PLAIN


@frozen(kw_only=True)
class Ask:
    """One question, open until somebody answers it or it does not matter any more."""

    id: str
    """See `short_id`: asking again is a no-op."""
    kind: str
    """Who takes the answer: `permission`, `question`, `stale`, `forward`, `edit`, ..."""
    address: Address
    text: str
    """Markdown."""
    choices: tuple[Choice, ...] = ()
    asked: str | None = None
    """Id of the person who is asked; None: whoever may do `deed`.  Owners always may."""
    deed: Deed = Deed.STEER_OWN
    """What a person has to be allowed to do in order to answer."""
    machine: str | None = None
    order_id: OrderId | None = None
    request_id: RequestId | None = None
    reply_to: str | None = None
    """Id of the message that it is about."""
    is_multiple: bool = False
    """Whether several choices may be taken before it is sent off."""
    allows_text: bool = False
    """Whether people may write an answer of their own."""
    subject: JSONObject = field(default=EMPTY)
    """What whoever asked needs when the answer comes."""
    opened_at: datetime | None = None
    expires_at: datetime | None = None
