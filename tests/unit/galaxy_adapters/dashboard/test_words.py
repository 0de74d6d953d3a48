"""How times and amounts read, and what charts are made of."""

from __future__ import annotations

from datetime import timedelta

import pytest

from galaxy_adapters.dashboard import words
from galaxy_adapters.dashboard.charts import RANGES, charts
from galaxy_core.domain.insight import Slot
from galaxy_core.domain.order import Attachment
from galaxy_core.domain.response import Outcome
from galaxy_core.testing.clock import START
from galaxy_core.testing.factories import make_order


@pytest.mark.parametrize(
    "seconds, text",
    [
        (-5, "0 s"),
        (0, "0 s"),
        (0.25, "0.2 s"),
        (4, "4 s"),
        (59.6, "1 min"),
        (83, "1 min 23 s"),
        (3600, "1 h"),
        (3660, "1 h 1 min"),
        (90_061, "1 d 1 h"),
        (86_405, "1 d"),
    ],
)
def test_spans_name_their_two_largest_units(seconds: float, text: str) -> None:
    """Nobody reads the seconds of a day; neighbours only, so that nothing is passed over."""
    assert words.span(timedelta(seconds=seconds)) == text


@pytest.mark.parametrize(
    "seconds, text",
    [(3, "just now"), (-8, "just now"), (59, "59 s ago"), (7_300, "2 h ago"), (-90_000, "in 1 d")],
)
def test_moments_are_told_from_now(seconds: float, text: str) -> None:
    """Past and to come, in one unit; clocks that differ by seconds do not matter."""
    assert words.ago(START - timedelta(seconds=seconds), START) == text


@pytest.mark.parametrize(
    "number, text",
    [(0, "0"), (7, "7"), (950, "950"), (12_345, "12.3 k"), (1_550_000, "1.55 M"), (2e9, "2 G")],
)
def test_amounts_have_three_digits(number: float, text: str) -> None:
    """Large numbers are compared at a glance."""
    assert words.amount(number) == text


def test_amounts_grow_into_the_next_unit() -> None:
    """Rounding never writes a thousand of a unit, nor an exponent."""
    assert words.amount(999_999) == "1 M"
    assert words.amount(999.9) == "1 k"


def test_title_is_the_first_line_that_says_something() -> None:
    """Empty lines are passed over, long ones cut, orders without text named by their files."""
    assert words.title(make_order(payload="\n \n  Mend it \nplease")) == "Mend it"
    assert words.title(make_order(payload="x" * 500)) == "x" * 139 + "…"
    files = (Attachment(path="a"), Attachment(path="b"))
    assert words.title(make_order(payload="", media=files)) == "2 files"
    assert words.title(make_order(payload=" ")) == "(empty)"


def test_commands_are_told_from_words() -> None:
    """Backticks in sentences of findings make code, unpaired ones too without loss."""
    assert words.coded("Start `x`.") == [("Start ", False), ("x", True), (".", False)]
    assert "".join(piece for piece, _ in words.coded("odd ` one")) == "odd  one"


def test_charts_show_what_there_is() -> None:
    """Pictures, summaries and tables say the same; the tallest bar fills the height."""
    day = RANGES["day"]
    slots = [Slot(begins=START + n * day.width) for n in range(48)]
    slots[3] = Slot(
        begins=slots[3].begins,
        ended={Outcome.SUCCEEDED: 3, Outcome.DEAD: 1},
        run_seconds_p50=2.0,
        run_seconds_p95=8.0,
        tokens=1_500,
        cost_usd=0.25,
    )
    throughput, durations, tokens = charts(slots, day)
    assert throughput.rows == (("13:30", "3", "1", "0"),)
    assert throughput.summary == "4 orders, 1 failed"
    assert "13:30: 3 succeeded, 1 failed" in throughput.svg
    assert 'y="25.0" width="8" height="75.0" class="good"' in throughput.svg
    assert 'y="0.0" width="8" height="25.0" class="bad"' in throughput.svg
    assert durations.rows == (("13:30", "2 s", "8 s"),)
    assert durations.svg.count("<g>") == 1
    assert tokens.summary == "1.5 k tokens, $0.2500"


@pytest.mark.parametrize("number", [0, 1, 60])
def test_charts_of_nothing_are_empty(number: int) -> None:
    """No division by nothing, no picture of nothing."""
    slots = [Slot(begins=START)] * number
    for chart in charts(slots, RANGES["hour"]):
        assert chart.is_empty
        assert "<g>" not in chart.svg


def test_pieces_of_time_stand_still() -> None:
    """While a page is watched, bars do not creep: pieces begin at whole multiples."""
    for stretch in RANGES.values():
        begin = stretch.begin(START)
        assert begin == stretch.begin(START + stretch.width / 10)
        assert (START - begin) <= stretch.length
        assert begin.timestamp() % stretch.width.total_seconds() == 0
