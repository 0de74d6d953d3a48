"""What is not as it should be, and what to do about it: figures in, sentences out.

Numbers below are where a person would want to hear of it, not where something breaks.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime, timedelta

from attrs import frozen

from galaxy_core.domain.health import AlertState
from galaxy_core.domain.insight import Finding, Level, Slot
from galaxy_core.domain.letter import Severity
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.domain.response import Outcome
from galaxy_core.ports.machine_folder import DiskSpace
from galaxy_core.ports.outbox import LetterCount

UNWELL_AFTER = timedelta(minutes=2)
"""Of silence.  Hermes beats every few seconds; a loaded machine may swallow some."""
LONG_WAIT = timedelta(minutes=15)
LITTLE_SPACE, HARDLY_SPACE = 1_000_000_000, 100_000_000
MANY_LETTERS = 50
MIN_ENDED = 4
"""Orders in an hour below which a rate means nothing."""
STOPPED = "stopped"

_ORDER = (Level.UNWELL, Level.DOUBTFUL, Level.WELL)


@frozen(kw_only=True)
class Look:
    """One machine as it was just seen."""

    name: str
    now: datetime
    heartbeat: Heartbeat | None
    live: int
    """Orders that wait or run."""
    oldest_waiting: timedelta | None
    letters: LetterCount
    space: DiskSpace | None


def is_alive(heartbeat: Heartbeat | None, now: datetime) -> bool:
    """Whether a Hermes works: it beat lately, and has not said that it stopped."""
    return (
        heartbeat is not None
        and heartbeat.status != STOPPED
        and now - heartbeat.last_heartbeat_at <= UNWELL_AFTER
    )


def worst(findings: Iterable[Finding]) -> Level:
    """The level of the whole."""
    return min((f.level for f in findings), key=_ORDER.index, default=Level.WELL)


def by_weight(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """The worst first."""
    return tuple(sorted(findings, key=lambda finding: _ORDER.index(finding.level)))


def of_machine(look: Look) -> Iterator[Finding]:
    """Everything about one machine."""
    for level, what, remedy in (*_hermes(look), *_queue(look), *_letters(look), *_disk(look)):
        yield Finding(level=level, what=what, remedy=remedy, machine=look.name)


def of_alerts(
    states: Iterable[AlertState], *, is_gateway_up: bool | None = None
) -> Iterator[Finding]:
    """What only a watcher can see; the rest is looked at here.

    `is_gateway_up` says that there is a gateway: only its watchers know whether it gets on.
    """
    for state in states:
        kind, _, of_what = state.key.partition(":")
        if state.is_open and (kind in _ONLY_WATCHED or (kind == "gateway" and is_gateway_up)):
            yield Finding(
                level=Level.DOUBTFUL if state.severity is Severity.WARNING else Level.UNWELL,
                what=f"{state.text}.",
                remedy=state.remedy,
                machine=of_what if kind == "agent" else None,
            )


_ONLY_WATCHED = frozenset({"agent", "channel", "look"})


def of_figures(error: Exception) -> Finding:
    """Why nothing can be said of orders that ended."""
    return Finding(
        level=Level.DOUBTFUL,
        what=f"The figures cannot be read now. {error}",
        remedy="They are made again by themselves; if not, the log of the gateway says why.",
    )


def of_whole(
    *, is_gateway_up: bool | None, waiting_letters: int, hour: Sequence[Slot], day: Sequence[Slot]
) -> Iterator[Finding]:
    """What concerns no machine in particular."""
    if is_gateway_up is False:
        yield Finding(
            level=Level.UNWELL if waiting_letters else Level.DOUBTFUL,
            what=f"The gateway does not run{_also(waiting_letters, 'letter')}.",
            remedy="Start it with `galaxy up`, or alone with `galaxy-gateway`.",
        )
    ended = _sum(hour, *Outcome)
    failed = _sum(hour, Outcome.FAILED, Outcome.DEAD)
    if ended >= MIN_ENDED and failed * 2 >= ended:
        yield Finding(
            level=Level.UNWELL if failed == ended else Level.DOUBTFUL,
            what=f"{failed} of {ended} orders of the last hour failed.",
            remedy="Open the newest of them: its page says why. Often it is the model's provider.",
        )
    dead = _sum(day, Outcome.DEAD)
    if dead:
        yield Finding(
            level=Level.DOUBTFUL,
            what=f"{_many(dead, 'order')} of the last day failed at every try (dead letters).",
            remedy="Open them: each page says why, and `Retry` has one done again.",
        )


_UNDELIVERABLE = (
    "Each has its `.reason` beside it in `galaxy-outbox-undeliverable`: move back into"
    " `galaxy-outbox` what is to be tried again, and away what is not."
)
_Three = tuple[Level, str, str]


def _hermes(look: Look) -> Iterator[_Three]:
    heartbeat, name = look.heartbeat, look.name
    level = Level.UNWELL if look.live else Level.DOUBTFUL
    more = _also(look.live, "order")
    if heartbeat is None:
        yield level, f"Hermes on {name} has never run{more}.", "Start it with `galaxy-hermes`."
    elif heartbeat.status == STOPPED:
        ago = span(look.now - (heartbeat.stopped_at or heartbeat.last_heartbeat_at))
        what = f"Hermes on {name} was stopped {ago} ago{more}."
        yield level, what, "Start it with `galaxy-hermes`."
    elif not is_alive(heartbeat, look.now):
        silence = span(look.now - heartbeat.last_heartbeat_at)
        what = f"Hermes on {name} gives no sign of life for {silence}{more}."
        yield Level.UNWELL, what, "Look at its log, or start it with `galaxy-hermes`."
    elif heartbeat.status == "draining":
        what = f"Hermes on {name} is stopping{more}."
        yield Level.DOUBTFUL, what, "Start it with `galaxy-hermes` once it has stopped."


def _queue(look: Look) -> Iterator[_Three]:
    age = look.oldest_waiting
    if age is not None and age >= LONG_WAIT and is_alive(look.heartbeat, look.now):
        yield (
            Level.DOUBTFUL,
            f"An order on {look.name} has waited for {span(age)}.",
            "See what runs there: it may wait for an answer, or hang; cancelling makes room.",
        )


def _letters(look: Look) -> Iterator[_Three]:
    lost, waiting = look.letters.undeliverable, look.letters.waiting
    if lost:
        yield (
            Level.DOUBTFUL,
            f"{_many(lost, 'letter')} of {look.name} reached nobody.",
            _UNDELIVERABLE,
        )
    if waiting >= MANY_LETTERS:
        yield (
            Level.DOUBTFUL,
            f"{waiting} letters of {look.name} wait to be delivered.",
            "Look at the gateway's log: a channel may be down, or slow us down.",
        )


def _disk(look: Look) -> Iterator[_Three]:
    if look.space is None:
        yield (
            Level.UNWELL,
            f"The folder of {look.name} cannot be looked at.",
            "Is its disk mounted, and readable for this user?",
        )
    elif look.space.free_bytes < LITTLE_SPACE:
        level = Level.UNWELL if look.space.free_bytes < HARDLY_SPACE else Level.DOUBTFUL
        megabytes = look.space.free_bytes // 1_000_000
        what = f"The disk of {look.name} has {megabytes:,} MB left."
        yield level, what, "Free some: without room orders are neither taken nor answered."


def span(duration: timedelta) -> str:
    """How long something is, in the words people use."""
    seconds = max(0, int(duration.total_seconds()))
    for size, unit in ((86_400, "days"), (3_600, "h"), (60, "min")):
        if seconds >= size * (2 if unit == "days" else 1):
            return f"{seconds // size} {unit}"
    return f"{seconds} s"


def _many(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def _also(number: int, thing: str) -> str:
    return f"; {_many(number, thing)} {'waits' if number == 1 else 'wait'}" if number else ""


def _sum(slots: Sequence[Slot], *outcomes: Outcome) -> int:
    return sum(slot.ended.get(outcome, 0) for slot in slots for outcome in outcomes)
