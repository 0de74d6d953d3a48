"""What is said to people when an order ends: the one place where those sentences stand."""

from __future__ import annotations

from datetime import datetime

from galaxy_core.domain.delivery import Delivery, Settlement
from galaxy_core.domain.response import Ending, Outcome

SESSION_REPLACED = (
    "> **Note:** the earlier session of this conversation was lost. The agent answered in a new "
    "one and does not remember what was said before."
)
MAY_HAVE_RUN_TWICE = (
    "> **Note:** an earlier attempt at this order was interrupted, and the agent cannot be asked "
    "how far it came. The order may have run twice."
)
DEMO = "> **Demo:** a bundled script answered this, no AI model was asked."
BROKEN_OFF = "The agent was interrupted before it had finished."
ABORTED = "The run was stopped at the agent itself."
NO_TEXT = "The agent finished without saying anything."

_HEADLINES = {
    Outcome.FAILED: "**The order failed.**",
    Outcome.CANCELLED: "**The order was cancelled.**",
    Outcome.EXPIRED: "**The order expired.**",
    Outcome.DEAD: "**The order was given up.**",
}


def cancelled_by(who: str) -> str:
    """Why a cancelled order ended."""
    return f"It was cancelled by {who}." if who else "It was cancelled."


def gave_up(attempts: int, reason: str) -> str:
    """Why a dead-lettered order ended, and what to do about it."""
    times = "1 attempt" if attempts == 1 else f"{attempts} attempts"
    return (
        f"After {times}: {reason.rstrip('.')}. "
        "It stays listed as dead until you try it again (`galaxy order retry`)."
    )


def expired(at: datetime) -> str:
    """Why an expired order ended."""
    return f"It was to be done by {at.isoformat(timespec='seconds')}, and was not begun by then."


def wrong_machine(target: str, machine: str) -> str:
    """Why an order for somebody else ended here."""
    return (
        f"It is meant for the machine '{target}', this one is '{machine}', and no other Hermes is "
        "set up to serve this folder. Add the machine to `machines` in the settings, or send the "
        "order to this one."
    )


def unmet(order_id: str, how: str | None) -> str:
    """Why an order whose predecessor did not succeed ended."""
    state = f"ended as {how}" if how else "is not known any more"
    return f"It had to wait for the order '{order_id}', and that one {state}."


def wording(
    outcome: Outcome, *, text: str = "", reason: str | None = None, notes: tuple[str, ...] = ()
) -> str:
    """Put the decision into words.

    A successful answer is the agent's text; any other begins with what happened and why, and
    gives what the agent had said by then.
    """
    parts = list(notes)
    if outcome is Outcome.SUCCEEDED:
        parts.append(text if text.strip() else NO_TEXT)
    else:
        parts.append(" ".join(filter(None, (_HEADLINES[outcome], reason))))
        if text.strip():
            parts.append(f"What the agent had said by then:\n\n{text}")
    return "\n\n".join(parts)


def without_running(
    delivery: Delivery, outcome: Outcome, reason: str, *, machine: str, now: datetime
) -> Settlement:
    """The decision about an order of which no agent heard."""
    return Settlement(
        order_id=delivery.order.id,
        text=wording(outcome, reason=reason),
        ending=Ending(
            outcome=outcome,
            finished_at=now,
            acknowledged_by=f"Hermes ({machine})",
            attempts=delivery.attempt,
            reason=reason,
        ),
    )
