"""Whether a server that does not answer is busy or hangs."""

from datetime import timedelta

import pytest

from galaxy_adapters.dispatch_opencode_server.silence import Silence, silence_after

STILLNESS, PATIENCE = timedelta(seconds=6), timedelta(seconds=45)


def silence(
    *calls: tuple[float, str | None], before: Silence | None = None, server_id: str = "a"
) -> Silence:
    """Give what is known after unanswered calls of a second: begun when, the work by its end."""
    work = calls[0][1]
    for begun, latest in calls:
        before = silence_after(
            before, server_id=server_id, begun=begun, now=begun + 1, work=(work, latest)
        )
        work = latest
    assert before is not None
    return before


def is_hung(seen: Silence) -> bool:
    """Say whether it is to be replaced."""
    return seen.is_hung(stillness=STILLNESS, patience=PATIENCE)


def test_one_that_does_nothing_hangs_soon() -> None:
    """It was asked, and did not even wake up."""
    assert not is_hung(silence((0, "x"), (2, "x"), (4, "x")))
    assert is_hung(silence((0, "x"), (2, "x"), (4, "x"), (6, "x")))


def test_one_that_works_is_given_time() -> None:
    """A busy opencode was silent for half a minute and answered then."""
    calls = [(float(begun), str(begun)) for begun in range(0, 60, 2)]
    assert not is_hung(silence(*calls[:22]))
    assert is_hung(silence(*calls[:24]))


def test_one_that_waits_for_the_processor_is_given_time() -> None:
    """On an overloaded machine it does nothing and cannot help it: nothing is told of its work."""
    assert not is_hung(silence((0, None), (2, None), (40, None)))


def test_one_that_woke_up_in_between_is_watched_anew() -> None:
    """It did something: the stillness begins after that."""
    assert not is_hung(silence((0, "x"), (2, "x"), (4, "y"), (6, "y"), (8, "y")))


@pytest.mark.parametrize("gap", [5, 30])
def test_stillness_holds_over_a_time_when_nobody_asked(gap: float) -> None:
    """Whoever had answered in between would have done something."""
    assert is_hung(silence((gap, "x"), before=silence((0, "x"))))


def test_two_silences_far_apart_are_two() -> None:
    """Nobody asked in between, and it may have answered."""
    assert not is_hung(silence((44, "y"), before=silence((0, "x"))))
    assert is_hung(silence((10, "y"), (22, "z"), (34, "u"), (46, "v"), before=silence((0, "x"))))


@pytest.mark.parametrize(
    "before", [silence((0, "x"), server_id="b"), silence((1000, "x"))], ids=["other", "reboot"]
)
def test_silence_of_another_time_or_server_does_not_count(before: Silence) -> None:
    """Clocks begin anew with the machine."""
    assert silence((100, "x"), before=before) == silence((100, "x"))
