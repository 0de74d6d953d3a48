"""Whether notices come is judged by files that nobody announced."""

from pathlib import Path

import pytest

from galaxy_adapters._files.hearing import Hearing
from galaxy_core.testing.clock import ManualClock
from galaxy_core.testing.memory import MemoryIncidentSink


@pytest.fixture
def hearing() -> Hearing:
    """Give one whose first look is over."""
    hearing = Hearing(Path("outbox"), ManualClock(), MemoryIncidentSink())
    hearing.judge([])
    return hearing


def test_file_that_nobody_announces_is_told_by_the_look_after(hearing: Hearing) -> None:
    """Its notice may be on its way at the first look, and is missing at the second."""
    hearing.judge(["a"])
    assert hearing.is_in_doubt
    assert not hearing.is_deaf
    hearing.judge([])
    assert hearing.is_deaf


def test_late_notice_counts(hearing: Hearing) -> None:
    """What is announced between the two looks was only slow."""
    hearing.judge(["a"])
    hearing.heard("a")
    hearing.judge([])
    assert not hearing.is_in_doubt


def test_notice_that_comes_while_a_look_is_under_way_counts_for_the_next(hearing: Hearing) -> None:
    """The look that began before the file was there cannot find it."""
    hearing.heard("a")
    hearing.judge([])
    hearing.judge(["a"])
    hearing.judge([])
    assert not hearing.is_in_doubt
