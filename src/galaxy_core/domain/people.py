"""Who may do what."""

from __future__ import annotations

import enum
from datetime import datetime

from attrs import frozen


class Role(enum.StrEnum):
    """What a person is to the gateway; who has none is a stranger."""

    OWNER = "owner"
    """Everything, other people's orders and questions included; lets people in."""
    OPERATOR = "operator"
    """Gives orders, and answers what their own orders ask."""
    VIEWER = "viewer"
    """Looks."""


class Deed(enum.StrEnum):
    """What a person may want from the gateway."""

    LOOK = "look"
    ORDER = "order"
    """Give an order, and steer conversations: agent, model, project, a new session."""
    STEER_OWN = "steer_own"
    """Cancel, retry or answer an order of one's own."""
    STEER_ALL = "steer_all"
    """The same for anybody's."""
    ADMIT = "admit"
    """Let a person in."""


_DEEDS = {
    Role.VIEWER: frozenset({Deed.LOOK}),
    Role.OPERATOR: frozenset({Deed.LOOK, Deed.ORDER, Deed.STEER_OWN}),
    Role.OWNER: frozenset(Deed),
}


def may(role: Role | None, deed: Deed) -> bool:
    """Whether somebody with that role (None: a stranger) may do it."""
    return role is not None and deed in _DEEDS[role]


@frozen(kw_only=True)
class Person:
    """Somebody on the list, under the id that a channel gives them."""

    channel: str
    id: str
    role: Role
    name: str = ""
    """For people."""
    since: datetime | None = None
    """When they were let in; None for those whom the settings name."""
