"""Whether the session of a conversation can take the next message.

opencode orders a session by the dates of its messages (1.18).  Where the newest ones are from the
future, because the clock was set back, a further message counts as an earlier one: it is not seen,
or answered again and again.  The clock that counts is the server's.  One that we started has a
clock that does not go back, and is then ahead of ours; any other, and one that was started since,
has to catch up.
"""

from __future__ import annotations

from datetime import datetime, timedelta

import structlog
from attrs import frozen

from galaxy_adapters._opencode import is_same_folder
from galaxy_adapters._opencode.parts import Json, made_at
from galaxy_adapters._opencode.steady import is_ahead_by
from galaxy_adapters.dispatch_opencode_server.client import CallNotFound, OpencodeClient
from galaxy_core.ports.clock import Clock

WAITED_OUT = timedelta(minutes=1)
"""For how long it is waited until a clock has caught up; else a new session remembers nothing."""
_LOOKS = 3
"""The clock may be set back while it is waited for."""
_MOMENT = timedelta(milliseconds=1)
"""Dates are in milliseconds."""

_log = structlog.get_logger(__name__)


@frozen(kw_only=True)
class Kept:
    """A session that takes the next message."""

    session: str
    newest: str | None = None
    """Id of its newest message, where it was looked at."""


async def kept(client: OpencodeClient, clock: Clock, session: str, directory: str) -> Kept | None:
    """Look at the session; None when another has to be taken.  May wait for the clock."""
    try:
        known = await client.session(session)
        messages, _ = await client.newest_messages(session, 1)
    except CallNotFound:
        return None
    if not is_same_folder(str(known.get("directory")), directory):
        # A session works in the folder that it was made in, whatever is asked of it.
        return None
    if not messages:
        return Kept(session=session)
    newest = messages[-1]["info"]
    if not await _is_behind(client, clock, newest, directory):
        return None
    return Kept(session=session, newest=str(newest["id"]))


async def _is_behind(client: OpencodeClient, clock: Clock, newest: Json, directory: str) -> bool:
    """Whether the newest message is in the past, if need be after a wait."""
    if _ahead(newest, clock.now()) <= timedelta(0):
        return True
    for _ in range(_LOOKS):
        ahead = _ahead(newest, await client.time(directory) or clock.now())
        if ahead <= timedelta(0):
            return True
        if ahead > WAITED_OUT:
            break
        _log.info("opencode.clock_awaited", seconds=ahead.total_seconds())
        await clock.sleep(ahead + _MOMENT)
    return False


def _ahead(info: Json, now: datetime) -> timedelta:
    """How far in the future a message is, by its date or else by its id."""
    made = made_at(info)
    return made - now if made is not None else is_ahead_by(str(info["id"]), now)
