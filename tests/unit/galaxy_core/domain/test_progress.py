"""The sum of a run's events."""

from hypothesis import given
from hypothesis import strategies as st

from galaxy_core.domain.ids import OrderId, RequestId
from galaxy_core.domain.operations import Progress, ProgressItem
from galaxy_core.domain.progress import add_to_progress
from galaxy_core.domain.run import (
    Noticed,
    PermissionRequested,
    ProviderRetrying,
    RequestResolved,
    RunEnded,
    RunEvent,
    RunStarted,
    StepFinished,
    TextAppended,
    ToolChanged,
    ToolStatus,
    Verdict,
)
from galaxy_core.testing.factories import at

STARTED = RunStarted(session_id="s", message_id="m")


def sum_of(*events: RunEvent) -> Progress:
    """Where an order stands after these events, one a minute."""
    progress = Progress(order_id=OrderId("a"))
    for number, event in enumerate(events, 1):
        progress = add_to_progress(
            progress, ProgressItem(number=number, at=at(number), event=event)
        )
    return progress


def text(piece: str, part: str = "p1") -> TextAppended:
    """One piece of text."""
    return TextAppended(text=piece, part=part)


@given(pieces=st.lists(st.text(min_size=1), max_size=8))
def test_pieces_of_one_part_are_joined_as_they_are(pieces: list[str]) -> None:
    """Text that streams in is shown as it will stand in the answer."""
    assert sum_of(*(text(piece) for piece in pieces)).text == "".join(pieces)


def test_parts_stand_apart() -> None:
    """What the agent says before and after a tool does not run into each other."""
    assert sum_of(text("one"), text("two", "p2"), text("!", "p2")).text == "one\n\ntwo!"


def test_times_are_those_of_the_first_and_the_last_event() -> None:
    """People see since when an order runs, and when it was heard of last."""
    progress = sum_of(STARTED, text("one"), text("two"))
    assert (progress.started_at, progress.updated_at) == (at(1), at(3))


def test_tool_is_shown_while_it_runs() -> None:
    """What it is doing now, by its title, and nothing between tools."""
    running = ToolChanged(call_id="c", tool="bash", status=ToolStatus.RUNNING)
    done = ToolChanged(call_id="c", tool="bash", status=ToolStatus.FAILED)
    assert sum_of(running).tool == "bash"
    assert sum_of(running, done).tool is None


def test_requests_wait_until_they_are_resolved() -> None:
    """People see what they are asked, each once, until it was answered or the run is over."""
    one = PermissionRequested(request_id=RequestId("1"), permission="bash")
    two = PermissionRequested(request_id=RequestId("2"), permission="edit")
    resolved = RequestResolved(request_id=RequestId("1"), how="once")
    assert sum_of(one, two, one).waiting_for == (two, one)
    assert sum_of(one, two, resolved).waiting_for == (two,)
    assert sum_of(one, RunEnded(verdict=Verdict.CANCELLED)).waiting_for == ()


def test_note_is_the_newest_trouble() -> None:
    """A retry of the provider is shown until the model has gone on."""
    retry = ProviderRetrying(attempt=2, message="busy")
    assert sum_of(Noticed(message="x"), retry).note == "Try 2: busy"
    assert sum_of(retry, StepFinished(reason="stop", number=1)).note is None


def test_end_has_the_whole_text() -> None:
    """The answer as it ended replaces what streamed in; without one that stays."""
    assert sum_of(text("par"), RunEnded(verdict=Verdict.SUCCEEDED, text="whole")).text == "whole"
    failed = sum_of(text("par"), RunEnded(verdict=Verdict.FAILED, reason="no"))
    assert (failed.text, failed.note, failed.is_over) == ("par", "no", True)


def test_next_attempt_goes_on() -> None:
    """An order that is tried again runs again."""
    ended = RunEnded(verdict=Verdict.BROKEN_OFF, reason="away")
    progress = sum_of(STARTED, text("one"), ended, STARTED, text("two", "p2"))
    assert (progress.is_over, progress.text) == (False, "one\n\ntwo")
