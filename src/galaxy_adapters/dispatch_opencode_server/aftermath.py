"""What a session holds after our message: by this a turn is judged.

The answer's text is taken from here and not from the stream, which may have been broken.

After is what sorts after it by its id, and what names it as its prompt.  An answer that does only
the latter was made after the clock was set back: it lies before the message, and was given later.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from datetime import datetime, timedelta

from galaxy_adapters._opencode.steady import is_ahead_by
from galaxy_adapters._opencode.verdict import Aftermath
from galaxy_adapters.dispatch_opencode_server.client import Json, OpencodeClient
from galaxy_adapters.dispatch_opencode_server.tickets import Errand

_LARGEST_PAGE = 100


async def read_aftermath(
    client: OpencodeClient,
    errand: Errand,
    *,
    expected: int,
    now: datetime,
    continues_by_itself: bool = False,
    strays: Container[str] = frozenset(),
) -> Aftermath:
    """Read what came of a message; `expected` is how many messages there may be.

    `continues_by_itself` takes later prompts for those of a plugin, and not of a person.  `strays`
    are answers that were seen to be made after the clock was set back; where the message is ahead
    of `now`, such ones are looked for in the whole session.
    """
    is_ahead = is_ahead_by(errand.message, now) > timedelta(0)
    session, message_id = errand.session, errand.message
    limit = min(max(expected, 2), _LARGEST_PAGE)
    page, cursor = await client.newest_messages(session, limit)
    messages = page
    while cursor and page and (is_ahead or str(messages[0]["info"]["id"]) > message_id):
        page, cursor = await client.newest_messages(session, _LARGEST_PAGE, before=cursor)
        messages = [*page, *messages]
    after, before = _parted(messages, message_id, strays)
    aftermath = Aftermath(messages=tuple(after))
    aftermath = aftermath if continues_by_itself else aftermath.own()
    if not before or aftermath.is_finished or aftermath.is_overtaken:
        return aftermath
    return Aftermath(messages=(*aftermath.messages, *_first_answer(before)))


def _parted(
    messages: Sequence[Json], message_id: str, strays: Container[str]
) -> tuple[list[Json], list[Json]]:
    """Tell what lies after the message from answers that were made when the clock was back."""
    after: list[Json] = []
    before: list[Json] = []
    for message in messages:
        info = message["info"]
        is_after = str(info["id"]) > message_id
        if str(info["id"]) in strays or (not is_after and info.get("parentID") == message_id):
            before.append(message)
        elif is_after:
            after.append(message)
    return after, before


def _first_answer(strays: Sequence[Json]) -> Sequence[Json]:
    """Leave out what was said again after the first answer that is one."""
    for place in range(1, len(strays) + 1):
        if Aftermath(messages=tuple(strays[:place])).is_finished:
            return strays[:place]
    return strays
