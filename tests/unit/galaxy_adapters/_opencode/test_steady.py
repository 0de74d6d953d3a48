"""An opencode that we start is given a clock that does not go back."""

from datetime import UTC, datetime, timedelta

import pytest

from galaxy_adapters._opencode.steady import PRELOAD, STEADY_CLOCK, steady_clock

NOW = datetime(2026, 11, 22, 8, 55, 53, 560000, tzinfo=UTC)
NEWEST = "msg_2027813d8000abcdefghijklmn"
"""Made at that moment by opencode 1.18.33."""


def test_clock_is_always_given() -> None:
    """Nobody knows beforehand when the time of day will be set."""
    assert steady_clock(None, NOW) == {PRELOAD: str(STEADY_CLOCK)}
    assert "Date.now" in STEADY_CLOCK.read_text(encoding="utf-8")


@pytest.mark.parametrize("behind", [timedelta(0), timedelta(seconds=3), timedelta(days=400)])
def test_session_of_the_past_needs_no_floor(behind: timedelta) -> None:
    """The usual case, and one whose id is of the round of 2.2 years before this one."""
    assert set(steady_clock(NEWEST, NOW + behind)) == {PRELOAD}


def test_clock_begins_behind_a_session_of_the_future() -> None:
    """Else the next message would count as an earlier one."""
    variables = steady_clock(NEWEST, NOW - timedelta(hours=1))
    floor = int(variables["GALAXY_CLOCK_FLOOR"])
    assert 0 < floor - NOW.timestamp() * 1000 <= 2
