"""Settings of how long what is over is kept."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta

from attrs import field, fields, frozen

from galaxy_apps.settings.keys import KEY, key
from galaxy_core.domain.tidying import OldKind


@frozen(kw_only=True)
class RetentionSettings:
    """Ages in days, by kind; null: kept for ever.

    The daemons go by them once a day, `galaxy cleanup` when it is told no age.  What nobody reads
    again goes by itself; what is a person's own work only when that person says so.
    """

    orders: int | None = field(default=None, metadata=key("orders", minimum=1))
    """Orders of the archive.  An order that comes again under an id that was removed is new."""
    responses: int | None = field(
        default=None,
        metadata=key("responses", env="GALAXY_RESPONSE_RETENTION_DAYS", minimum=1),
    )
    """Responses; the variable is the original's."""
    letters: int | None = field(default=90, metadata=key("letters", minimum=1))
    """Letters that were sent: what they said is in the chat, and an answer in its response."""
    files: int | None = field(default=None, metadata=key("files", minimum=1))
    """Files that came or went with orders: usually most of the space."""
    leftovers: int | None = field(default=7, metadata=key("leftovers", minimum=1))
    """Feeds of runs that ended (nobody watches them a week later), journals that a crash left
    behind, keys of orders that are not in the archive any more."""
    sessions: int | None = field(default=None, metadata=key("sessions", minimum=1))
    """Conversations that nobody has gone on with.  Programs that name a new one with each order
    make the file of sessions grow."""
    notes: int | None = field(default=None, metadata=key("notes", minimum=1))
    """Keys of what the gateway has dealt with.  It forgets them itself after thirty days."""
    web: int | None = field(default=None, metadata=key("web", minimum=1))
    """Messages of the page's chat, and their files."""
    audit: int | None = field(default=None, metadata=key("audit", minimum=1))
    """Full parts of the audit trail.  What is left of it can only be checked from there on."""

    def ages(self) -> Mapping[OldKind, timedelta]:
        """What is set, by kind."""
        days = {
            attribute.metadata[KEY]: getattr(self, attribute.name)
            for attribute in fields(RetentionSettings)
        }
        return {
            OldKind(kind): timedelta(days=number)
            for kind, number in days.items()
            if number is not None
        }
