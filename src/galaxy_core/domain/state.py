"""The life of an order as a pure function: `transition(state, event)`.

    pending -> claimed -> running -> succeeded | failed | cancelled | expired | dead

and back from claimed or running to pending when a worker gives up or dies.  Anything else is a
bug in the caller and raises.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from types import MappingProxyType

from galaxy_core.domain.errors import InvalidTransition


class OrderState(enum.StrEnum):
    """Where an order stands."""

    PENDING = "pending"
    CLAIMED = "claimed"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD = "dead"

    @property
    def is_final(self) -> bool:
        """Whether nothing more happens to an order in this state."""
        return self in FINAL


class OrderEvent(enum.StrEnum):
    """What can happen to an order."""

    CLAIMED = "claimed"
    STARTED = "started"
    GIVEN_BACK = "given_back"
    LEASE_EXPIRED = "lease_expired"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD_LETTERED = "dead_lettered"


FINAL = frozenset(
    {
        OrderState.SUCCEEDED,
        OrderState.FAILED,
        OrderState.CANCELLED,
        OrderState.EXPIRED,
        OrderState.DEAD,
    }
)

WAITING = frozenset({OrderState.PENDING})
HELD = frozenset({OrderState.CLAIMED, OrderState.RUNNING})
"""What a worker has in its hands."""
LIVE = WAITING | HELD

_S, _E = OrderState, OrderEvent
_FROM_HELD: Mapping[OrderEvent, OrderState] = {
    _E.GIVEN_BACK: _S.PENDING,
    _E.LEASE_EXPIRED: _S.PENDING,
    _E.FAILED: _S.FAILED,
    _E.CANCELLED: _S.CANCELLED,
    _E.EXPIRED: _S.EXPIRED,
    _E.DEAD_LETTERED: _S.DEAD,
}
TRANSITIONS: Mapping[OrderState, Mapping[OrderEvent, OrderState]] = MappingProxyType(
    {
        # Whoever ends a waiting order claims it first: one writer of the response at a time.
        _S.PENDING: {_E.CLAIMED: _S.CLAIMED},
        # A claimed order may succeed without running: a crash left its answer with the agent,
        # or its response on disk.
        _S.CLAIMED: {**_FROM_HELD, _E.STARTED: _S.RUNNING, _E.SUCCEEDED: _S.SUCCEEDED},
        _S.RUNNING: {**_FROM_HELD, _E.SUCCEEDED: _S.SUCCEEDED},
        **{final: {} for final in FINAL},
    }
)


def transition(state: OrderState, event: OrderEvent) -> OrderState:
    """The state after `event`; raises `InvalidTransition` where there is none."""
    try:
        return TRANSITIONS[state][event]
    except KeyError:
        raise InvalidTransition(f"an order that is {state} cannot be {event}") from None
