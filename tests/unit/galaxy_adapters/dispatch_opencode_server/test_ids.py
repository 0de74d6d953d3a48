"""Message ids have opencode's own form and sort by time."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from galaxy_adapters.dispatch_opencode_server.ids import MessageIds, is_ahead_by

NOW = datetime(2026, 11, 22, 8, 55, 53, 560000, tzinfo=UTC)


def test_id_has_opencodes_form() -> None:
    """The time stands where 1.18 puts it: checked against an id made in the same millisecond."""
    made = MessageIds().next(NOW)
    assert re.fullmatch(r"msg_2027813d8000[0-9A-Za-z]{14}", made)


def test_ids_sort_as_they_were_made() -> None:
    """Also within one millisecond, and when the clock stumbles."""
    ids = MessageIds()
    moments = [NOW, NOW, NOW + timedelta(milliseconds=1), NOW - timedelta(seconds=1), NOW]
    made = [ids.next(moment) for moment in moments]
    assert made == sorted(made)
    assert len(set(made)) == len(made)


def test_ids_go_back_with_the_clock() -> None:
    """An id of the future would make the answer sort before its prompt, and opencode ask again."""
    ids = MessageIds()
    ids.next(NOW)
    before = NOW - timedelta(hours=1)
    assert is_ahead_by(ids.next(before), before) == timedelta(0)


@pytest.mark.parametrize(
    "ahead", [timedelta(0), timedelta(minutes=5), timedelta(days=-30), timedelta(days=300)]
)
def test_age_of_an_id_is_told(ahead: timedelta) -> None:
    """The 48 bits of time turn over every 2.2 years; the difference does not."""
    assert is_ahead_by(MessageIds().next(NOW + ahead), NOW) == ahead


def test_foreign_id_is_not_ahead() -> None:
    """What has another form says nothing of time."""
    assert is_ahead_by("msg_imported-by-hand", NOW) == timedelta(0)
