"""Telling people what is wrong: once, again when it is over, and not at night.

What was said is written down before and after it is said.  If the watcher dies in between, the
letter's name is the same at the next try, so it is posted once; the second way may hear it twice.
Where the book cannot be written (a full disk, say), it is kept in memory and said all the same.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta, tzinfo

import structlog
from attrs import define, evolve, field, frozen

from galaxy_core.domain.audit import AuditSeverity
from galaxy_core.domain.errors import PermanentError, TransientError
from galaxy_core.domain.health import Alert, AlertState, QuietHours, Sight, Way
from galaxy_core.domain.letter import Letter, LetterFormat, Severity
from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.ports.alert_book import AlertBook
from galaxy_core.ports.alert_sink import AlertSink
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.outbox import Outbox
from galaxy_core.services.trail import Trail

log = structlog.get_logger(__name__)

CALM = timedelta(seconds=5)
"""How long all must be well before a trouble is over; doubled each time that it comes back."""
LONGEST_CALM = timedelta(minutes=10)
REMEMBERED = timedelta(hours=1)
"""How long a trouble that is over counts as the same one when it comes back."""
WORTH_A_LETTER = timedelta(minutes=1)
"""What lasted shorter, and could not be told while it did, is not told afterwards."""
PUSH_AGAIN = RetryPolicy(first=timedelta(seconds=10))
STORE_AGAIN = timedelta(seconds=5)
_GRAVITY = (Severity.INFO, Severity.SUCCESS, Severity.WARNING, Severity.ALERT, Severity.CRITICAL)
_IN_TRAIL = {
    Severity.WARNING: AuditSeverity.WARNING,
    Severity.ALERT: AuditSeverity.ERROR,
    Severity.CRITICAL: AuditSeverity.CRITICAL,
}
NOTICED, OVER = "trouble_noticed", "trouble_over"
"""Event types in the trail."""


@frozen(kw_only=True)
class AlertConfig:
    """How one watcher speaks."""

    sender: str
    """Whom letters are from."""
    quiet: QuietHours | None = None
    """None: people may be told at any time."""
    zone: tzinfo | None = None
    """Where the people are; None: where this host is."""


@define
class _Since:
    monotonic: float
    wall: datetime


@define(eq=False)
class AlertDesk:
    """Knows what is wrong, and what was said of it."""

    _config: AlertConfig
    _book: AlertBook
    _outbox: Outbox
    _trail: Trail
    _clock: Clock
    _sink: AlertSink | None = None
    """None: there is no second way."""
    _states: dict[str, AlertState] = field(factory=dict, init=False)
    _ways: dict[str, Way] = field(factory=dict, init=False)
    _bad_since: dict[str, _Since] = field(factory=dict, init=False)
    _good_since: dict[str, float] = field(factory=dict, init=False)
    _pushes: int = field(default=0, init=False)
    """How often in a row the second way has failed."""
    _push_not_before: float = field(default=0.0, init=False)
    _is_written: bool = field(default=True, init=False)
    """Whether the book has all of it."""
    _store_not_before: float = field(default=0.0, init=False)
    """A store that refuses is left alone for a while."""

    @property
    def states(self) -> Iterable[AlertState]:
        """Everything that is known, what is over included."""
        return self._states.values()

    async def open(self) -> None:
        """Read what was said before."""
        self._states = {state.key: state for state in await self._book.read()}

    async def look(self, sights: Iterable[Sight], *, is_complete: bool = False) -> None:
        """Take note of how things are, and say what is to be said.

        `is_complete` says that everything was looked at: what is not among it exists no more.
        """
        known = {sight.check.key: sight for sight in sights}
        is_blocked = any(s.is_way_blocked and not s.check.is_well for s in known.values())
        for sight in known.values():
            self._ways[sight.check.key] = sight.way
            if sight.check.is_well:
                await self._is_well(sight)
            else:
                await self._is_bad(sight)
        if is_complete:
            for key in self._states.keys() - known.keys():
                self._forget(key)
        for state in list(self._states.values()):
            await self._say(state, is_blocked=is_blocked)
        self._forget_old()
        if not self._is_written and self._clock.monotonic() >= self._store_not_before:
            await self._write()

    # ---- what is the case

    async def _is_bad(self, sight: Sight) -> None:
        check, now = sight.check, self._clock.now()
        self._good_since.pop(check.key, None)
        state = self._states.get(check.key)
        if state is not None and state.is_open:
            if _GRAVITY.index(sight.severity) > _GRAVITY.index(state.severity):
                await self._put(state.raised_to(sight.severity, check.text))
            return
        monotonic = self._clock.monotonic()
        since = self._bad_since.setdefault(check.key, _Since(monotonic, now))
        if monotonic - since.monotonic < sight.grace_seconds:
            return
        state = AlertState(
            key=check.key,
            since=since.wall,
            severity=sight.severity,
            text=check.text,
            remedy=check.remedy,
            times=1 if state is None else state.times + 1,
        )
        log.warning("trouble.noticed", key=check.key, text=check.text)
        await self._put(state)
        await self._record(NOTICED, state, _IN_TRAIL.get(state.severity, AuditSeverity.WARNING))

    async def _is_well(self, sight: Sight) -> None:
        key, monotonic = sight.check.key, self._clock.monotonic()
        self._bad_since.pop(key, None)
        state = self._states.get(key)
        if state is None or not state.is_open:
            return
        good_since = self._good_since.setdefault(key, monotonic)
        if monotonic - good_since < calm(state.times).total_seconds():
            return
        state = evolve(state, ended_at=self._clock.now())
        log.info("trouble.over", key=key)
        await self._put(state)
        await self._record(OVER, state, AuditSeverity.INFO)

    async def _record(self, kind: str, state: AlertState, severity: AuditSeverity) -> None:
        event = self._trail.event(
            kind, severity=severity, key=state.key, since=state.since.isoformat(), text=state.text
        )
        await self._trail.try_record(event)

    # ---- what is said

    async def _say(self, state: AlertState, *, is_blocked: bool) -> None:
        if state.is_settled:
            return
        is_critical = state.severity is Severity.CRITICAL
        if not is_critical and self._is_quiet():
            # What is over by morning, and was not said before, is never said.
            if not state.is_open and not (state.is_posted or state.is_pushed):
                await self._put(evolve(state, is_settled=True))
            return
        if state.is_open:
            await self._say_it_is(state, is_blocked=is_blocked)
        else:
            await self._say_it_was(state)

    async def _say_it_is(self, state: AlertState, *, is_blocked: bool) -> None:
        way = self._ways.get(state.key, Way.LETTER)
        if way is Way.LETTER and not state.is_posted and await self._post(state):
            state = evolve(state, is_posted=True)
            await self._put(state)
        needs_push = is_blocked or way is not Way.LETTER or state.severity is Severity.CRITICAL
        if needs_push and not state.is_pushed and await self._push(state):
            await self._put(evolve(state, is_pushed=True))

    async def _say_it_was(self, state: AlertState) -> None:
        lasted = (state.ended_at or state.since) - state.since
        is_late = self._ways.get(state.key) is Way.AFTERWARDS and lasted >= WORTH_A_LETTER
        if (state.is_posted or is_late) and not await self._post(state):
            return
        if state.is_pushed and not await self._push(state):
            return
        await self._put(evolve(state, is_settled=True))

    def _is_quiet(self) -> bool:
        now = self._clock.now().astimezone(self._config.zone)
        return self._config.quiet is not None and now.time() in self._config.quiet

    async def _post(self, state: AlertState) -> bool:
        """Put its letter into the outbox; whether it is there."""
        if self._clock.monotonic() < self._store_not_before:
            return False
        title, text = words_of(state)
        letter = Letter(
            name=name_of(state),
            message=f"{title}\n{text}" if text else title,
            severity=state.severity if state.is_open else Severity.SUCCESS,
            sender=self._config.sender,
            timestamp=self._clock.now(),
            format=LetterFormat.PLAIN,
        )
        try:
            await self._outbox.post(letter)
        except TransientError as error:
            log.error("alert.post_failed", key=state.key, error=str(error))
            self._leave_store_alone()
            return False
        return True

    async def _push(self, state: AlertState) -> bool:
        """Say it by the second way; whether it is done with."""
        if self._sink is None:
            return True
        if self._clock.monotonic() < self._push_not_before:
            return False
        title, text = words_of(state)
        alert = Alert(
            key=state.key,
            title=title,
            text=text,
            severity=state.severity if state.is_open else Severity.SUCCESS,
            is_over=not state.is_open,
        )
        try:
            await self._sink.send(alert)
        except TransientError as error:
            self._pushes += 1
            pause = PUSH_AGAIN.delay(self._pushes, draw=0.5, retry_after=error.retry_after)
            self._push_not_before = self._clock.monotonic() + pause.total_seconds()
            log.error("alert.push_failed", key=state.key, error=str(error))
            return False
        except PermanentError as error:
            # It would be refused again: the log has it, and the letter says it, too.
            log.error("alert.push_refused", key=state.key, error=str(error))
        self._pushes = 0
        return True

    # ---- what is remembered

    async def _put(self, state: AlertState) -> None:
        self._states[state.key] = state
        await self._write()

    async def _write(self) -> None:
        self._is_written = False
        try:
            await self._book.write(tuple(self._states.values()))
        except TransientError as error:
            log.error("alert.book_not_written", error=str(error))
            self._leave_store_alone()
        else:
            self._is_written = True

    def _leave_store_alone(self) -> None:
        self._store_not_before = self._clock.monotonic() + STORE_AGAIN.total_seconds()

    def _forget(self, key: str) -> None:
        for memory in (self._states, self._bad_since, self._good_since, self._ways):
            memory.pop(key, None)
        self._is_written = False

    def _forget_old(self) -> None:
        now = self._clock.now()
        for state in list(self._states.values()):
            if state.is_settled and state.ended_at is not None:
                # A clock that was set back must not keep it for years.
                age = abs(now - state.ended_at)
                if age > REMEMBERED:
                    self._forget(state.key)


def calm(times: int) -> timedelta:
    """How long all must be well before what came up so often is over."""
    factor: int = 2 ** min(times - 1, 16)
    return min(CALM * factor, LONGEST_CALM)


def words_of(state: AlertState) -> tuple[str, str]:
    """What people read: a line, and perhaps another one."""
    if state.ended_at is None:
        return f"{state.text}.", state.remedy
    lasted = span(state.ended_at - state.since)
    return f"Resolved after {lasted}: {state.text}.", ""


def name_of(state: AlertState) -> str:
    """The letter's name: another one for its end, and when it got worse."""
    parts = (state.key, state.since.isoformat(), state.severity.value)
    digest = hashlib.sha256("\0".join(parts).encode("utf-8", "replace")).hexdigest()[:16]
    return f"alert-{'trouble' if state.is_open else 'resolved'}-{digest}"


def span(duration: timedelta) -> str:
    """How long something was, in the words people use."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in _UNITS.items():
        if seconds >= 2 * size:
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


_UNITS: Mapping[int, str] = {86_400: "days", 3_600: "h", 60: "min"}
