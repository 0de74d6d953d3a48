"""What people are told when something is wrong: that it is, how bad, and what to do."""

from datetime import timedelta

import pytest
from attrs import evolve

from galaxy_core.domain.health import AlertState
from galaxy_core.domain.insight import Finding, Level, Slot
from galaxy_core.domain.letter import Severity
from galaxy_core.domain.operations import Heartbeat
from galaxy_core.domain.response import Outcome
from galaxy_core.ports.machine_folder import DiskSpace
from galaxy_core.ports.outbox import LetterCount
from galaxy_core.services.insight import findings
from galaxy_core.services.insight.findings import Look
from galaxy_core.testing.clock import START

WELL = Look(
    name="lab",
    now=START,
    heartbeat=Heartbeat(status="running", machine="lab", started_at=START, last_heartbeat_at=START),
    live=3,
    oldest_waiting=timedelta(minutes=1),
    letters=LetterCount(waiting=2, undeliverable=0),
    space=DiskSpace(free_bytes=10**10, total_bytes=10**11),
)


def heard(status: str, ago: timedelta) -> Heartbeat:
    """A last sign of life."""
    at = START - ago
    return Heartbeat(status=status, machine="lab", started_at=at, last_heartbeat_at=at)


def changed(**values: object) -> Look:
    """A machine on which all is well but this."""
    return evolve(WELL, **values)  # type: ignore[arg-type]


def test_machine_that_is_well_has_no_findings() -> None:
    """Nobody is bothered with what is in order."""
    assert list(findings.of_machine(WELL)) == []
    assert findings.worst([]) is Level.WELL


@pytest.mark.parametrize(
    "values, level, what, remedy",
    [
        (
            {"heartbeat": None, "live": 0},
            Level.DOUBTFUL,
            "Hermes on lab has never run.",
            "galaxy-hermes",
        ),
        (
            {"heartbeat": None, "live": 2},
            Level.UNWELL,
            "Hermes on lab has never run; 2 orders wait.",
            "galaxy-hermes",
        ),
        (
            {"heartbeat": heard("running", timedelta(minutes=4, seconds=10)), "live": 0},
            Level.UNWELL,
            "Hermes on lab gives no sign of life for 4 min.",
            "Look at its log, or start it with `galaxy-hermes`.",
        ),
        (
            {"heartbeat": heard("stopped", timedelta(hours=3)), "live": 1},
            Level.UNWELL,
            "Hermes on lab was stopped 3 h ago; 1 order waits.",
            "galaxy-hermes",
        ),
        (
            {"heartbeat": heard("draining", timedelta(seconds=3)), "live": 0},
            Level.DOUBTFUL,
            "Hermes on lab is stopping.",
            "galaxy-hermes",
        ),
        (
            {"oldest_waiting": timedelta(minutes=16)},
            Level.DOUBTFUL,
            "An order on lab has waited for 16 min.",
            "cancelling makes room",
        ),
        (
            {"letters": LetterCount(waiting=0, undeliverable=1)},
            Level.DOUBTFUL,
            "1 letter of lab reached nobody.",
            "galaxy-outbox-undeliverable",
        ),
        (
            {"letters": LetterCount(waiting=50, undeliverable=0)},
            Level.DOUBTFUL,
            "50 letters of lab wait to be delivered.",
            "gateway's log",
        ),
        (
            {"space": DiskSpace(free_bytes=900_000_000, total_bytes=10**11)},
            Level.DOUBTFUL,
            "The disk of lab has 900 MB left.",
            "Free some",
        ),
        (
            {"space": DiskSpace(free_bytes=0, total_bytes=10**11)},
            Level.UNWELL,
            "The disk of lab has 0 MB left.",
            "Free some",
        ),
        ({"space": None}, Level.UNWELL, "The folder of lab cannot be looked at.", "mounted"),
    ],
)
def test_each_fault_is_named_with_its_remedy(
    values: dict[str, object], level: Level, what: str, remedy: str
) -> None:
    """One sentence that says what is wrong, one that says what to do."""
    (found,) = findings.of_machine(changed(**values))
    assert (found.level, found.what, found.machine) == (level, what, "lab")
    assert remedy in found.remedy


