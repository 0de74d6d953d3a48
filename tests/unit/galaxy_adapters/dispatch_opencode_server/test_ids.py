"""Message ids have opencode's own form and sort by time."""

import re
from datetime import UTC, datetime, timedelta

import pytest

from galaxy_adapters._opencode.steady import is_ahead_by
from galaxy_adapters.dispatch_opencode_server.ids import MessageIds

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
    """An id of the future would sort behind the answers of a server that was started since."""
    ids = MessageIds()
    ids.next(NOW)
    before = NOW - timedelta(hours=1)
    assert is_ahead_by(ids.next(before), before) == timedelta(0)


@pytest.mark.parametrize("ahead", [timedelta(0), timedelta(hours=1)])
def test_id_sorts_behind_its_session(ahead: timedelta) -> None:
    """Also where the clock was set back since: what is there already is no answer to it."""
    newest = MessageIds().next(NOW + ahead)
    ids = MessageIds()
    assert newest < ids.next(NOW, after=newest)
    # Another session is not concerned.
    assert is_ahead_by(ids.next(NOW), NOW) < timedelta(milliseconds=1)


def test_id_behind_one_of_another_form() -> None:
    """Such a one says nothing of time."""
    assert is_ahead_by(MessageIds().next(NOW, after="msg_imported"), NOW) == timedelta(0)


@pytest.mark.parametrize(
    "ahead", [timedelta(0), timedelta(minutes=5), timedelta(days=-30), timedelta(days=300)]
)
def test_age_of_an_id_is_told(ahead: timedelta) -> None:
    """The 48 bits of time turn over every 2.2 years; the difference does not."""
    assert is_ahead_by(MessageIds().next(NOW + ahead), NOW) == ahead


def test_foreign_id_is_not_ahead() -> None:
    """What has another form says nothing of time."""
    assert is_ahead_by("msg_imported-by-hand", NOW) == timedelta(0)
