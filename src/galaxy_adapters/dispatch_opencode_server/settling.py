"""When a turn's end is the end: with oh-my-opencode, a turn that ends may be followed by another.

The plugin begins turns by itself: for open todos after 2 s, for plans after up to 6 s, for a
background task about 10 s after it is done (4.19).  So the end is when session and sub-agents
are idle, no todo is open, the plugin's own note names nothing active, and that lasts a while.
"""

from __future__ import annotations

import json
from datetime import timedelta
from pathlib import Path

import anyio
from attrs import define, field, frozen

from galaxy_core.domain.run import Todo

_OPEN = frozenset({"pending", "in_progress"})


@frozen(kw_only=True)
class SettlingTimes:
    """How long quiet must last."""

    quiet: timedelta = timedelta(seconds=15)
    given_up: timedelta = timedelta(seconds=60)
    """With todos still open: the plugin stops after a few turns without progress."""


@define
class Settling:
    """The quiet after a turn, so far."""

    directory: Path
    session: str
    times: SettlingTimes
    _since: float | None = field(default=None)

    def disturb(self) -> None:
        """Take note that something is being done again."""
        self._since = None

    def is_settled(self, todos: tuple[Todo, ...]) -> bool:
        """Whether it has been quiet long enough; to be asked every now and then while idle."""
        now = anyio.current_time()
        if self._since is None or self._has_active_source():
            self._since = now
            return False
        has_open = any(todo.status in _OPEN for todo in todos)
        needed = self.times.given_up if has_open else self.times.quiet
        return now - self._since >= needed.total_seconds()

    @property
    def tick_seconds(self) -> float:
        """How often to ask."""
        return max(0.01, min(1.0, self.times.quiet.total_seconds() / 5))

    def _has_active_source(self) -> bool:
        """Whether `.omo/run-continuation/<session>.json` names a source at work."""
        note = self.directory / ".omo" / "run-continuation" / f"{self.session}.json"
        try:
            known = json.loads(note.read_bytes())
        except (OSError, ValueError):
            return False
        return _holds_active(known)


def _holds_active(value: object) -> bool:
    if isinstance(value, dict):
        return any(_holds_active(each) for each in value.values())
    if isinstance(value, list):
        return any(_holds_active(each) for each in value)
    return value == "active"
