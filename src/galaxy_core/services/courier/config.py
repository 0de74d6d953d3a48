"""What the courier is told, and the ports it works with."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from pathlib import Path

from attrs import field, frozen

from galaxy_core.domain.letter import Letter, Receipt
from galaxy_core.domain.message import Address
from galaxy_core.domain.policy import RetryPolicy
from galaxy_core.ports.audit_sink import AuditSink
from galaxy_core.ports.channel import Channel
from galaxy_core.ports.clock import Clock
from galaxy_core.ports.note_store import NoteStore
from galaxy_core.ports.outbox import Outbox

Delivered = Callable[[Letter, tuple[Receipt, ...]], Awaitable[None]]
"""Called when everybody has all of a letter, with the receipts of all chats, before the letter
leaves the outbox.  At least once: again after a crash, or after it raised a `TransientError`."""


@frozen(kw_only=True)
class Mailbox:
    """The outbox of one machine, and what belongs to it."""

    name: str
    """The machine's."""
    outbox: Outbox
    trail: AuditSink
    """Where the deliveries of its letters are put on record."""
    root: Path
    """Where the relative paths of its letters' files begin."""


@frozen(kw_only=True)
class CourierConfig:
    """How the courier works."""

    default_channel: str
    """For letters that name a chat and no channel."""
    retry: RetryPolicy = field(factory=lambda: RetryPolicy(first=timedelta(seconds=1), factor=2.0))
    """Pauses after passing failures; they never end, so its `max_attempts` says nothing."""
    last_try_after: timedelta = timedelta(minutes=10)
    """Pause before the third and last sending of a part, after two whose outcome is unknown."""
    stuck_after: timedelta = timedelta(minutes=2)
    """How long a letter may fail before the next one of its chat is tried after it, too."""
    times_overtaken: int = 3
    """How often a stuck letter may fail while others reach its chat; then it is set aside."""
    hint_lifetime: timedelta = timedelta(seconds=5)
    """Age at which a hint that could not be given is dropped: Telegram shows typing so long."""
    press_attempts: int = 3
    """How often the answer to a pressed button is tried; it is of no use some seconds later."""
    recipients_every: timedelta = timedelta(seconds=30)
    """How often is looked for people while a letter to everybody has nobody to go to."""
    look_every: timedelta = timedelta(minutes=5)
    """Longest sleep between two looks at an outbox; letters that were left alone are looked at
    again then."""
    prune_every: timedelta = timedelta(hours=6)
    stop_deadline: timedelta = timedelta(seconds=10)
    """How long, in real time, a sending that was begun may take while the courier stops."""


@frozen(kw_only=True)
class CourierPorts:
    """Everything outside that the courier talks to."""

    channels: Mapping[str, Channel]
    """By name."""
    mailboxes: Sequence[Mailbox]
    """The gateway's own one first: alerts are posted there."""
    notes: NoteStore
    clock: Clock
    recipients: Callable[[], Sequence[Address]]
    """Where everybody who is authorised reads."""
    owners: Callable[[], Sequence[Address]]
    """Where the owners read: they hear of letters that nobody can get."""
    is_group: Callable[[Address], bool] = lambda _: False
    """Whether several people read the chat."""
    on_delivered: Delivered | None = None
    on_written: Callable[[str, Exception | None], None] = lambda _doing, _error: None
    """Hears whether what had to be written could be: of what, and the error, or None."""

    @property
    def home(self) -> Mailbox:
        """Where alerts are posted."""
        return self.mailboxes[0]
