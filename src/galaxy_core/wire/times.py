"""Points in time as people and programs write them, and as we do: ISO 8601, aware."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from galaxy_core.domain.order import JSONValue

__all__ = ["HOW_TO_WRITE_TIMES", "read_time", "write_time"]

HOW_TO_WRITE_TIMES = "write it like 2026-02-02T12:00:00+00:00 (`date -Is` prints it)"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

# A number this large is not seconds (they would lie beyond the year 5000) but a finer unit.
_UNITS = ((1e17, 1e9), (1e14, 1e6), (1e11, 1e3))

_MONTHS = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
# What `date` prints ("Mon Feb  2 12:00:00 UTC 2026"), and `date -R` ("Mon, 02 Feb 2026 12:00:00 Z")
_DATE = re.compile(
    r"(?:[A-Z][a-z]{2} +)?(?P<month>[A-Z][a-z]{2}) +(?P<day>\d{1,2}) +"
    r"(?P<clock>\d\d:\d\d:\d\d)(?: +(?P<zone>UTC|GMT|Z|[+-]\d{4}))? +(?P<year>\d{4})"
)
_DATE_R = re.compile(
    r"(?:[A-Z][a-z]{2}, *)?(?P<day>\d{1,2}) +(?P<month>[A-Z][a-z]{2}) +(?P<year>\d{4}) +"
    r"(?P<clock>\d\d:\d\d:\d\d)(?: +(?P<zone>UTC|GMT|Z|[+-]\d{4}))?"
)
_ZONE_NAME = re.compile(r" *(?:UTC|GMT)$")


def read_time(value: JSONValue) -> datetime | None:
    """Read a point in time; the result is in UTC.

    ISO 8601 (without an offset: UTC), what `date` and `date -R` print, or seconds since the
    epoch as number or text; milliseconds and finer are told by their size.  None for null, an
    empty text and 0, with which older writers said "not known".  Raises `ValueError` for anything
    else.
    """
    if value is None:
        return None
    if isinstance(value, str):
        return _read_text(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError("not a time")  # noqa: TRY004 - callers tell faults of data by ValueError
    return _read_number(value)


def write_time(value: datetime) -> str:
    """Write a point in time as ISO 8601 with its offset; a naive one is taken as UTC."""
    return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()


def _read_text(text: str) -> datetime | None:
    # Only the first characters decide which reader is asked; the common one comes first.
    if len(text) > 4 and text[4] == "-":  # noqa: PLR2004 - the dash after a year
        try:
            return _in_utc(datetime.fromisoformat(text))
        except ValueError:
            pass
    text = text.strip()
    if not text:
        return None
    try:
        number = float(text)
    except ValueError:
        return _in_utc(_read_odd(text))
    if len(text) == 8 and text.isdigit():  # noqa: PLR2004 - YYYYMMDD
        return _in_utc(datetime.fromisoformat(text))
    return _read_number(number)


def _read_odd(text: str) -> datetime:
    match = _DATE.fullmatch(text) or _DATE_R.fullmatch(text)
    if match is None:
        return datetime.fromisoformat(_ZONE_NAME.sub("+00:00", text).replace(" +", "+"))
    if match["month"] not in _MONTHS:
        raise ValueError("no such month")
    month = _MONTHS.index(match["month"]) + 1
    zone = match["zone"] or "Z"
    zone = "Z" if zone in {"UTC", "GMT"} else zone
    return datetime.fromisoformat(
        f"{match['year']}-{month:02}-{int(match['day']):02}T{match['clock']}{zone}"
    )


def _read_number(number: float) -> datetime | None:
    if not number:
        return None
    try:
        for limit, per_second in _UNITS:
            if abs(number) >= limit:
                number = number / per_second
                break
        return _EPOCH + timedelta(seconds=number)
    except OverflowError:
        raise ValueError("no such time") from None


def _in_utc(value: datetime) -> datetime:
    if value.tzinfo is UTC:
        return value
    if value.tzinfo is None:
        return value.replace(tzinfo=UTC)
    try:
        return value.astimezone(UTC)
    except OverflowError:
        raise ValueError("no such time") from None
