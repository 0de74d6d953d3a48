"""What is wrong is told once, in time, to who can hear it; and that it is over."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

import pytest
from attrs import define, field

from galaxy_core.domain.errors import PermanentError, StorageUnavailable, TransientError
from galaxy_core.domain.health import Check, QuietHours, Sight, Way
from galaxy_core.domain.insight import Level
from galaxy_core.domain.letter import Severity
from galaxy_core.services.health import AlertConfig, AlertDesk
from galaxy_core.services.health.alerts import NOTICED, OVER, REMEMBERED, calm, span
from galaxy_core.services.trail import Trail
from galaxy_core.testing.faults import Crash, Faults
from galaxy_core.testing.memory import (
    AlertPages,
    AuditLines,
    LetterBox,
    ManualClock,
    MemoryAlertBook,
    MemoryAlertSink,
    MemoryAuditSink,
    MemoryOutbox,
)

pytestmark = pytest.mark.anyio

NIGHT = QuietHours(time(22), time(7))
LOST = "Hermes on lab gives no sign of life"


def bad(
    severity: Severity = Severity.ALERT,
    *,
    key: str = "hermes:lab",
    way: Way = Way.LETTER,
    grace: float = 0.0,
    is_way_blocked: bool = False,
) -> Sight:
    """Something is wrong."""
    return Sight(
        check=Check(key=key, level=Level.UNWELL, text=LOST, remedy="Start it."),
        severity=severity,
        way=way,
        grace_seconds=grace,
        is_way_blocked=is_way_blocked,
    )


def good(key: str = "hermes:lab", way: Way = Way.LETTER) -> Sight:
    """It is well."""
    return Sight(check=Check(key=key, level=Level.WELL, text="Hermes on lab is alive"), way=way)


@define
class Scene:
    """What outlives a watcher, and one watcher."""

    quiet: QuietHours | None = None
    has_sink: bool = True
    clock: ManualClock = field(factory=ManualClock)
    faults: Faults = field(factory=Faults)
    letters: LetterBox = field(factory=LetterBox)
    pages: AlertPages = field(factory=AlertPages)
    lines: AuditLines = field(factory=AuditLines)
    sink: MemoryAlertSink = field(init=False)
    desk: AlertDesk = field(init=False)

    def __attrs_post_init__(self) -> None:
        self.sink = MemoryAlertSink(faults=self.faults)

    async def start(self) -> None:
        """Begin a new watcher's life."""
        self.desk = AlertDesk(
            AlertConfig(sender="Caduceus", quiet=self.quiet, zone=UTC),
            MemoryAlertBook(self.pages, faults=self.faults),
            MemoryOutbox(self.clock, self.letters, faults=self.faults),
            Trail(MemoryAuditSink(self.lines), self.clock, "gateway"),
            self.clock,
            self.sink if self.has_sink else None,
        )
        await self.desk.open()

    async def go_on(self, seconds: float, *sights: Sight) -> None:
        """Look at the same, each second, for so long; at least once."""
        for _ in range(max(1, round(seconds))):
            await self.desk.look(sights)
            self.clock.advance(timedelta(seconds=1))

    @property
    def said(self) -> list[str]:
        """First lines of all letters, in order."""
        return [letter.message.splitlines()[0] for letter in self.letters.waiting.values()]

    @property
    def types(self) -> list[str]:
        """Event types of the trail."""
        return [record.event.event_type for record in self.lines.records]


@pytest.fixture
async def scene() -> Scene:
    """Give a watcher without quiet hours."""
    made = Scene()
    await made.start()
    return made


async def test_told_once_and_when_it_is_over(scene: Scene) -> None:
    """One letter when it begins, one when it ends, however often one looks."""
    await scene.go_on(60, bad())
    assert scene.said == [f"{LOST}."]
    await scene.go_on(60, good())
    assert scene.said == [f"{LOST}.", f"Resolved after 65 s: {LOST}."]
    assert [letter.severity for letter in scene.letters.waiting.values()] == [
        Severity.ALERT,
        Severity.SUCCESS,
    ]
    assert scene.types == [NOTICED, OVER]


async def test_a_letter_says_what_to_do(scene: Scene) -> None:
    """The remedy is its second line."""
    await scene.go_on(1, bad())
    (letter,) = scene.letters.waiting.values()
    assert letter.message == f"{LOST}.\nStart it."
    assert letter.chat_id is None


async def test_passing_trouble_is_told_nobody(scene: Scene) -> None:
    """What is over within its grace never was."""
    await scene.go_on(9, bad(grace=10))
    await scene.go_on(60, good())
    await scene.go_on(9, bad(grace=10))
    assert (scene.said, scene.types) == ([], [])
    await scene.go_on(3, bad(grace=10))
    assert scene.said == [f"{LOST}."]


