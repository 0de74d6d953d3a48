"""What a session holds after our message: by this a turn is judged.

The answer's text is taken from here and not from the stream, which may have been broken.
"""

from __future__ import annotations

from galaxy_adapters._opencode.verdict import Aftermath
from galaxy_adapters.dispatch_opencode_server.client import OpencodeClient

_LARGEST_PAGE = 100


async def read_aftermath(
    client: OpencodeClient,
    session: str,
    message_id: str,
    *,
    expected: int,
    continues_by_itself: bool = False,
) -> Aftermath:
    """Read what came of `message_id`; `expected` is how many messages there may be.

    `continues_by_itself` takes later prompts for those of a plugin, and not of a person.
    """
    limit = min(max(expected, 2), _LARGEST_PAGE)
    page, cursor = await client.newest_messages(session, limit)
    messages = page
    while cursor and page and str(messages[0]["info"]["id"]) > message_id:
        page, cursor = await client.newest_messages(session, _LARGEST_PAGE, before=cursor)
        messages = [*page, *messages]
    aftermath = Aftermath(messages=tuple(m for m in messages if str(m["info"]["id"]) > message_id))
    return aftermath if continues_by_itself else aftermath.own()
