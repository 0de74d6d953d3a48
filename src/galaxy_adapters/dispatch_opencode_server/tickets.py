"""What a ticket of this dispatcher holds beyond its names."""

from __future__ import annotations

from attrs import frozen

from galaxy_core.domain.delivery import Ticket
from galaxy_core.domain.order import JSONObject


@frozen(kw_only=True)
class Errand:
    """One message for one session of one project, as it was decided before it was sent."""

    session: str
    message: str
    directory: str
    """The project: requests and the session's state are asked for by it."""
    agent: str | None = None
    model: str | None = None
    """`provider/model`; None leaves it to opencode."""
    command: str | None = None

    @property
    def data(self) -> JSONObject:
        """What goes into `Ticket.data`."""
        return {
            name: value
            for name, value in (
                ("directory", self.directory),
                ("agent", self.agent),
                ("model", self.model),
                ("command", self.command),
            )
            if value is not None
        }


def errand_of(ticket: Ticket) -> Errand:
    """Read a ticket back."""

    def text(name: str) -> str | None:
        value = ticket.data.get(name)
        return value if isinstance(value, str) else None

    return Errand(
        session=ticket.session_id,
        message=ticket.message_id,
        directory=text("directory") or "",
        agent=text("agent"),
        model=text("model"),
        command=text("command"),
    )
