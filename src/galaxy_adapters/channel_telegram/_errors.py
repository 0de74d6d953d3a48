"""What can go wrong with a call to the Bot API, without the library's own classes."""

from __future__ import annotations

import enum
from datetime import timedelta

from galaxy_core.domain.errors import PermanentError, TransientError


class Trouble(enum.StrEnum):
    """Kinds of failure that people deal with in different ways."""

    NETWORK = "network"
    """The server cannot be reached, is too slow, or has trouble of its own."""
    ANSWER = "answer"
    """Something answers that is no Bot API server."""
    FLOOD = "flood"
    """We are told to wait."""
    CONFLICT = "conflict"
    """Somebody else asks for the same bot's updates."""
    WEBHOOK = "webhook"
    """A webhook is set, so that asking for updates is refused."""
    TOKEN = "token"  # noqa: S105 - the name of a trouble
    """The token, or the address, is wrong: 401 and 404 look alike."""
    STORAGE = "storage"
    """Our own store refuses."""
    PORT = "port"
    """The webhook cannot listen."""
    SETTING = "setting"
    """Telegram refuses the webhook."""
    UNREACHED = "unreached"
    """Telegram cannot call the webhook."""
    BUG = "bug"
    """None of the above; the log has the traceback."""


class CallFailed(TransientError):
    """A call that may succeed later."""

    def __init__(
        self,
        message: str,
        trouble: Trouble,
        *,
        retry_after: timedelta | None = None,
        is_unknown: bool = False,
    ) -> None:
        super().__init__(message, retry_after=retry_after)
        self.trouble = trouble
        self.is_unknown = is_unknown
        """Whether the call may have taken effect: the connection broke after it was sent."""


class CallRefused(PermanentError):
    """A call that the server understood and refuses (400, 403, 413)."""

    def __init__(self, description: str, *, is_forbidden: bool = False) -> None:
        super().__init__(description)
        self.description = description
        """The server's words, without `Bad Request:`."""
        self.is_forbidden = is_forbidden
        """403: blocked, thrown out, not allowed."""
        self.new_chat_id: str | None = None
        """The id of the chat that this group has become, where that is why."""