async def test_a_moment_without_it_is_no_end(scene: Scene) -> None:
    """It must be well for a while before anybody is told that it is."""
    for _ in range(5):
        await scene.go_on(3, bad())
        await scene.go_on(3, good())
    assert scene.said == [f"{LOST}."]


async def test_what_comes_and_goes_must_be_gone_for_longer(scene: Scene) -> None:
    """A crash every half minute is not two letters every half minute."""
    for _ in range(20):
        await scene.go_on(5, bad())
        await scene.go_on(25, good())
    # 5, 10, 20 seconds of calm are there; 40 are not.
    assert scene.said.count(f"{LOST}.") == 4
    assert [round(calm(times).total_seconds()) for times in (1, 2, 3, 99)] == [5, 10, 20, 600]


async def test_an_hour_later_it_is_another_trouble(scene: Scene) -> None:
    """The past is forgotten, and with it the longer calm."""
    await scene.go_on(1, bad())
    await scene.go_on(7, good())
    assert scene.pages.states
    scene.clock.advance(REMEMBERED)
    await scene.go_on(2, good())
    assert not scene.pages.states
    await scene.go_on(1, bad())
    assert [state.times for state in scene.desk.states] == [1]


async def test_a_restart_neither_repeats_nor_forgets(scene: Scene) -> None:
    """What was said before a restart is not said again after it, and its end is."""
    await scene.go_on(5, bad())
    await scene.start()
    await scene.go_on(60, bad())
    assert scene.said == [f"{LOST}."]
    await scene.start()
    await scene.go_on(10, good())
    assert len(scene.said) == 2
    await scene.start()
    await scene.go_on(60, good())
    assert len(scene.said) == 2


async def test_killed_anywhere_each_letter_is_there_once() -> None:
    """At every write, before or after its effect: one letter for the beginning, one for the end."""
    step = 0
    for is_done in (False, True):
        for step in range(1, 8):
            scene = Scene(has_sink=False)
            scene.faults.crash_at(step, is_done=is_done)
            await scene.start()
            try:
                await scene.go_on(3, bad())
                await scene.go_on(10, good())
            except Crash:
                await scene.start()
                if not any(state.ended_at for state in scene.desk.states):
                    await scene.go_on(3, bad())
                await scene.go_on(12, good())
            told = [text.startswith("Resolved") for text in scene.said]
            assert sorted(told) == [False, True], (step, is_done, scene.said)
    assert len(scene.faults.writes) >= step - 1


async def test_at_night_only_what_is_critical() -> None:
    """The rest is told in the morning, if it is still the case."""
    scene = Scene(quiet=NIGHT, clock=ManualClock(datetime(2026, 2, 2, 21, 59, 50, tzinfo=UTC)))
    await scene.start()
    await scene.go_on(20, good("a"), good("b"))
    await scene.go_on(20, bad(key="a"), bad(Severity.CRITICAL, key="b"), bad(key="c"))
    assert [state.key for state in scene.desk.states if state.is_posted] == ["b"]
    await scene.go_on(20, bad(key="a"), good("b"), good("c"))
    assert len(scene.said) == 2  # who was woken hears at once that it is over
    await scene.start()  # the night is long
    await scene.go_on(5, bad(key="a"), good("b"), good("c"))
    assert len(scene.said) == 2
    scene.clock.advance(timedelta(hours=9))
    await scene.go_on(5, bad(key="a"), good("b"), good("c"))
    # What was over by then is not told at all.
    assert len(scene.said) == 3
    assert {state.key for state in scene.desk.states if state.is_posted} >= {"a"}


@pytest.mark.parametrize(
    "hours, quiet, loud",
    [
        (QuietHours(time(22), time(7)), [(22, 0), (23, 59), (0, 0), (6, 59)], [(7, 0), (21, 59)]),
        (QuietHours(time(13), time(14)), [(13, 0), (13, 59)], [(12, 59), (14, 0), (0, 0)]),
        (QuietHours(time(0), time(0)), [], [(0, 0), (12, 0)]),
    ],
)
def test_quiet_hours(
    hours: QuietHours, quiet: list[tuple[int, int]], loud: list[tuple[int, int]]
) -> None:
    """Over midnight too; from the same time to the same time is never."""
    assert all(time(*moment) in hours for moment in quiet)
    assert not any(time(*moment) in hours for moment in loud)


