"""Decisions that depend on nothing but their arguments: retry, expiry, staleness, recovery."""

from __future__ import annotations

import enum
from datetime import datetime, timedelta

from attrs import frozen

from galaxy_core.domain.order import Order

HEARTBEAT_EVERY = timedelta(seconds=3)
"""Between two signs of life of a daemon: who misses four of them is taken for dead, and that must
be noticed within a quarter of a minute."""


@frozen(kw_only=True)
class RetryPolicy:
    """How often and how soon something that failed for a passing reason is tried again.

    Failures 1, 2, 3 ... are followed by waits of `first`, `first * factor`, ... at most
    `ceiling`, each made shorter or longer at random by at most `jitter` of itself, so that many
    workers that failed together do not come back together.  `max_attempts` counts all attempts,
    also those whose worker died; those are no failures and make no wait longer.
    """

    max_attempts: int = 3
    first: timedelta = timedelta(seconds=2)
    factor: float = 3.0
    ceiling: timedelta = timedelta(minutes=5)
    jitter: float = 0.2

    def is_spent(self, attempt: int) -> bool:
        """Whether attempt number `attempt` (1-based) was the last one."""
        return attempt >= self.max_attempts

    def delay(
        self, failures: int, *, draw: float, retry_after: timedelta | None = None
    ) -> timedelta:
        """The wait after failure number `failures` (1-based); `draw` is random in [0, 1).

        Never shorter than `retry_after`, which is what the other side asked for.
        """
        # The exponent is bounded so that a large number cannot overflow a float.
        seconds = self.first.total_seconds() * self.factor ** min(max(failures - 1, 0), 64)
        seconds = min(seconds, self.ceiling.total_seconds())
        seconds *= 1 + self.jitter * (2 * draw - 1)
        wait = timedelta(seconds=seconds)
        return max(wait, retry_after) if retry_after is not None else wait


class RecoveryPolicy(enum.StrEnum):
    """What to do with a run that broke off in the middle."""

    CONTINUE = "continue"
    """Tell the agent in the same session to go on."""
    ASK = "ask"
    """Ask the person first."""
    FAIL = "fail"
    """End the order as failed, with what there is."""


class StalePolicy(enum.StrEnum):
    """What to do with a channel message that arrived while nothing ran."""

    RUN = "run"
    ASK = "ask"
    DROP = "drop"


@frozen(kw_only=True)
class Staleness:
    """By age: messages up to `run_up_to` run, older ones get `then`.

    For messages of channels only; a file in the order folder knows only `expires_at`.
    """

    run_up_to: timedelta = timedelta(minutes=15)
    then: StalePolicy = StalePolicy.ASK

    def decide(self, *, sent_at: datetime, now: datetime) -> StalePolicy:
        """The policy for a message sent at `sent_at`; one from the future is fresh."""
        return StalePolicy.RUN if now - sent_at <= self.run_up_to else self.then


@frozen(kw_only=True)
class OrderLimits:
    """What an order may hold."""

    payload_characters: int = 10_000


def is_expired(order: Order, now: datetime) -> bool:
    """Whether the order's own `expires_at` has come."""
    return order.expires_at is not None and now >= order.expires_at


def is_due(order: Order, now: datetime) -> bool:
    """Whether the order's own `not_before` has come."""
    return order.not_before is None or now >= order.not_before


def why_refused(order: Order, limits: OrderLimits) -> str | None:
    """One sentence that says why the order is refused as it stands; None for a good one."""
    if order.refusals:
        return " ".join(order.refusals)
    if not order.payload.strip() and not order.media:
        return "The order is empty: write what is to be done into `payload`."
    if len(order.payload) > limits.payload_characters:
        return (
            f"The payload has {len(order.payload):,} characters; at most "
            f"{limits.payload_characters:,} are allowed. Put the rest into a file and name it."
        )
    return None
