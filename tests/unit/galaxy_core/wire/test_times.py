"""Points in time, in every form in which people and programs write them."""

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy_core.domain.order import JSONValue
from galaxy_core.wire.times import read_time, write_time
from tests.unit.galaxy_core.wire.strategies import any_text, json_values, plausible

NOON = datetime(2026, 2, 2, 12, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    "value",
    [
        "2026-02-02T12:00:00+00:00",
        "2026-02-02T12:00:00Z",
        "2026-02-02T12:00:00",
        "2026-02-02 12:00",
        "2026-02-02T14:00:00+02:00",
        "2026-02-02T12:00:00.000Z",
        "2026-02-02 12:00:00 UTC",
        "2026-02-02 13:00:00 +0100",
        " 2026-02-02T12:00:00Z ",
        "20260202T120000Z",
        1770033600,
        1770033600.0,
        "1770033600",
        1770033600000,
        "1770033600000",
        1770033600000000,
        1770033600000000000,
        "Mon Feb  2 12:00:00 UTC 2026",
        "Mon, 02 Feb 2026 12:00:00 +0000",
        "2 Feb 2026 12:00:00 GMT",
    ],
)
def test_forms_of_noon(value: JSONValue) -> None:
    """ISO 8601, seconds and finer since the epoch, and what `date` prints all mean the same."""
    assert read_time(value) == NOON


def test_date_alone_is_midnight() -> None:
    """A day is its beginning in UTC, and eight digits are a day."""
    assert read_time("2026-02-02") == read_time("20260202") == NOON - timedelta(hours=12)


@pytest.mark.parametrize("value", [None, "", "  ", 0, 0.0, "0"])
def test_not_known(value: JSONValue) -> None:
    """Null, empty and 0 say that the time is not known."""
    assert read_time(value) is None


@pytest.mark.parametrize(
    "value",
    [
        *(
            "yesterday",
            "nan",
            "inf",
            "2026-13-01",
            "2026-02-30T12:00",
            "Mon Foo  2 12:00:00 UTC 2026",
        ),
        *("Mon Feb  2 12:00:00 CET 2026", "9999-12-31T23:00:00-05:00", "0001-01-01T00:00:00+14:00"),
        *(True, [], {}, 10**400, 1e300, -1e300),
    ],
)
def test_unreadable(value: JSONValue) -> None:
    """Anything else is a fault of the data, never a guess and never a crash."""
    with pytest.raises(ValueError, match=r".*"):
        read_time(value)


@given(plausible | json_values | any_text | st.text("0123456789-:TZ+. ", max_size=30))
def test_time_or_fault(value: JSONValue) -> None:
    """Every JSON value is a time in UTC, none, or a `ValueError`."""
    try:
        time = read_time(value)
    except ValueError:
        return
    assert time is None or time.utcoffset() == timedelta(0)


@given(
    st.datetimes(timezones=st.timezones() | st.just(UTC) | st.just(timezone(timedelta(hours=9))))
)
def test_what_is_written_is_read(time: datetime) -> None:
    """A time survives being written, to the microsecond."""
    try:
        time.astimezone(UTC)
    except OverflowError:
        return
    assert read_time(write_time(time)) == time.astimezone(UTC)
