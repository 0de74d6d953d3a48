"""How the parts of a Galaxy are, and what people are told of it."""

from __future__ import annotations

import enum
from datetime import datetime, time

from attrs import evolve, field, frozen

from galaxy_core.domain.insight import Level
from galaxy_core.domain.letter import Severity


@frozen(kw_only=True)
class Check:
    """One thing that was looked at, well or not."""

    key: str
    """What it is about, the same at each look: `hermes:lab`, `disk:lab`, `telegram`."""
    level: Level
    text: str
    """How it is, in a line that begins with a capital and ends without a full stop."""
    remedy: str = ""
    """What to do about it: a sentence with something to type; empty where nothing is to be done."""
    machine: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether nothing is to be said about it."""
        return self.level is Level.WELL


class Way(enum.Enum):
    """How people can be told of a trouble."""

    LETTER = enum.auto()
    """By a letter, like anything else."""
    AFTERWARDS = enum.auto()
    """Letters do not get out while it lasts: by one when it is over, if it took its time."""
    PUSH = enum.auto()
    """Never by letter: those who read letters hear of it another way, or cannot be reached."""


@frozen(kw_only=True)
class AlertState:
    """What was said about one trouble, so that a restart neither repeats nor forgets it."""

    key: str
    since: datetime
    severity: Severity
    text: str
    remedy: str = ""
    times: int = 1
    """How often it came up lately: what comes and goes must be gone for longer each time."""
    is_posted: bool = False
    """Whether its letter is in the outbox."""
    is_pushed: bool = False
    """Whether it went out by the second way."""
    ended_at: datetime | None = None
    """None while it lasts."""
    is_settled: bool = False
    """Whether all is said about its end, too."""

    @property
    def is_open(self) -> bool:
        """Whether it lasts."""
        return self.ended_at is None

    def raised_to(self, severity: Severity, text: str) -> AlertState:
        """The same, worse: it is said again."""
        return evolve(self, severity=severity, text=text, is_posted=False, is_pushed=False)


@frozen(kw_only=True)
class Alert:
    """One message of the second way."""

    key: str
    title: str
    text: str
    severity: Severity
    is_over: bool = False
    """Whether it says that the trouble is over."""


@frozen
class QuietHours:
    """When only what is critical may wake anybody; over midnight where `begins` is later."""

    begins: time
    ends: time

    def __contains__(self, moment: time) -> bool:
        """Whether it is quiet at this time of day."""
        if self.begins <= self.ends:
            return self.begins <= moment < self.ends
        return moment >= self.begins or moment < self.ends


@frozen(kw_only=True)
class Sight:
    """One look of a watcher: the check, and how it is told."""

    check: Check
    severity: Severity = Severity.ALERT
    way: Way = Way.LETTER
    grace_seconds: float = 0.0
    """How long it must last before anybody hears of it."""
    is_way_blocked: bool = field(default=False)
    """Whether letters do not get out because of it."""
