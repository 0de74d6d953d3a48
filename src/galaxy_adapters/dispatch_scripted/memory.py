"""What the scripted agent remembers: how many prompts a session had, and what became of each.

In memory, or in a small file so that a conversation goes on after a restart.  The file is for one
Hermes at a time, and is no record: a torn or missing one is an agent that remembers nothing.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

from attrs import asdict, define, field

from galaxy_adapters._files import replace_atomically
from galaxy_core.domain.run import Verdict

_KEPT = 500
"""Newest messages, and sessions used last, that are remembered."""


@define(kw_only=True)
class Message:
    """One prompt that reached the agent."""

    session: str
    digest: str
    text: str = ""
    """What the agent said, as far as it came."""
    verdict: Verdict | None = None
    """None while it runs, and for ever when the agent died in the middle."""
    reason: str | None = None


@define
class Memory:
    """Sessions and messages; written at every change when there is a file."""

    _file: Path | None
    sessions: dict[str, int] = field(factory=dict, init=False)
    """Prompts of each session so far; the one used last is the last."""
    messages: dict[str, Message] = field(factory=dict, init=False)

    def __attrs_post_init__(self) -> None:
        if self._file is None:
            return
        with suppress(OSError, ValueError, TypeError, KeyError):
            content: dict[str, Any] = json.loads(self._file.read_text(encoding="utf-8"))
            found = {name: _message(one) for name, one in content["messages"].items()}
            self.sessions = {name: int(count) for name, count in content["sessions"].items()}
            self.messages = found

    @property
    def is_lasting(self) -> bool:
        """Whether it outlives the process."""
        return self._file is not None

    def use(self, session: str, *, prompts: int = 0) -> int:
        """Take note that a session is used, for so many new prompts; returns how many it had."""
        number = self.sessions.pop(session, 0) + prompts
        self.sessions[session] = number
        while len(self.sessions) > _KEPT:
            del self.sessions[next(iter(self.sessions))]
        return number

    def save(self) -> None:
        """Write everything down; readers see the old or the new file, whole."""
        while len(self.messages) > _KEPT:
            del self.messages[next(iter(self.messages))]
        if self._file is None:
            return
        self._file.parent.mkdir(parents=True, exist_ok=True)
        messages = {name: asdict(one) for name, one in self.messages.items()}
        content = {"sessions": self.sessions, "messages": messages}
        replace_atomically(self._file, json.dumps(content, indent=1).encode())


def _message(content: dict[str, Any]) -> Message:
    verdict = content.pop("verdict")
    return Message(**content, verdict=Verdict(verdict) if verdict else None)