async def test_the_second_way_is_for_when_letters_do_not_get_out(scene: Scene) -> None:
    """What was posted already goes out again by the other way once letters are held up."""
    await scene.go_on(5, bad())
    assert not scene.sink.heard
    blocked = bad(key="channel:telegram", way=Way.PUSH, is_way_blocked=True, grace=10)
    await scene.go_on(5, bad(), blocked)
    assert [alert.key for alert in scene.sink.heard] == ["hermes:lab"]
    await scene.go_on(20, bad(), blocked)
    assert [alert.key for alert in scene.sink.heard] == ["hermes:lab", "channel:telegram"]
    await scene.go_on(20, good(), good("channel:telegram", Way.PUSH))
    assert [alert.key for alert in scene.sink.heard if alert.is_over] == [
        "hermes:lab",
        "channel:telegram",
    ]
    assert len(scene.said) == 2  # of the channel there is no letter


async def test_critical_goes_both_ways(scene: Scene) -> None:
    """It must be heard, whatever is wrong with one of them."""
    await scene.go_on(3, bad(Severity.CRITICAL))
    assert len(scene.said) == len(scene.sink.heard) == 1
    assert scene.sink.heard[0].severity is Severity.CRITICAL


async def test_getting_worse_is_told_again(scene: Scene) -> None:
    """A disk that is nearly full and one that is full are two messages; better is none."""
    await scene.go_on(3, bad(Severity.WARNING))
    await scene.go_on(3, bad(Severity.CRITICAL))
    await scene.go_on(3, bad(Severity.WARNING))
    assert len(scene.said) == 2
    await scene.go_on(10, good())
    assert len(scene.said) == 3


@pytest.mark.parametrize("seconds, letters", [(20, 0), (90, 1)])
async def test_what_letters_could_not_tell_is_told_afterwards(
    scene: Scene, seconds: int, letters: int
) -> None:
    """A gateway that was away for long owes a word; one that was restarted does not."""
    await scene.go_on(seconds, bad(Severity.CRITICAL, key="gateway", way=Way.AFTERWARDS))
    assert not scene.said
    await scene.go_on(20, good("gateway", Way.AFTERWARDS))
    assert len(scene.said) == letters
    assert [alert.is_over for alert in scene.sink.heard] == [False, True]


async def test_no_second_way_is_no_trouble() -> None:
    """Without one, what has no letter stays in the trail."""
    scene = Scene(has_sink=False)
    await scene.start()
    await scene.go_on(5, bad(way=Way.PUSH))
    await scene.go_on(20, good(way=Way.PUSH))
    assert (scene.said, scene.types) == ([], [NOTICED, OVER])


async def test_a_full_disk_silences_nobody(scene: Scene) -> None:
    """Neither book nor letter can be written: it goes out the second way, and the letter later."""
    full = StorageUnavailable("no space left")
    scene.faults.fail("outbox.post", full, times=6)
    scene.faults.fail("alerts.write", full, times=6)
    await scene.go_on(10, bad(Severity.CRITICAL, is_way_blocked=True))
    assert len(scene.sink.heard) == 1
    assert not scene.said
    await scene.go_on(120, bad(Severity.CRITICAL, is_way_blocked=True))
    assert (len(scene.sink.heard), len(scene.said)) == (1, 1)
    assert [state.is_posted for state in scene.pages.states] == [True]


async def test_the_second_way_is_tried_again(scene: Scene) -> None:
    """With growing pauses while it fails for passing reasons; not at all once it refuses."""
    scene.faults.fail("sink.send", TransientError("away"), times=2)
    await scene.go_on(100, bad(way=Way.PUSH))
    assert len(scene.sink.heard) == 1
    assert scene.faults.writes.count("sink.send") == 3
    scene.faults.fail("sink.send", PermanentError("no"), times=None)
    await scene.go_on(100, bad(way=Way.PUSH), bad(key="b", way=Way.PUSH))
    assert scene.faults.writes.count("sink.send") == 4


async def test_what_exists_no_more_is_forgotten(scene: Scene) -> None:
    """A machine that left the settings is no trouble that lasts for ever."""
    await scene.go_on(3, bad(), bad(key="b"))
    await scene.desk.look([bad()])
    assert {state.key for state in scene.desk.states} == {"hermes:lab", "b"}
    await scene.desk.look([bad()], is_complete=True)
    assert {state.key for state in scene.desk.states} == {"hermes:lab"}


async def test_a_clock_that_is_set_repeats_nothing(scene: Scene) -> None:
    """Neither grace nor calm ask for the time of day."""
    await scene.go_on(3, bad(grace=100))
    scene.clock.jump(timedelta(days=1))
    await scene.go_on(3, bad(grace=100))
    assert not scene.said
    await scene.go_on(100, bad(grace=100))
    scene.clock.jump(timedelta(days=-2))
    await scene.go_on(3, bad(grace=100))
    assert len(scene.said) == 1


def test_spans_are_words() -> None:
    """As people say them."""
    spans = [(59, "59 s"), (119, "119 s"), (120, "2 min"), (7200, "2 h"), (200_000, "2 days")]
    assert [span(timedelta(seconds=s)) for s, _ in spans] == [words for _, words in spans]
