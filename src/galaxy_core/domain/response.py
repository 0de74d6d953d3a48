"""How an order ended, and what is said about it."""

from __future__ import annotations

import enum
from datetime import datetime

from attrs import frozen

from galaxy_core.domain.ids import OrderId
from galaxy_core.domain.state import OrderEvent, OrderState


class Outcome(enum.StrEnum):
    """How an order ended; the final states under their own name."""

    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD = "dead"

    @property
    def state(self) -> OrderState:
        """The final state that goes with it."""
        return OrderState(self.value)

    @property
    def event(self) -> OrderEvent:
        """The event that leads there."""
        return OrderEvent.DEAD_LETTERED if self is Outcome.DEAD else OrderEvent(self.value)


@frozen(kw_only=True)
class Usage:
    """What a run cost: token counts, and money as the agent reports it (US dollars)."""

    input_tokens: int = 0
    output_tokens: int = 0
    reasoning_tokens: int = 0
    cache_read_tokens: int = 0
    cache_write_tokens: int = 0
    cost_usd: float = 0.0

    def __add__(self, other: Usage) -> Usage:
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            cache_read_tokens=self.cache_read_tokens + other.cache_read_tokens,
            cache_write_tokens=self.cache_write_tokens + other.cache_write_tokens,
            cost_usd=self.cost_usd + other.cost_usd,
        )

    @property
    def total_tokens(self) -> int:
        """All tokens of the run, cached ones included."""
        return (
            self.input_tokens
            + self.output_tokens
            + self.reasoning_tokens
            + self.cache_read_tokens
            + self.cache_write_tokens
        )


@frozen(kw_only=True)
class Ending:
    """What the archive keeps about an order that is over."""

    outcome: Outcome
    finished_at: datetime
    acknowledged_by: str
    attempts: int
    started_at: datetime | None = None
    session_id: str | None = None
    usage: Usage | None = None
    reason: str | None = None
    """Why it did not succeed, in one sentence for people; None when it did."""
    may_have_run_twice: bool = False
    is_demo: bool = False
    """Whether the built-in scripted agent answered, not a model."""


@frozen(kw_only=True)
class Response:
    """The one answer to an order, success or not: what the response file says."""

    order_id: OrderId
    text: str
    """What the agent said, or the sentence that explains why it said nothing (Markdown)."""
    machine: str
    finished_at: datetime
    payload: str = ""
    order_timestamp: str = ""
    """The order's `timestamp` as its writer wrote it."""
