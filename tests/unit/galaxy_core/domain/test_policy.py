"""Decisions about retries, expiry and staleness."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from galaxy_core.domain.order import Attachment
from galaxy_core.domain.policy import (
    OrderLimits,
    RetryPolicy,
    Staleness,
    StalePolicy,
    is_due,
    is_expired,
    why_refused,
)
from galaxy_core.testing.factories import at, make_order

waits = st.timedeltas(min_value=timedelta(milliseconds=1), max_value=timedelta(hours=1))
policies = st.builds(
    RetryPolicy,
    max_attempts=st.integers(1, 50),
    first=waits,
    factor=st.floats(1.0, 10.0),
    ceiling=waits,
    jitter=st.floats(0.0, 1.0),
)
attempts = st.integers(min_value=1, max_value=10_000)
draws = st.floats(min_value=0.0, max_value=1.0, exclude_max=True)
moments = st.datetimes(timezones=st.just(UTC))


@given(policy=policies, attempt=attempts, draw=draws)
def test_delay_stays_within_its_bounds(policy: RetryPolicy, attempt: int, draw: float) -> None:
    """Never negative, never above the ceiling by more than the jitter, however many attempts."""
    delay = policy.delay(attempt, draw=draw)
    highest = policy.ceiling.total_seconds() * (1 + policy.jitter)
    assert timedelta(0) <= delay
    assert delay.total_seconds() <= highest + 1e-5


@given(policy=policies, attempt=attempts)
def test_delay_does_not_shrink_with_attempts(policy: RetryPolicy, attempt: int) -> None:
    """What fails again waits at least as long as before, chance apart."""
    assert policy.delay(attempt, draw=0.5) <= policy.delay(attempt + 1, draw=0.5)


@given(policy=policies, attempt=attempts, draw=draws, asked=waits)
def test_delay_is_never_shorter_than_what_was_asked_for(
    policy: RetryPolicy, attempt: int, draw: float, asked: timedelta
) -> None:
    """A provider that names a time is given that time."""
    delay = policy.delay(attempt, draw=draw, retry_after=asked)
    assert delay == max(asked, policy.delay(attempt, draw=draw))


def test_delays_grow_as_the_defaults_say() -> None:
    """2 s, 6 s, 18 s, ... and never more than five minutes."""
    seconds = [RetryPolicy().delay(n, draw=0.5).total_seconds() for n in (1, 2, 3, 9)]
    assert seconds == pytest.approx([2, 6, 18, 300])


@given(policy=policies, attempt=attempts)
def test_attempts_are_spent_at_the_limit(policy: RetryPolicy, attempt: int) -> None:
    """The limit counts attempts, the first one included."""
    assert policy.is_spent(attempt) == (attempt >= policy.max_attempts)


@given(sent_at=moments, now=moments)
def test_staleness_goes_by_age(sent_at: datetime, now: datetime) -> None:
    """Young messages run, old ones get the policy; one from the future is young."""
    staleness = Staleness(run_up_to=timedelta(minutes=15), then=StalePolicy.DROP)
    decision = staleness.decide(sent_at=sent_at, now=now)
    is_old = now - sent_at > timedelta(minutes=15)
    assert decision is (StalePolicy.DROP if is_old else StalePolicy.RUN)


def test_expiry_and_due_time_include_their_moment() -> None:
    """An order expires at its moment and may begin at its moment, not one tick later."""
    order = make_order(not_before=at(5), expires_at=at(10))
    tick = timedelta(microseconds=1)
    assert [is_due(order, now) for now in (at(5) - tick, at(5), at(9))] == [False, True, True]
    assert [is_expired(order, now) for now in (at(10) - tick, at(10), at(11))] == [
        False,
        True,
        True,
    ]
    plain = make_order()
    assert is_due(plain, at(0))
    assert not is_expired(plain, at(10**6))


@given(length=st.integers(1, 60), limit=st.integers(1, 60))
def test_payload_may_be_as_long_as_the_limit(length: int, limit: int) -> None:
    """The limit is inclusive, and counts characters, not bytes."""
    reason = why_refused(make_order(payload="ä" * length), OrderLimits(payload_characters=limit))
    assert (reason is None) == (length <= limit)


@pytest.mark.parametrize("payload", ["", " ", "\n\t"])
def test_empty_order_is_refused_unless_it_has_media(payload: str) -> None:
    """A picture says enough; nothing at all does not."""
    assert why_refused(make_order(payload=payload), OrderLimits()) is not None
    media = (Attachment(path="a.png"),)
    assert why_refused(make_order(payload=payload, media=media), OrderLimits()) is None


def test_refusals_of_the_reader_are_passed_on() -> None:
    """What was wrong with the file is what the person is told."""
    order = make_order(refusals=("The id is bad.", "The priority is unknown."))
    reason = why_refused(order, OrderLimits())
    assert reason == "The id is bad. The priority is unknown."
