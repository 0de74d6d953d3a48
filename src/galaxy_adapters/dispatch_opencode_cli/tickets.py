"""What a ticket of this dispatcher holds beyond its names, and how a message is found again.

`opencode run` chooses the ids of its messages itself.  A message is known by its place: it is the
first one of a user, with this text, behind the message that was the session's newest before.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Sequence

from attrs import frozen

from galaxy_adapters._opencode.parts import Json
from galaxy_core.domain.delivery import Ticket
from galaxy_core.domain.order import JSONObject

MARKER = "GALAXY_RUN_ID"
"""Variable in the environment of every process of a run; its value is the ticket's message id."""

_NO_WORDS = "(The order has no text, only the attached files.)"


@frozen(kw_only=True)
class Errand:
    """One prompt for one session of one project, as it was decided before it was sent."""

    session: str
    run: str
    directory: str
    prompt_digest: str | None
    """None where opencode makes the message's text itself (a command's template)."""
    after: str | None = None
    """The session's newest message before this one; None in a new session."""
    agent: str | None = None
    """Exact name; None is opencode's default agent."""
    model: str | None = None
    command: str | None = None

    @property
    def data(self) -> JSONObject:
        """What goes into `Ticket.data`."""
        names = ("directory", "prompt_digest", "after", "agent", "model", "command")
        return {name: value for name in names if (value := getattr(self, name)) is not None}

    def answers(self, messages: Sequence[Json]) -> list[Json] | None:
        """What the session holds behind our message; None when it does not hold the message."""
        for place, message in enumerate(messages):
            # Ids sort by time: the one before ours may have been taken back since.
            is_later = self.after is None or str(message["info"]["id"]) > self.after
            if is_later and self._is_ours(message):
                return list(messages[place + 1 :])
        return None

    def _is_ours(self, message: Json) -> bool:
        if message["info"].get("role") != "user":
            return False
        if self.prompt_digest is None:
            return True
        texts = [part for part in message.get("parts") or [] if part.get("type") == "text"]
        return any(digest(str(part.get("text") or "")) == self.prompt_digest for part in texts)


def errand_of(ticket: Ticket) -> Errand:
    """Read a ticket back."""

    def text(name: str) -> str | None:
        value = ticket.data.get(name)
        return value if isinstance(value, str) else None

    return Errand(
        session=ticket.session_id,
        run=ticket.message_id,
        directory=text("directory") or "",
        prompt_digest=text("prompt_digest"),
        after=text("after"),
        agent=text("agent"),
        model=text("model"),
        command=text("command"),
    )


def sent_text(prompt: str) -> str:
    """What reaches opencode: it refuses an empty prompt, and standard input is UTF-8."""
    if not prompt.strip():
        return _NO_WORDS
    return prompt.encode("utf-8", "replace").decode("utf-8")


def digest(text: str) -> str:
    """A prompt's name in the ticket: an order's text stays out of the journal."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()


def new_run_id() -> str:
    """A name for a run, and the marker of its processes."""
    return f"run_{secrets.token_hex(12)}"


def new_session_id() -> str:
    """A session's id in opencode's own form, which sorts the newest first."""
    moment = ~(int(time.time() * 1000) * 0x1000) & 0xFFFF_FFFF_FFFF
    return f"ses_{moment:012x}{secrets.token_hex(7)}"