def test_two_minutes_of_silence_are_no_fault() -> None:
    """A loaded machine may swallow a few heartbeats."""
    heartbeat = heard("running", timedelta(minutes=2))
    assert list(findings.of_machine(changed(heartbeat=heartbeat))) == []
    assert findings.is_alive(heartbeat, START)
    assert not findings.is_alive(heartbeat, START + timedelta(seconds=1))
    assert not findings.is_alive(heard("stopped", timedelta(0)), START)
    assert not findings.is_alive(None, START)


def test_long_wait_without_a_hermes_is_said_once() -> None:
    """Where Hermes is gone, that is the reason, and looking at what runs is no remedy."""
    look = changed(heartbeat=None, oldest_waiting=timedelta(hours=2))
    assert [f.what for f in findings.of_machine(look)] == [
        "Hermes on lab has never run; 3 orders wait."
    ]


def slot(**ended: int) -> Slot:
    """A piece of time in which so many orders ended."""
    return Slot(begins=START, ended={Outcome(name): number for name, number in ended.items()})


@pytest.mark.parametrize(
    "up, letters, hour, day, expected",
    [
        (True, 9, slot(succeeded=3, failed=2), slot(), []),
        (None, 0, slot(failed=3), slot(), []),
        (False, 0, slot(), slot(), [(Level.DOUBTFUL, "The gateway does not run.")]),
        (False, 1, slot(), slot(), [(Level.UNWELL, "The gateway does not run; 1 letter waits.")]),
        (
            True,
            0,
            slot(succeeded=2, failed=1, dead=1),
            slot(dead=1),
            [
                (Level.DOUBTFUL, "2 of 4 orders of the last hour failed."),
                (Level.DOUBTFUL, "1 order of the last day failed at every try (dead letters)."),
            ],
        ),
        (
            None,
            0,
            slot(failed=4),
            slot(),
            [(Level.UNWELL, "4 of 4 orders of the last hour failed.")],
        ),
    ],
)
def test_faults_of_the_whole(
    *, up: bool | None, letters: int, hour: Slot, day: Slot, expected: list[tuple[Level, str]]
) -> None:
    """The gateway, the rate of failures, dead letters."""
    found = list(
        findings.of_whole(is_gateway_up=up, waiting_letters=letters, hour=[hour], day=[day])
    )
    assert [(finding.level, finding.what) for finding in found] == expected
    assert all(finding.remedy for finding in found)


def test_worst_comes_first() -> None:
    """Who reads one line reads the one that matters."""
    look = changed(heartbeat=None, letters=LetterCount(waiting=0, undeliverable=3))
    found = findings.by_weight(reversed(list(findings.of_machine(look))))
    assert [finding.level for finding in found] == [Level.UNWELL, Level.DOUBTFUL]
    assert findings.worst(found) is Level.UNWELL


@pytest.mark.parametrize(
    "seconds, words",
    [
        (-5, "0 s"),
        (59, "59 s"),
        (60, "1 min"),
        (7199, "1 h"),
        (172_799, "47 h"),
        (172_800, "2 days"),
    ],
)
def test_spans_are_said_as_people_do(seconds: int, words: str) -> None:
    """One unit, rounded down."""
    assert findings.span(timedelta(seconds=seconds)) == words


def test_what_watchers_alone_can_see_is_shown() -> None:
    """An agent that hangs, a channel that is away; not what is looked at here anyway."""
    agent = AlertState(
        key="agent:lab", since=START, severity=Severity.ALERT, text="It hangs", remedy="Wait."
    )
    others = [
        evolve(agent, key="hermes:lab"),
        evolve(agent, key="channel:telegram", severity=Severity.WARNING),
        evolve(agent, key="agent:attic", ended_at=START),
    ]
    found = list(findings.of_alerts([agent, *others]))
    assert found == [
        Finding(level=Level.UNWELL, what="It hangs.", remedy="Wait.", machine="lab"),
        Finding(level=Level.DOUBTFUL, what="It hangs.", remedy="Wait."),
    ]


def test_gateway_that_does_not_get_on_is_shown() -> None:
    """Its watchers know more than that it runs; one that does not run is told of already."""
    alert = AlertState(
        key="gateway", since=START, severity=Severity.CRITICAL, text="It hangs", remedy="Wait."
    )
    (found,) = findings.of_alerts([alert], is_gateway_up=True)
    assert found == Finding(level=Level.UNWELL, what="It hangs.", remedy="Wait.")
    assert not list(findings.of_alerts([alert], is_gateway_up=False))
